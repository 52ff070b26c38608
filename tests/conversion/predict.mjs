// Loads models into TensorFlow.js under Node, as any application would, and predicts.
//     node predict.mjs TF.MIN.JS cpu|wasm
// Reads lines of JSON, each a list of jobs {folder, inputs: [{shape, dtype, base64}]}, from standard input, and answers
// each line with one: for each job {outputs: [{shape, base64}], weights: {name: SHA-256 of its bytes}, layers}, or {error}.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

import { nodePlatform } from '../../src/bittrue/web/node-platform.mjs';

const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };

function handlerOf(folder) {
  const document = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8'));
  const shards = document.weightsManifest.flatMap((group) => group.paths.map((path) => readFileSync(join(folder, path))));
  const bytes = new Uint8Array(Buffer.concat(shards));
  const weightSpecs = document.weightsManifest.flatMap((group) => group.weights);
  const { format, modelTopology, signature, userDefinedMetadata } = document;
  const artifacts = { format, modelTopology, signature, userDefinedMetadata, weightSpecs, weightData: bytes.buffer };
  return { form: format, load: async () => artifacts };
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

async function registerShims(tf, folder) {
  const path = join(folder, 'bittrue-shims.js');
  if (!existsSync(path)) return;
  const { register } = await import(`data:text/javascript;base64,${readFileSync(path).toString('base64')}`);
  register(tf);
}

async function run(tf, job) {
  const handler = handlerOf(job.folder);
  if (handler.form === 'graph-model') return runGraph(tf, await tf.loadGraphModel(handler), job);
  await registerShims(tf, job.folder);
  const model = await tf.loadLayersModel(handler);
  const result = model.predict(job.inputs.map((input) => tensorOf(tf, input)));
  const outputs = (Array.isArray(result) ? result : [result]).map((tensor) => ({
    shape: tensor.shape,
    base64: bytesOf(tensor).toString('base64'),
  }));
  return { outputs, weights: Object.fromEntries(weightsOf(model)), layers: model.layers.map((layer) => layer.name) };
}

function runGraph(tf, model, job) {
  const before = tf.memory().numTensors;
  const inputs = job.inputs.map((input) => tensorOf(tf, input));
  const result = model.predict(inputs);
  const listed = Array.isArray(result) ? result : [result];
  const outputs = listed.map((tensor) => {
    const { dtype, shape } = tensor;
    const data = ARRAYS[dtype].from(tensor.dataSync()); // a cast tensor may be kept in the array it was cast from
    return { dtype, shape, base64: Buffer.from(data.buffer).toString('base64') };
  });
  for (const tensor of [...inputs, ...listed]) tensor.dispose();
  if (tf.memory().numTensors !== before) throw new Error('the model leaks tensors');
  const weights = Object.entries(model.weights).map(([name, [tensor]]) => {
    return [name, createHash('sha256').update(bytesOf(tensor)).digest('hex')];
  });
  model.dispose();
  return { outputs, weights: Object.fromEntries(weights), layers: [] };
}

console.warn = console.log = () => {};
const [tfjs, backend] = process.argv.slice(2);
const base = dirname(tfjs);
const scripts = [basename(tfjs), ...(backend === 'wasm' ? ['tf-backend-wasm.min.js'] : [])];
const tf = await nodePlatform.loadTf({ name: 'tfjs', version: '', base, scripts });
if (backend === 'wasm') tf.wasm.setWasmPaths(nodePlatform.wasmFolder(base));
if (!(await tf.setBackend(backend))) throw new Error(`no ${backend} backend`);
for await (const line of createInterface({ input: process.stdin })) {
  const replies = [];
  for (const job of JSON.parse(line)) {
    replies.push(await run(tf, job).catch((error) => ({ error: String(error.message ?? error) })));
  }
  process.stdout.write(`${JSON.stringify(replies)}\n`);
}
