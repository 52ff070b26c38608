/** What the model is fed: the host's tensors, in the model's order and dtypes. */

import { Failure } from "./failure.js";

/**
 * @typedef {import("./types.js").Predictor} Predictor
 * @typedef {import("./types.js").Tensor} Tensor
 * @typedef {import("./types.js").Values} Values
 * @typedef {import("./wire.js").Received} Received
 */

/** @type {{[dtype: string]: (buffer: ArrayBuffer) => Values}} */
const VIEWS = {
  float32: (buffer) => new Float32Array(buffer),
  int32: (buffer) => new Int32Array(buffer),
  bool: (buffer) => new Uint8Array(buffer),
  uint8: (buffer) => Int32Array.from(new Uint8Array(buffer)),
};

/**
 * The input tensors, in the model's order. They are cast here as `predict` would cast them, so that it need not.
 *
 * @param {any} tf
 * @param {Predictor} model
 * @param {Received[]} received in the order of the model's inputs, or called by their names
 * @returns {{name: string, tensor: Tensor}[]}
 * @throws {Failure} predict: another number of inputs, dtypes that cannot be fed, or batches of different sizes
 */
export function makeFeed(tf, { inputs, inputNames }, received) {
  if (received.length !== inputs.length) {
    throw new Failure("predict", `the model takes ${inputs.length} inputs (${inputNames.join(", ")}), not ${received.length}`);
  }
  const sizes = received.map(({ shape }) => shape[0]);
  if (sizes.some((size) => size !== sizes[0] || size === 0)) {
    throw new Failure("predict", `the inputs hold ${sizes.join(", ")} examples: each must hold the same number, at least one`);
  }
  const byName = new Map(received.map((input) => [input.name, input]));
  const named = inputNames.every((name) => byName.has(name));
  return inputs.map(({ dtype }, i) => {
    const input = /** @type {Received} */ (named ? byName.get(inputNames[i]) : received[i]);
    return { name: input.name, tensor: makeTensor(tf, input, dtype) };
  });
}

/** @param {any} tf @param {Received} input @param {string} wanted @returns {Tensor} */
function makeTensor(tf, { name, dtype, shape, bytes }, wanted) {
  const view = VIEWS[dtype];
  if (view === undefined) {
    throw new Failure("predict", `input ${name} is ${dtype}, which TensorFlow.js does not have: convert it to float32 or int32`);
  }
  const tensor = tf.tensor(view(bytes.buffer), shape, dtype === "uint8" ? "int32" : dtype);
  if (tensor.dtype === wanted) return tensor;
  const cast = tf.cast(tensor, wanted);
  tensor.dispose();
  return cast;
}
