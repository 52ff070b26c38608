// What TensorFlow.js under Node does with topologies as they stand, their weights left as they are initialised.
// Reads {tfjs: path of tf.min.js, topologies: […]} from standard input; writes a list: null, or what was complained of.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { runInThisContext } from 'node:vm';

async function complaint(tf, modelTopology) {
  try {
    const model = await tf.loadLayersModel({ load: async () => ({ modelTopology }) });
    model.predict(model.inputs.map((input) => tf.ones(input.shape.map((size) => size ?? 2), input.dtype)));
    return null;
  } catch (error) {
    return String(error.message ?? error);
  }
}

console.warn = console.log = () => {};
const { tfjs, topologies } = JSON.parse(readFileSync(0, 'utf8'));
globalThis.require = createRequire(import.meta.url);
runInThisContext(readFileSync(tfjs, 'utf8'));
const { tf } = globalThis;
if (!(await tf.setBackend('cpu'))) throw new Error('no cpu backend');
const replies = [];
for (const topology of topologies) replies.push(await complaint(tf, topology));
process.stdout.write(JSON.stringify(replies));
