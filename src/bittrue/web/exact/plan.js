/** The plan of an exact model: its JSON, every number checked, and the words that the module reads. See spec.md, 2. */

import { ExactError, said } from "./errors.js";
import { OPERATIONS } from "./operations.js";

/** The version of the semantics that a model names; another one is refused. */
export const SEMANTICS = "bittrue-exact-1";

/** @typedef {"float32" | "int32" | "bool"} Dtype */
/** @typedef {{name: string, shape: (number | null)[], dtype: Dtype}} Input  null is any size */
/** @typedef {{name: string, shape: number[], dtype: Dtype | "uint8" | "uint16"}} Stored  a tensor of the file */
/** @typedef {{scale: number, minimum: number}} Affine  of a constant that is stored in 8 or 16 bits */
/** @typedef {{name: string, shape: number[], dtype: Dtype, affine: Affine | null}} Constant */
/** @typedef {{name: string, value: number, call: number, index: number}} Named */

/**
 * @typedef {object} Operation
 * @property {string} name
 * @property {string} layer
 * @property {number[]} words  as the module reads them
 */

/**
 * @typedef {object} Plan
 * @property {string} name
 * @property {Input[]} inputs
 * @property {Constant[]} constants
 * @property {Operation[]} operations
 * @property {Named[]} outputs
 * @property {Named[]} layers  what each layer returned
 */

/** By the numbers that the module knows them by. @type {readonly Dtype[]} */
export const DTYPES = ["float32", "int32", "bool"];

const PROGRAM_VERSION = 1;
const MOST_AXES = 8;
const WORD = 2 ** 31;

/**
 * The plan that `text` is.
 *
 * @param {string} text JSON
 * @param {Map<string, Omit<Stored, "name">>} tensors of the file
 * @returns {Plan}
 * @throws {ExactError} version, plan
 */
export function parsePlan(text, tensors) {
  try {
    const document = JSON.parse(text);
    if (document?.semantics !== SEMANTICS) {
      const found = JSON.stringify(document?.semantics);
      const advice = "export it again with the version of Bittrue that this package is from";
      throw new ExactError("version", `the model keeps to the semantics ${found}, but this runtime to "${SEMANTICS}": ${advice}`);
    }
    return planOf(document, tensors);
  } catch (error) {
    if (error instanceof ExactError) throw error;
    throw new ExactError("plan", `the model's plan is malformed (${said(error)}): export it again`);
  }
}

/** @param {any} document @param {Map<string, Omit<Stored, "name">>} tensors @returns {Plan} */
function planOf(document, tensors) {
  const inputs = list(document.inputs).map(inputOf);
  const quantized = new Map(Object.entries(document.quantized ?? {}));
  const constants = list(document.constants).map((name) => constantOf(name, tensors, quantized));
  if (quantized.size > 0) throw new TypeError("it quantises what is none of its constants");
  const known = inputs.length + constants.length;
  const operations = list(document.operations).map((row, i) => operationOf(row, known + i, false));
  const limit = known + operations.length;
  const outputs = list(document.outputs).map(([name, value]) => named(name, 0, 0, whole(value, limit)));
  const layers = list(document.layers).map(([name, call, index, value]) =>
    named(name, whole(call), whole(index), whole(value, limit)),
  );
  if (outputs.length === 0 || inputs.length === 0) throw new TypeError("it has no inputs or outputs");
  if (new Set(inputs.map(({ name }) => name)).size !== inputs.length) throw new TypeError("two inputs have one name");
  return { name: word(document.name), inputs, constants, operations, outputs, layers };
}

/** @param {any} name @param {number} call @param {number} index @param {number} value @returns {Named} */
function named(name, call, index, value) {
  return { name: word(name), call, index, value };
}

/** @param {any[]} row @returns {Input} */
function inputOf([name, shape, dtype]) {
  if (!DTYPES.includes(dtype)) throw new TypeError(`an input of ${dtype}`);
  const sizes = list(shape).map((size) => (size === null ? null : whole(size)));
  if (sizes.length > MOST_AXES) throw new TypeError(`an input with ${sizes.length} axes`);
  return { name: word(name), shape: sizes, dtype };
}

