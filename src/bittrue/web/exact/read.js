/** Where a model comes from: bytes, an address, a path, or whatever else has bytes. */

import { ExactError, said } from "./errors.js";

/** @typedef {string | URL | Request | Response | Blob | ArrayBuffer | ArrayBufferView} Source */

/**
 * @param {Source} source
 * @returns {Promise<{bytes: Uint8Array, owned: boolean}>} `owned`: nobody else has them
 * @throws {ExactError} read
 */
export async function readSource(source) {
  if (ArrayBuffer.isView(source)) {
    return { bytes: new Uint8Array(source.buffer, source.byteOffset, source.byteLength), owned: false };
  }
  if (isBuffer(source)) return { bytes: new Uint8Array(/** @type {ArrayBuffer} */ (source)), owned: false };
  try {
    return { bytes: await fetched(source), owned: true };
  } catch (error) {
    throw new ExactError("read", `the model cannot be read from ${nameOf(source)}: ${said(error)}`);
  }
}

/** @param {any} source */
function isBuffer(source) {
  return ["[object ArrayBuffer]", "[object SharedArrayBuffer]"].includes(Object.prototype.toString.call(source));
}

/** @param {any} source @returns {Promise<Uint8Array>} */
async function fetched(source) {
  if (typeof source?.arrayBuffer === "function" && typeof source.url !== "string") {
    return new Uint8Array(await source.arrayBuffer()); // a Blob
  }
  const path = pathOf(source);
  if (path !== null) {
    const { readFile } = await import(/* webpackIgnore: true */ /* @vite-ignore */ "node:fs/promises");
    return new Uint8Array(await readFile(path));
  }
  const answer = typeof source?.arrayBuffer === "function" && "ok" in source ? source : await fetch(source);
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** The file that a source names where there are files: in Node and Deno. @param {any} source @returns {string | URL | null} */
function pathOf(source) {
  const files = Boolean(/** @type {any} */ (globalThis).process?.versions?.node);
  if (source instanceof URL) return files && source.protocol === "file:" ? source : null;
  if (typeof source !== "string") return null;
  if (files && source.startsWith("file:")) return new URL(source);
  return files && !/^(https?|data|blob):/i.test(source) ? source : null;
}

/** @param {any} source */
function nameOf(source) {
  const name = typeof source === "string" || source instanceof URL ? String(source) : source?.url;
  return typeof name === "string" && name !== "" ? name.slice(0, 200) : "what was given";
}
