/** Experiments on the run itself. Each ends in a `check` frame whose detail is a sentence either way. */

import { firstDifference, readTensor, unravel } from "./bits.js";
import { messageOf } from "./failure.js";

/**
 * @typedef {import("./bits.js").Plain} Plain
 * @typedef {import("./types.js").Call} Call
 * @typedef {import("./types.js").Predictor} Predictor
 * @typedef {import("./types.js").Tensor} Tensor
 * @typedef {Tensor[] | Promise<Tensor[]>} Outputs
 */

/**
 * @typedef {object} Check
 * @property {"check"} type
 * @property {string} name
 * @property {boolean | null} passed
 * @property {string} detail
 */

/**
 * @param {string} name
 * @param {boolean | null} passed
 * @param {string} detail
 * @returns {Check}
 */
export function check(name, passed, detail) {
  return { type: "check", name, passed, detail };
}

/**
 * Where two lists of tensors first differ, as words with the index and both bit patterns; null where they are equal.
 *
 * @param {Plain[]} one
 * @param {Plain[]} other
 * @param {string[]} names
 * @returns {string | null}
 */
export function disagreement(one, other, names) {
  for (const [i, { dtype, shape, values }] of one.entries()) {
    const there = other[i];
    if (`${there.dtype}[${there.shape}]` !== `${dtype}[${shape}]`) {
      return `${names[i]} is ${dtype}[${shape}] and ${there.dtype}[${there.shape}]`;
    }
    const found = firstDifference(values, there.values);
    if (found) {
      const index = unravel(found.at, shape).join(", ");
      return `${names[i]}[${index}] is ${found.one} and ${found.other} (${found.count} of ${values.length} values differ)`;
    }
  }
  return null;
}

/**
 * Read several tensors and free them.
 *
 * @param {Tensor[]} tensors
 * @returns {Promise<Plain[]>}
 */
export async function readAll(tensors) {
  const read = [];
  try {
    for (const tensor of tensors) read.push(await readTensor(tensor));
  } finally {
    tensors.forEach((tensor) => tensor.dispose());
  }
  return read;
}

/**
 * Predict again and again: every repetition must give the bits of the first.
 *
 * @param {Plain[]} first
 * @param {() => Outputs} predict
 * @param {number} runs including the first
 * @param {string[]} names
 * @returns {Promise<Check>}
 */
export async function checkRuns(first, predict, runs, names) {
  for (let run = 2; run <= runs; run++) {
    const found = disagreement(first, await readAll(await predict()), names);
    if (found) return check("runs", false, `runs 1 and ${run} of ${runs} differ: ${found}`);
  }
  return check("runs", true, `${runs} runs gave the same bits`);
}

/**
 * Predict the same examples twice over in one batch: both halves must give the bits that they gave alone.
 *
 * @param {any} tf
 * @param {Predictor} model
 * @param {Tensor[]} inputs
 * @param {Plain[]} alone the prediction
 * @param {string[]} names
 * @returns {Promise<Check>}
 */
export async function checkBatch(tf, model, inputs, alone, names) {
  const untried = (/** @type {string} */ why) => check("batch", null, `other batch positions were not tried: ${why}`);
  if (model.inputs.some(({ shape }) => shape[0] !== null)) return untried("the model's batch size is fixed");
  if (model.stateful) return untried("the model keeps states from one batch to the next");
  const size = inputs[0].shape[0];
  if (alone.some(({ shape }) => shape[0] !== size)) return untried("an output has not one row for each example");
  let twice;
  try {
    twice = await readAll(await predictTwice(tf, model, inputs));
  } catch (error) {
    return untried(`a batch of ${2 * size} fails (${messageOf(error)})`);
  }
  if (twice.some(({ shape }) => shape[0] !== 2 * size)) return untried("an output does not grow with the batch");
  const first = disagreement(alone, halves(twice, 0), names);
  if (first) return check("batch", false, `alone and first of two in a batch of ${2 * size} differ: ${first}`);
  const second = disagreement(alone, halves(twice, 1), names);
  if (second) return check("batch", false, `alone and second of two in a batch of ${2 * size} differ: ${second}`);
  return check("batch", true, `the same bits at other positions of a batch of ${2 * size}`);
}

/** @param {any} tf @param {Predictor} model @param {Tensor[]} inputs @returns {Promise<Tensor[]>} */
async function predictTwice(tf, model, inputs) {
  const doubled = inputs.map((input) => tf.concat([input, input], 0));
  try {
    return await predictOnce(model, doubled);
  } finally {
    doubled.forEach((tensor) => tensor.dispose());
  }
}

/** @param {Plain[]} tensors @param {0 | 1} which @returns {Plain[]} */
function halves(tensors, which) {
  return tensors.map(({ dtype, shape, values }) => {
    const half = values.length / 2;
    return { dtype, shape: [shape[0] / 2, ...shape.slice(1)], values: values.subarray(which * half, (which + 1) * half) };
  });
}

/**
 * One prediction of all examples in a single batch; a stateful model starts from its initial states.
 *
 * @param {Predictor} model
 * @param {Tensor[]} inputs
 * @returns {Outputs} to be disposed by the caller
 */
export function predictOnce(model, inputs) {
  if (model.stateful) model.resetStates();
  const outputs = model.predict(inputs, { batchSize: inputs[0].shape[0] });
  return outputs instanceof Promise ? outputs.then(listOf) : listOf(outputs);
}

/** @param {Tensor | Tensor[]} tensors @returns {Tensor[]} */
export function listOf(tensors) {
  return Array.isArray(tensors) ? tensors : [tensors];
}

const SHOWN = 8; // calls named in a sentence

/**
 * Whether every call that the host knows of was made.
 *
 * @param {Call[]} expected
 * @param {Call[]} made
 * @returns {Check}
 */
export function checkCalls(expected, made) {
  const seen = new Set(made.map(callName));
  const missing = expected.map(callName).filter((name) => !seen.has(name));
  if (missing.length === 0) return check("calls", true, `all ${expected.length} calls of the model's layers were made`);
  const shown = missing.slice(0, SHOWN).join(", ") + (missing.length > SHOWN ? ", …" : "");
  return check("calls", false, `TensorFlow.js never made ${missing.length} of ${expected.length} calls: ${shown}`);
}

/**
 * Whether the graphics device executed all that it was given.
 *
 * @param {string[]} faults
 * @returns {Check}
 */
export function checkDevice(faults) {
  if (faults.length === 0) return check("device", true, "the graphics device reported no error");
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : "";
  const said = `the graphics device rejected what TensorFlow.js gave it, so values are missing: ${faults[0]}${more}`;
  return check("device", false, said);
}

/** @param {Call} call @returns {string} the path, each layer called again marked by which call it is */
export function callName({ path, nodes }) {
  return path.map((name, i) => (nodes[i] > 0 ? `${name}[${nodes[i]}]` : name)).join("/");
}