/**
 * @param {any} name
 * @param {Map<string, Omit<Stored, "name">>} tensors
 * @param {Map<string, any>} quantized  from which it is taken
 * @returns {Constant}
 */
function constantOf(name, tensors, quantized) {
  const found = tensors.get(name);
  if (found === undefined) throw new TypeError(`the file has no tensor ${JSON.stringify(name)}`);
  const affine = quantized.has(name) ? affineOf(quantized.get(name)) : null;
  quantized.delete(name);
  const { shape, dtype } = found;
  const few = dtype === "uint8" || dtype === "uint16";
  if (few !== (affine !== null)) throw new TypeError(`${JSON.stringify(name)} is ${dtype}, and has ${affine ? "a" : "no"} scale`);
  return { name, shape, dtype: few ? "float32" : dtype, affine };
}

/** @param {any[]} row @returns {Affine} */
function affineOf([scale, minimum, ...rest]) {
  const finite = [scale, minimum].every((value) => typeof value === "number" && Number.isFinite(value));
  if (!finite || rest.length > 0) throw new TypeError(`${scale} and ${minimum} are no scale and minimum`);
  return { scale, minimum };
}

/** @param {any[]} row @param {number} known values before it @param {boolean} inside a loop @returns {Operation} */
function operationOf([name, operands, attributes, layer, ...rest], known, inside) {
  const code = Object.hasOwn(OPERATIONS, word(name)) ? OPERATIONS[name] : undefined;
  const scan = name === "scan";
  if (code === undefined || rest.length !== (scan ? 2 : 0) || (inside && scan)) {
    throw new TypeError(`no operation is called ${JSON.stringify(name)}`);
  }
  const numbers = list(operands).map((value) => whole(value, known));
  const own = list(attributes).map((value) => whole(value, WORD, -WORD));
  if (numbers.length === 0) throw new TypeError(`${name} has no operands`);
  const words = scan ? [...own, ...loopOf(own, numbers.length, rest)] : own;
  return { name, layer: word(layer), words: [...code, numbers.length, words.length, ...numbers, ...words] };
}

/** @param {number[]} own @param {number} given @param {any[]} rest @returns {number[]} what follows a loop's own attributes */
function loopOf(own, given, [body, results]) {
  if (own.length !== 2) throw new TypeError("a scan has two attributes");
  const steps = list(body).map((row, i) => operationOf(row, given + i, true));
  const states = list(results).map((value) => whole(value, given + steps.length));
  if (states.length !== own[1]) throw new TypeError("a scan has as many results as states");
  return [steps.length, ...steps.flatMap(({ words }) => words), ...states];
}

/** @param {any} value @returns {any[]} */
function list(value) {
  if (!Array.isArray(value)) throw new TypeError(`${JSON.stringify(value)} is no list`);
  return value;
}

/** @param {any} value @returns {string} */
function word(value) {
  if (typeof value !== "string") throw new TypeError(`${JSON.stringify(value)} is not a name`);
  return value;
}

/** @param {any} value @param {number} [limit] @param {number} [low] @returns {number} */
function whole(value, limit = WORD, low = 0) {
  if (!Number.isInteger(value) || value < low || value >= limit) {
    throw new RangeError(`${JSON.stringify(value)} is not a whole number from ${low} to ${limit - 1}`);
  }
  return value;
}

/**
 * What the module loads: the plan with its constants at `addresses` and the values that it shall return.
 *
 * @param {Plan} plan
 * @param {number[]} addresses
 * @param {number[]} outputs
 * @returns {Int32Array<ArrayBuffer>}
 */
export function program(plan, addresses, outputs) {
  const { inputs, constants, operations } = plan;
  const parts = [[PROGRAM_VERSION, inputs.length, constants.length, operations.length, outputs.length]];
  for (const { dtype, shape } of inputs) parts.push([DTYPES.indexOf(dtype), shape.length]);
  for (const [i, { dtype, shape }] of constants.entries()) {
    parts.push([DTYPES.indexOf(dtype), shape.length, ...shape, addresses[i]]);
  }
  for (const { words } of operations) parts.push(words);
  parts.push(outputs);
  const words = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    words.set(part, at);
    at += part.length;
  }
  return words;
}
