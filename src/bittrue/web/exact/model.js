/** An exact model that is ready to predict, and what it may be fed. */

import { alone, gather } from "./crew.js";
import { ExactError } from "./errors.js";
import { Instance } from "./instance.js";

/**
 * @typedef {import("./file.js").ExactFile} ExactFile
 * @typedef {import("./instance.js").Tensor} Tensor
 * @typedef {import("./instance.js").Values} Values
 * @typedef {import("./plan.js").Dtype} Dtype
 * @typedef {import("./plan.js").Input} Input
 * @typedef {import("./plan.js").Named} Named
 */

/** @typedef {ArrayLike<number> | {data: ArrayLike<number>, shape: readonly number[]}} Given */

/** @type {{[dtype in Dtype]: (data: ArrayLike<number>) => Values}} */
const ARRAYS = {
  float32: (data) => (data instanceof Float32Array ? /** @type {Float32Array<ArrayBuffer>} */ (data) : Float32Array.from(data)),
  int32: (data) => (data instanceof Int32Array ? /** @type {Int32Array<ArrayBuffer>} */ (data) : Int32Array.from(data)),
  bool: (data) => Uint8Array.from(data),
};

export class ExactModel {
  /**
   * @param {WebAssembly.Module} module
   * @param {ExactFile} file
   * @param {number} maxCost the most multiplications and steps of elements that a prediction may take
   * @param {import("./crew.js").Crew | null} [crew] the threads that predict, where there are several
   */
  constructor(module, file, maxCost, crew = null) {
    this.module = module;
    this.plan = file.plan;
    this.constants = file.constants;
    this.sha256 = file.sha256;
    this.maxCost = maxCost;
    this.crew = crew;
    /** @type {Instance | null} */
    this.instance = this.#started(file.plan.outputs, crew ?? alone(module));
  }

  get name() {
    return this.plan.name;
  }

  get inputs() {
    return this.plan.inputs;
  }

  /** Names of the outputs, in their order. */
  get outputs() {
    return this.plan.outputs.map(({ name }) => name);
  }

  /** Bytes of WebAssembly memory that it holds. */
  get bytes() {
    return this.instance?.bytes ?? 0;
  }

  /**
   * What the model returns: one tensor, or a list of them if it has several outputs.
   *
   * @param {Given | Given[] | {[name: string]: Given}} x
   * @returns {Tensor | Tensor[]}
   * @throws {ExactError} input, cost, memory
   */
  predict(x) {
    const made = this.#running.run(this.#fed(x), this.maxCost);
    return made.length === 1 ? made[0] : made;
  }

  /**
   * What a prediction takes, in multiplications and steps of elements; nothing is computed.
   *
   * @param {Given | Given[] | {[name: string]: Given}} x
   */
  cost(x) {
    return this.#running.cost(this.#fed(x).map(({ shape }) => shape));
  }

  /**
   * What values of the plan are for the input `x`, of `plan.layers` for example. For tracing: it takes memory of its own.
   *
   * @param {Given | Given[] | {[name: string]: Given}} x
   * @param {Named[]} wanted
   */
  layers(x, wanted) {
    return this.#started(wanted, alone(this.module)).run(this.#fed(x), this.maxCost);
  }

  /** Let go of its memory; it cannot predict any more. */
  dispose() {
    this.crew?.end();
    this.instance = null;
    this.constants = new Map();
  }

  /** @param {Named[]} returned @param {{exports: any, memory: WebAssembly.Memory}} started */
  #started(returned, started) {
    return new Instance(started, this.plan, this.constants, returned.map(({ value }) => value));
  }

  get #running() {
    if (this.instance === null) throw new ExactError("ended", "the model was disposed of: load it again");
    return this.instance;
  }

  /** @param {any} x @returns {Tensor[]} */
  #fed(x) {
    const given = this.#listed(x);
    const names = this.inputs.map(({ name }) => name).join(", ");
    if (given.length !== this.inputs.length) {
      throw new ExactError("input", `the model takes ${this.inputs.length} inputs (${names}), but ${given.length} were given`);
    }
    return this.inputs.map((input, i) => fitting(input, given[i]));
  }

  /** @param {any} x @returns {any[]} one a input, in their order */
  #listed(x) {
    if (isNumbers(x) || isTensor(x)) return [x];
    if (Array.isArray(x)) return x;
    const names = this.inputs.map(({ name }) => name);
    if (x === null || typeof x !== "object") {
      throw new ExactError("input", `${String(x)} is no input: the model takes ${names.join(", ")}`);
    }
    const keys = Object.keys(x);
    if (keys.length !== names.length || !names.every((name) => Object.hasOwn(x, name))) {
      throw new ExactError("input", `the model's inputs are ${names.join(", ")}, but ${keys.join(", ") || "none"} were given`);
    }
    return names.map((name) => x[name]);
  }
}

