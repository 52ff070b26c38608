/** Tensors as bytes, and whether two are the same bits. */

import { Failure } from "./failure.js";

/**
 * @typedef {import("./types.js").Tensor} Tensor
 * @typedef {import("./types.js").Values} Values
 */

/**
 * @typedef {object} Plain  a tensor in ordinary memory
 * @property {"float32" | "int32" | "bool"} dtype
 * @property {number[]} shape
 * @property {Values} values
 */

/**
 * Read a tensor back, bits untouched. Arrays of another type than the tensor's are converted: a backend may keep
 * a cast tensor in the array it was cast from.
 *
 * @param {Tensor} tensor
 * @returns {Promise<Plain>}
 * @throws {Failure} capture: a dtype that has no bytes (string, complex64)
 */
export async function readTensor(tensor) {
  const { dtype, shape } = tensor;
  const values = await tensor.data();
  switch (dtype) {
    case "float32":
      return { dtype, shape, values: values instanceof Float32Array ? values : Float32Array.from(values) };
    case "int32":
      return { dtype, shape, values: values instanceof Int32Array ? values : Int32Array.from(values) };
    case "bool":
      return { dtype, shape, values: values instanceof Uint8Array ? values : Uint8Array.from(values, Number) };
    default:
      throw new Failure("capture", `a tensor of dtype ${dtype} has no bytes that could be compared`);
  }
}

/**
 * The bytes of typed values, without copying. (Every platform that runs a browser is little-endian.)
 *
 * @param {Values} values
 * @returns {Uint8Array}
 */
export function bytesOf(values) {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/**
 * @typedef {object} Difference
 * @property {number} at  flat index of the first element that differs
 * @property {number} count  elements that differ
 * @property {string} one  its bits, in hexadecimal
 * @property {string} other
 */

/**
 * Compare two arrays of one type bit by bit: NaN equals the same NaN, 0 is not -0.
 *
 * @param {Values} one
 * @param {Values} other of the same type and length
 * @returns {Difference | null}
 */
export function firstDifference(one, other) {
  const a = words(one);
  const b = words(other);
  let at = -1;
  let count = 0;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) {
      if (at < 0) at = i;
      count++;
    }
  }
  return at < 0 ? null : { at, count, one: hex(a, at), other: hex(b, at) };
}

/** @param {Values} values @returns {Int32Array | Uint8Array} */
function words(values) {
  return values instanceof Uint8Array ? values : new Int32Array(values.buffer, values.byteOffset, values.length);
}

/** @param {Int32Array | Uint8Array} array @param {number} at */
function hex(array, at) {
  const digits = array.BYTES_PER_ELEMENT * 2;
  return `0x${(array[at] >>> 0).toString(16).padStart(digits, "0")}`;
}

/**
 * The index of an element by axis.
 *
 * @param {number} at flat index
 * @param {number[]} shape
 * @returns {number[]}
 */
export function unravel(at, shape) {
  const index = new Array(shape.length);
  let rest = at;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = rest % shape[axis];
    rest = Math.floor(rest / shape[axis]);
  }
  return index;
}
