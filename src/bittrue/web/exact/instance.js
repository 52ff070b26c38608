/**
 * The WebAssembly module with one plan in its memory, which nothing that a plan asks for can leave. It imports nothing; the
 * threaded build, that memory.
 */

import { ExactError, said } from "./errors.js";
import { DTYPES, program } from "./plan.js";

/**
 * @typedef {import("./plan.js").Dtype} Dtype
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>} Values
 */

/**
 * @typedef {object} Tensor
 * @property {Values} data  row-major: Float32Array, Int32Array, or (bool) Uint8Array of 0 and 1
 * @property {number[]} shape
 * @property {Dtype} dtype
 */

/** A module that needs SIMD and nothing else: one function that gives a vector of zeros. */
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 17, 11];

/** What the module's functions answer. */
const FINE = 0;
const NO_MEMORY = 2;
const MISFIT = 3;
const NO_ROW = 4;
const OTHER_VERSION = 5;

/**
 * @param {BufferSource} code of the module
 * @returns {Promise<WebAssembly.Module>}
 * @throws {ExactError} engine
 */
export async function compile(code) {
  if (typeof WebAssembly !== "object") throw new ExactError("engine", "this JavaScript engine has no WebAssembly");
  if (!WebAssembly.validate(new Uint8Array(SIMD))) {
    throw new ExactError("engine", "this JavaScript engine has no SIMD in WebAssembly: update it (browsers since 2023, Node 16.4)");
  }
  try {
    return await WebAssembly.compile(code);
  } catch (error) {
    throw new ExactError("engine", `the module exact.wasm cannot be compiled: ${said(error)}`);
  }
}

export class Instance {
  /**
   * @param {{exports: any, memory: WebAssembly.Memory}} started the module, fresh
   * @param {Plan} plan
   * @param {Map<string, Uint8Array>} constants
   * @param {number[]} outputs numbers of the values to return
   */
  constructor({ exports, memory }, plan, constants, outputs) {
    this.plan = plan;
    this.outputs = outputs.length;
    this.exports = exports;
    this.memory = memory;
    /** @type {number[][] | null} */
    this.shapes = null;
    const addresses = plan.constants.map(({ name, dtype }) => this.#put(words(dtype, constants.get(name) ?? new Uint8Array())));
    const steps = program(plan, addresses, outputs);
    const axes = plan.inputs.reduce((sum, { shape }) => sum + shape.length, 0);
    this.room = this.#reserve(4 * axes + 4);
    const at = this.#put(new Uint8Array(steps.buffer));
    this.#check(this.#call("load", at, steps.length), null);
  }

  /** Bytes of the module's memory. */
  get bytes() {
    return this.memory.buffer.byteLength;
  }

  /**
   * What a prediction on inputs of `shapes` takes, in multiplications and steps of elements.
   *
   * @param {number[][]} shapes
   * @returns {number}
   */
  cost(shapes) {
    if (JSON.stringify(shapes) !== JSON.stringify(this.shapes)) {
      this.shapes = null;
      this.#write(this.room, new Uint8Array(Int32Array.from(shapes.flat()).buffer));
      this.#check(this.#call("prepare", this.room), shapes);
      this.shapes = shapes;
    }
    return this.#call("cost");
  }

  /**
   * @param {Tensor[]} inputs of the plan's dtypes
   * @param {number} maxCost
   * @returns {Tensor[]}
   */
  run(inputs, maxCost) {
    const cost = this.cost(inputs.map(({ shape }) => shape));
    if (cost > maxCost) {
      const said = `a prediction on inputs of these shapes takes ${cost.toPrecision(3)} operations`;
      throw new ExactError("cost", `${said}, more than the ${maxCost.toPrecision(3)} allowed`);
    }
    for (const [i, { data, dtype }] of inputs.entries()) {
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      this.#write(this.#call("input_address", i), words(dtype, bytes));
    }
    this.#check(this.#call("run"), null);
    return Array.from({ length: this.outputs }, (_, i) => this.#output(i));
  }

  /** @param {number} at @returns {Tensor} a copy */
  #output(at) {
    const rank = this.#call("output_rank", at);
    const shape = Array.from({ length: rank }, (_, axis) => this.#call("output_size", at, axis));
    const size = shape.reduce((product, length) => product * length, 1);
    const dtype = DTYPES[this.#call("output_dtype", at)];
    const address = this.#call("output_address", at);
    const buffer = /** @type {ArrayBuffer} */ (this.memory.buffer);
    if (dtype === "float32") return { data: new Float32Array(buffer, address, size).slice(), shape, dtype };
    const numbers = new Int32Array(buffer, address, size);
    return { data: dtype === "bool" ? Uint8Array.from(numbers) : numbers.slice(), shape, dtype };
  }

  /** @param {string} name @param {number[]} given @returns {number} */
  #call(name, ...given) {
    try {
      return this.exports[name](...given);
    } catch (error) {
      this.shapes = null;
      throw new ExactError("plan", `the module stopped (${said(error)}): the model is malformed`);
    }
  }

  /** @param {number} bytes @returns {number} an address */
  #reserve(bytes) {
    const address = bytes < 2 ** 31 ? this.#call("reserve", bytes) : 0;
    if (address === 0) {
      const said = `the model does not fit the memory that WebAssembly can give: ${bytes} more bytes`;
      throw new ExactError("memory", said);
    }
    return address;
  }

  /** @param {Uint8Array} bytes @returns {number} where they are */
  #put(bytes) {
    const address = this.#reserve(Math.max(bytes.length, 4));
    this.#write(address, bytes);
    return address;
  }

  /** @param {number} address @param {Uint8Array} bytes */
  #write(address, bytes) {
    new Uint8Array(this.memory.buffer).set(bytes, address);
  }

  /** @param {number} status @param {number[][] | null} shapes that were asked for */
  #check(status, shapes) {
    if (status === FINE) return;
    const at = this.#call("failed_op");
    const step = this.plan.operations[at];
    const where = step === undefined ? "its outputs" : `operation ${at} (${step.name}, layer ${JSON.stringify(step.layer)})`;
    const given = shapes === null ? "" : ` for inputs of shapes ${shapes.map((shape) => `[${shape}]`).join(", ")}`;
    throw {
      [NO_MEMORY]: new ExactError("memory", `the model needs more memory than there is (at ${where}): use a smaller batch`),
      [MISFIT]: new ExactError("input", `the shapes do not fit${given}: ${where} cannot take them`),
      [NO_ROW]: new ExactError("input", `an input holds a number that is no row of the table of ${where}`),
      [OTHER_VERSION]: new ExactError("version", "exact.wasm is of another version than this package: take both from one"),
    }[status] ?? new ExactError("plan", `the model's plan is malformed at ${where}: export the model again`);
  }
}

/** The elements as the module holds them: one 32-bit word each. @param {Dtype} dtype @param {Uint8Array} bytes */
function words(dtype, bytes) {
  return dtype === "bool" ? new Uint8Array(Int32Array.from(bytes).buffer) : bytes;
}
