/**
 * What a capture holds at once. The budget bounds all of it, from the first prediction on: the tensors that are kept,
 * those that the model itself holds while it predicts, what is read back, and what is on its way to the host.
 */

import { HIGH_WATER, PIECE } from "./wire.js";

/**
 * @typedef {import("./bits.js").Plain} Plain
 * @typedef {import("./types.js").Predictor} Predictor
 * @typedef {import("./types.js").Tensor} Tensor
 */

const ON_THE_WAY = HIGH_WATER + 2 * PIECE; // bytes sent and not yet taken, and the piece that is being sent

/** Bytes of garbage that V8 lets gather before it collects any: its largest semi-space, by the documentation of Node. */
const GARBAGE = 16 * 2 ** 20;

/** How many bytes of tensors a prediction holds at most, temporary ones included, as TensorFlow.js itself counts them. */
export class Held {
  /** @param {any} tf */
  constructor(tf) {
    this.tf = tf;
    /** Of the first prediction, beyond what was there before. @type {number | null} */
    this.most = null;
  }

  /**
   * @template T
   * @param {() => T} run
   * @returns {T}
   */
  during(run) {
    const state = this.tf.engine().state;
    if (this.most !== null || typeof state?.numBytes !== "number") return run();
    const before = state.numBytes;
    let now = before;
    let most = before;
    const seen = { get: () => now, set: (/** @type {number} */ bytes) => void (most = Math.max(most, (now = bytes))) };
    Object.defineProperty(state, "numBytes", { ...seen, configurable: true, enumerable: true });
    const end = () => {
      Object.defineProperty(state, "numBytes", { value: now, configurable: true, enumerable: true, writable: true });
      this.most = most - before;
    };
    return whenOver(run, end);
  }

  /** `model` as something that predicts, seen by this. @param {Predictor} model @returns {Predictor} */
  watching(model) {
    const { inputs, inputNames, outputNames, stateful } = model;
    return {
      inputs, inputNames, outputNames, stateful,
      predict: (x, args) => this.during(() => model.predict(x, args)),
      resetStates: () => model.resetStates(),
      dispose: () => model.dispose(),
    };
  }
}

/**
 * What `run` returns; `end` is called when it is over, which a promise is when it is kept or broken.
 *
 * @template T
 * @param {() => T} run
 * @param {() => void} end
 * @returns {T}
 */
function whenOver(run, end) {
  let later = false;
  try {
    const made = run();
    if (!(made instanceof Promise)) return made;
    later = true;
    return /** @type {T} */ (made.finally(end));
  } finally {
    if (!later) end();
  }
}

/**
 * Bytes that a capture holds beside the tensors that it keeps.
 *
 * @param {number | null} forward most that a prediction holds; null where it is not known
 * @param {number[] | null} sizes bytes of what is to be captured, if they are known before
 * @param {Plain[]} prediction held to be compared with the outputs of every pass, which are read for that
 */
export function besides(forward, sizes, prediction) {
  const total = sizes?.reduce((sum, size) => sum + size, 0) ?? Infinity;
  const largest = sizes?.reduce((most, size) => Math.max(most, size), 0) ?? forward ?? 0;
  const outputs = prediction.reduce((sum, { values }) => sum + values.byteLength, 0);
  // First the outputs of a pass are read, then one tensor after another is read and sent. The prediction and the last
  // tensor of the window before are there all the time, to be compared.
  const reading = Math.max(outputs, largest + Math.min(ON_THE_WAY, total));
  return (forward ?? 0) + outputs + largest + reading + Math.min(GARBAGE, total);
}

/**
 * Free now what would wait for the garbage collector, which may take its time. Only WebAssembly's backend gives
 * copies: the arrays of the others are the tensors' own.
 *
 * @param {any} tf
 * @param {Plain[]} tensors that nobody reads any more
 */
export function discard(tf, tensors) {
  if (tf.getBackend() !== "wasm") return;
  for (const { values } of tensors) {
    const buffer = /** @type {any} */ (values.buffer);
    if (typeof buffer.transfer === "function" && values.byteLength === buffer.byteLength && buffer.byteLength > 0) buffer.transfer(0);
  }
}

/**
 * What to say where one tensor at a time is still more than the budget allows; null where it is not.
 *
 * @param {number} most bytes held at once
 * @param {number} budget
 */
export function beyond(most, budget) {
  if (most <= budget) return null;
  const mib = (/** @type {number} */ bytes) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  return `the budget of ${mib(budget)} was raised to ${mib(most)}, the least with which this model's layers can be captured here`;
}
