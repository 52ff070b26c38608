/** TensorFlow.js on the cpu backend, and models written as an artifact's `model.json` describes them. */

import { createRequire } from "node:module";
import path from "node:path";

import { nodePlatform } from "../../src/bittrue/web/node-platform.mjs";

const main = createRequire(import.meta.url).resolve("@tensorflow/tfjs/package.json");
const base = path.join(path.dirname(main), "dist");
console.warn = () => {}; // TensorFlow.js recommends another package of its own

export const tf = await nodePlatform.loadTf({ name: "tfjs", version: "", base, scripts: ["tf.min.js"] });
await tf.setBackend("cpu");

/** @param {string} name @param {any} [config] */
export const input = (name, config = {}) => layer("InputLayer", name, [], { batch_input_shape: [null, 4], dtype: "float32", ...config });

/** A layer with its calls, each a list of [name, node, tensor]. @param {string} type @param {string} name @param {any[][][]} calls @param {any} [config] */
export function layer(type, name, calls, config = {}) {
  const inbound = calls.map((call) => call.map((from) => [...from, {}]));
  return { class_name: type, name, config: { name, ...config }, inbound_nodes: inbound };
}

/** @param {string} name @param {any[][][]} calls @param {any} [config] */
export const dense = (name, calls, config = {}) => layer("Dense", name, calls, { units: 4, ...config });

/** A functional model, also as a layer. @param {string} name @param {any[]} layers @param {any[]} inputs @param {any[]} outputs @param {any[][][]} [calls] */
export const model = (name, layers, inputs, outputs, calls = []) => layer("Model", name, calls, {
  layers, input_layers: inputs.map((from) => [from, 0, 0]), output_layers: outputs,
});

/** @param {any} topology @returns {Promise<any>} */
export const load = (topology) => tf.loadLayersModel({ load: async () => ({ modelTopology: topology }) });
