// Loads layers-models into TensorFlow.js under Node, as any application would, and predicts.
// Reads {tfjs: path of tf.min.js, jobs: [{folder, inputs: [{shape, dtype, base64}]}]} from standard input.
// Writes a list, for each job {outputs: [{shape, base64}], weights: {name: SHA-256 of its bytes}, layers}, or {error}.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { runInThisContext } from 'node:vm';

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

async function run(tf, job) {
  const model = await tf.loadLayersModel(handlerOf(job.folder));
  const result = model.predict(job.inputs.map((input) => tensorOf(tf, input)));
  const outputs = (Array.isArray(result) ? result : [result]).map((tensor) => ({
    shape: tensor.shape,
    base64: bytesOf(tensor).toString('base64'),
  }));
  return { outputs, weights: Object.fromEntries(weightsOf(model)), layers: model.layers.map((layer) => layer.name) };
}

console.warn = console.log = () => {};
const { tfjs, jobs } = JSON.parse(readFileSync(0, 'utf8'));
globalThis.require = createRequire(import.meta.url);
runInThisContext(readFileSync(tfjs, 'utf8')); // as a page's script tag does
const { tf } = globalThis;
if (!(await tf.setBackend('cpu'))) throw new Error('no cpu backend');
const replies = [];
for (const job of jobs) replies.push(await run(tf, job).catch((error) => ({ error: String(error.message ?? error) })));
process.stdout.write(JSON.stringify(replies));
