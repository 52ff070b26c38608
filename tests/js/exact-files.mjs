/** Exact models written by hand: safetensors, its plan and its hash, from the specification. */

import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";

export const MODULE = fileURLToPath(new URL("../../src/bittrue/_kernels/exact.wasm", import.meta.url));
export const THREADED = MODULE.replace("exact.wasm", "exact-threads.wasm");

/** y = x · kernel + bias, then its largest place. */
export const DENSE = {
  semantics: "bittrue-exact-1",
  name: "dense",
  inputs: [["x", [null, 2], "float32"]],
  constants: ["kernel", "bias"],
  operations: [["matmul", [0, 1, 2], [], "d"], ["relu", [3], [], "r"], ["argmax", [4], [-1], "a"]],
  outputs: [["r", 4], ["a", 5]],
  layers: [["d", 0, 0, 3], ["r", 0, 0, 4]],
};

export const WEIGHTS = {
  kernel: ["F32", [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)],
  bias: ["F32", [3], Float32Array.of(0.5, -100, 0)],
};

/**
 * A file of any plan and tensors.
 *
 * @param {any} plan an object, or the text itself
 * @param {{[name: string]: any[]}} tensors label, shape and values of each
 * @param {(header: any) => void} [alter] changes the header before it is written
 * @returns {Uint8Array}
 */
export function fileOf(plan, tensors, alter = () => {}) {
  const text = typeof plan === "string" ? plan : JSON.stringify(plan);
  const blobs = Object.values(tensors).map(([, , values]) => Buffer.from(values.buffer));
  const data = Buffer.concat(blobs);
  const hash = createHash("sha256").update(text).update(data).digest("hex");
  /** @type {any} */
  const header = { __metadata__: { "bittrue.exact": text, "bittrue.exact.sha256": hash } };
  let at = 0;
  for (const [i, [name, [dtype, shape]]] of Object.entries(tensors).entries()) {
    header[name] = { dtype, shape, data_offsets: [at, (at += blobs[i].length)] };
  }
  alter(header);
  const encoded = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(encoded.length));
  return new Uint8Array(Buffer.concat([length, encoded, data]));
}

/** A plan that differs from `DENSE`. @param {any} changes */
export const planWith = (changes) => ({ ...DENSE, ...changes });