/**
 * A model with the threads that it is to have.
 *
 * @param {WebAssembly.Module} module
 * @param {ExactFile} file
 * @param {number} maxCost
 * @param {number} threads
 */
export async function modelOf(module, file, maxCost, threads) {
  const crew = threads === 1 ? null : await gather(module, threads);
  try {
    return new ExactModel(module, file, maxCost, crew);
  } catch (error) {
    crew?.end();
    throw error;
  }
}

/** @param {any} x */
function isNumbers(x) {
  if (ArrayBuffer.isView(x)) return !(x instanceof DataView);
  return Array.isArray(x) && (x.length === 0 || typeof x[0] === "number" || typeof x[0] === "boolean");
}

/** @param {any} x */
function isTensor(x) {
  return x !== null && typeof x === "object" && isNumbers(x.data) && Array.isArray(x.shape);
}

/** @param {Input} input @param {any} given @returns {Tensor} */
function fitting(input, given) {
  const { name, shape: wanted, dtype } = input;
  if (!isNumbers(given) && !isTensor(given)) {
    throw new ExactError("input", `input ${JSON.stringify(name)} is neither an array of numbers nor {data, shape}`);
  }
  const data = isTensor(given) ? given.data : given;
  const shape = isTensor(given) ? [...given.shape] : inferred(input, data.length);
  const fits = shape.length === wanted.length && shape.every((size, i) => isSize(size) && (wanted[i] ?? size) === size);
  if (!fits) {
    throw new ExactError("input", `input ${JSON.stringify(name)} has shape [${shape}], but the model takes ${shown(wanted)}`);
  }
  if (data.length !== shape.reduce((/** @type {number} */ product, /** @type {number} */ size) => product * size, 1)) {
    throw new ExactError("input", `input ${JSON.stringify(name)} holds ${data.length} numbers, but its shape is [${shape}]`);
  }
  return { data: converted(name, data, dtype), shape, dtype };
}

/** @param {any} size */
function isSize(size) {
  return Number.isInteger(size) && size >= 0 && size < 2 ** 31;
}

/** The shape of bare numbers, where only one is possible. @param {Input} input @param {number} length @returns {number[]} */
function inferred({ name, shape }, length) {
  const known = shape.reduce((/** @type {number} */ product, size) => product * (size ?? 1), 1);
  const open = shape.filter((size) => size === null).length;
  const rest = length / known;
  if (open > 1 || (open === 1 ? !isSize(rest) : rest !== 1)) {
    const advice = open > 1 ? "give {data, shape}" : `it takes ${shown(shape)}`;
    const what = `input ${JSON.stringify(name)} has ${length} numbers, from which its shape does not follow`;
    throw new ExactError("input", `${what}: ${advice}`);
  }
  return shape.map((size) => size ?? rest);
}

/** @param {(number | null)[]} shape */
function shown(shape) {
  return `[${shape.map((size) => size ?? "?").join(",")}]`;
}

/**
 * The numbers in the model's own dtype; those that it does not hold exactly are refused.
 *
 * @param {string} name @param {ArrayLike<number>} data @param {Dtype} dtype @returns {Values}
 */
function converted(name, data, dtype) {
  const refused = /** @param {string} what */ (what) =>
    new ExactError("input", `input ${JSON.stringify(name)} holds ${what} that ${dtype} does not: convert it first`);
  let values;
  try {
    values = ARRAYS[dtype](data);
  } catch {
    throw refused("numbers of a kind");
  }
  if (dtype === "float32" && values === data) return values;
  for (let i = 0; i < values.length; i++) {
    const number = Number(data[i]);
    if (values[i] !== number && !Number.isNaN(number)) throw refused(`the number ${number}`);
    if (Number.isNaN(number) && (dtype !== "float32" || data[i] === undefined)) throw refused("what is no number or one");
    if (dtype === "bool" && number > 1) throw refused(`the number ${number}`);
  }
  return values;
}
