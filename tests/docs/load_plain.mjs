// What plain TensorFlow.js under Node says to models as they stand, their weights all zero.
// Reads {tfjs: path of tf.min.js, models: [{topology, weights}]} from standard input; writes a list: null where a model
// loads and predicts, else the error's message.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { runInThisContext } from 'node:vm';

const size = (shape) => shape.reduce((product, axis) => product * (axis ?? 2), 1);

async function complaint(tf, { topology, weights }) {
  const weightData = new ArrayBuffer(4 * weights.reduce((sum, weight) => sum + size(weight.shape), 0));
  try {
    const model = await tf.loadLayersModel({ load: async () => ({ modelTopology: topology, weightSpecs: weights, weightData }) });
    model.predict(model.inputs.map((input) => tf.ones(input.shape.map((axis) => axis ?? 2), input.dtype)));
    return null;
  } catch (error) {
    return String(error.message);
  }
}

console.warn = console.log = () => {};
const { tfjs, models } = JSON.parse(readFileSync(0, 'utf8'));
globalThis.require = createRequire(import.meta.url);
runInThisContext(readFileSync(tfjs, 'utf8'));
const { tf } = globalThis;
if (!(await tf.setBackend('cpu'))) throw new Error('no cpu backend');
const replies = [];
for (const model of models) replies.push(await complaint(tf, model));
process.stdout.write(JSON.stringify(replies));
