// Loads a layers-model into TensorFlow.js under Node, as any application would, and predicts on one set of inputs.
// Reads a job from standard input: {tfjs: path of tf.min.js, folder, inputs: [{shape, dtype, base64}]}.
// Writes {outputs: [{shape, base64}], weights: {name: SHA-256 of its bytes}, layers: names}, or {error}.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const ARRAYS = { float32: Float32Array, int32: Int32Array };

function handlerOf(folder) {
  const document = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8'));
  const shards = document.weightsManifest.flatMap((group) => group.paths.map((path) => readFileSync(join(folder, path))));
  const bytes = new Uint8Array(Buffer.concat(shards));
  const weightSpecs = document.weightsManifest.flatMap((group) => group.weights);
  return { load: async () => ({ modelTopology: document.modelTopology, weightSpecs, weightData: bytes.buffer }) };
}

function bytesOf(tensor) {
  const data = tensor.dataSync();
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

function tensorOf(tf, { shape, dtype, base64 }) {
  const bytes = new Uint8Array(Buffer.from(base64, 'base64'));
  return tf.tensor(new ARRAYS[dtype](bytes.buffer), shape, dtype);
}

function weightsOf(model) {
  return model.weights.map((weight) => {
    const name = weight.originalName;
    return [name, createHash('sha256').update(bytesOf(weight.read())).digest('hex')];
  });
}

async function run(job) {
  const tf = createRequire(import.meta.url)(job.tfjs);
  if (!(await tf.setBackend('cpu'))) throw new Error('no cpu backend');
  await tf.ready();
  const model = await tf.loadLayersModel(handlerOf(job.folder));
  const result = model.predict(job.inputs.map((input) => tensorOf(tf, input)));
  const outputs = (Array.isArray(result) ? result : [result]).map((tensor) => ({
    shape: tensor.shape,
    base64: bytesOf(tensor).toString('base64'),
  }));
  return { outputs, weights: Object.fromEntries(weightsOf(model)), layers: model.layers.map((layer) => layer.name) };
}

console.warn = console.log = () => {};
const job = JSON.parse(readFileSync(0, 'utf8'));
const reply = await run(job).catch((error) => ({ error: String(error.message ?? error) }));
process.stdout.write(JSON.stringify(reply));
