/** Exact models as files: safetensors, the plan in the metadata, and a hash over the plan and the data. See spec.md, 2.3. */

import { sha256 } from "../sha256.js";
import { ExactError, said } from "./errors.js";
import { parsePlan } from "./plan.js";

/**
 * @typedef {import("./plan.js").Affine} Affine
 * @typedef {import("./plan.js").Stored["dtype"]} Dtype
 * @typedef {import("./plan.js").Plan} Plan
 */

/**
 * @typedef {object} ExactFile  a file that was read and found whole
 * @property {Plan} plan
 * @property {Map<string, Uint8Array>} constants  the bytes of each, in the file's own memory where they need no widening
 * @property {string} sha256  of the plan and the data, in hexadecimal
 */

const PLAN = "bittrue.exact";
const HASH = "bittrue.exact.sha256";
const LARGEST_HEADER = 100_000_000; // of safetensors itself

/** @type {{[label: string]: {dtype: Dtype, bytes: number}}} */
const STORED = {
  F32: { dtype: "float32", bytes: 4 },
  F16: { dtype: "float32", bytes: 2 },
  U16: { dtype: "uint16", bytes: 2 },
  U8: { dtype: "uint8", bytes: 1 },
  I32: { dtype: "int32", bytes: 4 },
  BOOL: { dtype: "bool", bytes: 1 },
};

/**
 * Read a file and check every byte of it.
 *
 * @param {Uint8Array} bytes
 * @param {boolean} owned whether nobody else reads `bytes`: the header is then overwritten, which saves a copy
 * @returns {Promise<ExactFile>}
 * @throws {ExactError} damaged, version, plan
 */
export async function parseFile(bytes, owned) {
  const { header, start } = headerOf(bytes);
  const { __metadata__: metadata, ...entries } = header;
  const text = metadata?.[PLAN];
  if (typeof text !== "string") {
    throw new ExactError("damaged", "this is no exact model: write one with bittrue export MODEL model.safetensors");
  }
  const data = bytes.subarray(start);
  const found = await digest(hashed(bytes, start, new TextEncoder().encode(text), owned));
  if (found !== metadata[HASH]) {
    throw new ExactError("damaged", "the file is damaged or was altered: its content does not match its hash");
  }
  const tensors = new Map(Object.entries(entries).map(([name, entry]) => [name, tensorOf(name, entry, data)]));
  const plan = parsePlan(text, tensors);
  /** @type {Map<string, Uint8Array>} */
  const constants = new Map();
  for (const { name, affine } of plan.constants) {
    const { dtype, bytes } = /** @type {{dtype: Dtype, bytes: Uint8Array}} */ (tensors.get(name));
    constants.set(name, affine === null ? bytes : scaled(dtype, bytes, affine));
  }
  return { plan, constants, sha256: found };
}

/** @param {Uint8Array} bytes @returns {{header: any, start: number}} */
function headerOf(bytes) {
  const short = () => new ExactError("damaged", "this is no safetensors file, or it was cut short");
  if (bytes.length < 8) throw short();
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (length < 2 || length > Math.min(bytes.length - 8, LARGEST_HEADER)) throw short();
  let header;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)));
  } catch {
    throw new ExactError("damaged", "the file's header is not JSON: it is damaged");
  }
  if (header === null || typeof header !== "object" || Array.isArray(header)) {
    throw new ExactError("damaged", "the file's header is malformed");
  }
  return { header, start: 8 + length };
}

/**
 * The plan and the data behind it in one piece. In JSON the plan is at least as long as by itself, so that there is room
 * for it in the header.
 *
 * @param {Uint8Array} bytes @param {number} start @param {Uint8Array} plan @param {boolean} owned
 */
function hashed(bytes, start, plan, owned) {
  if (owned && plan.length <= start) {
    bytes.set(plan, start - plan.length);
    return bytes.subarray(start - plan.length);
  }
  const joined = new Uint8Array(plan.length + bytes.length - start);
  joined.set(plan);
  joined.set(bytes.subarray(start), plan.length);
  return joined;
}

/** @param {Uint8Array} bytes @returns {Promise<string>} SHA-256 in hexadecimal */
export async function digest(bytes) {
  if (!globalThis.crypto?.subtle) return sha256(bytes);
  const hash = await crypto.subtle.digest("SHA-256", /** @type {Uint8Array<ArrayBuffer>} */ (bytes));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} name @param {any} entry @param {Uint8Array} data */
function tensorOf(name, entry, data) {
  try {
    const stored = Object.hasOwn(STORED, entry.dtype) ? STORED[entry.dtype] : undefined;
    const [first, stop] = entry.data_offsets;
    const sizes = /** @type {number[]} */ (entry.shape);
    const whole = Array.isArray(sizes) && [...sizes, first, stop].every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 32);
    const bytes = sizes.reduce((product, size) => product * size, stored?.bytes ?? NaN);
    if (!stored || !whole || first + bytes !== stop || stop > data.length) throw new TypeError(`${JSON.stringify(entry)}`);
    const own = data.subarray(first, stop);
    return { shape: sizes, dtype: stored.dtype, bytes: entry.dtype === "F16" ? widened(own) : checked(stored.dtype, own) };
  } catch (error) {
    throw new ExactError("damaged", `the file's tensor ${JSON.stringify(name)} is malformed (${said(error)})`);
  }
}

/**
 * The float32 numbers of a constant in 8 or 16 bits, as bytes.
 *
 * @param {Dtype} dtype
 * @param {Uint8Array} bytes
 * @param {Affine} affine
 */
function scaled(dtype, bytes, { scale, minimum }) {
  const steps = dtype === "uint8" ? bytes : new Uint16Array(bytes.slice().buffer);
  return new Uint8Array(Float32Array.from(steps, (step) => step * scale + minimum).buffer);
}

/** The float32 numbers that float16 numbers are; both as bytes. @param {Uint8Array} bytes */
function widened(bytes) {
  const halves = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bits = new Uint32Array(bytes.length / 2);
  for (let i = 0; i < bits.length; i++) {
    const half = halves.getUint16(2 * i, true);
    const sign = (half & 0x8000) << 16;
    const rest = half & 0x7fff;
    if (rest >= 0x7c00) bits[i] = sign | 0x7f800000 | ((rest & 0x3ff) << 13);
    else if (rest >= 0x400) bits[i] = sign | ((rest << 13) + 0x38000000);
    else if (rest === 0) bits[i] = sign;
    else {
      const above = 31 - Math.clz32(rest); // the place of the first one of a subnormal number
      bits[i] = sign | ((above + 103) << 23) | ((rest << (23 - above)) & 0x7fffff);
    }
  }
  return new Uint8Array(bits.buffer);
}

/** @param {Dtype} dtype @param {Uint8Array} bytes */
function checked(dtype, bytes) {
  if (dtype === "bool" && bytes.some((byte) => byte > 1)) throw new TypeError("a truth value is neither 0 nor 1");
  return bytes;
}
