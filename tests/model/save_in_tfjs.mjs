// Builds models in TensorFlow.js and saves each as `model.save` does, with what it predicts for ones.
// Reads {tfjs: path of tf.min.js, out: a folder} from standard input; writes {name: {output, shape}}.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { runInThisContext } from 'node:vm';

console.warn = console.log = () => {};
const { tfjs, out } = JSON.parse(readFileSync(0, 'utf8'));
globalThis.require = createRequire(import.meta.url);
runInThisContext(readFileSync(tfjs, 'utf8')); // as a page's script tag does
const { tf } = globalThis;
if (!(await tf.setBackend('cpu'))) throw new Error('no cpu backend');
const { layers } = tf;

const drawn = (seed) => tf.initializers.randomUniform({ minval: -0.2, maxval: 0.6, seed });

function sequential() {
  const model = tf.sequential();
  const first = { filters: 4, kernelSize: 3, padding: 'same', activation: 'relu6', inputShape: [6, 6, 2] };
  model.add(layers.conv2d({ ...first, kernelInitializer: drawn(1) }));
  model.add(layers.batchNormalization({ epsilon: 0.01 }));
  model.add(layers.leakyReLU());
  model.add(layers.depthwiseConv2d({ kernelSize: 2, depthMultiplier: 2, depthwiseInitializer: drawn(2) }));
  model.add(layers.maxPooling2d({ poolSize: 2 }));
  model.add(layers.thresholdedReLU({ theta: 0.01 }));
  model.add(layers.flatten());
  model.add(layers.dropout({ rate: 0.5 }));
  model.add(layers.dense({ units: 3, activation: 'softmax', kernelInitializer: drawn(3) }));
  return model;
}

function functional() {
  const input = tf.input({ shape: [5], name: 'entry' });
  const dense = layers.dense({ units: 5, activation: 'tanh', inputShape: [5], kernelInitializer: drawn(4) });
  const inside = tf.sequential({ name: 'inside', layers: [dense] });
  const once = inside.apply(input);
  const twice = inside.apply(once);
  const sum = layers.concatenate({ axis: -1 }).apply([once, twice]);
  return tf.model({ inputs: input, outputs: layers.dense({ units: 2, useBias: false, kernelInitializer: drawn(5) }).apply(sum) });
}

const found = {};
for (const build of [sequential, functional]) {
  const model = build();
  const folder = join(out, build.name);
  mkdirSync(folder);
  const save = async ({ modelTopology, weightSpecs, weightData, format, generatedBy, convertedBy }) => {
    const weightsManifest = [{ paths: ['weights.bin'], weights: weightSpecs }];
    const document = { modelTopology, format, generatedBy, convertedBy, weightsManifest };
    writeFileSync(join(folder, 'model.json'), JSON.stringify(document));
    writeFileSync(join(folder, 'weights.bin'), new Uint8Array(weightData));
    return { modelArtifactsInfo: {} };
  };
  await model.save({ save });
  const output = model.predict(tf.ones([1, ...model.inputs[0].shape.slice(1)]));
  found[build.name] = { output: [...output.dataSync()], shape: output.shape };
}
process.stdout.write(JSON.stringify(found));
