/**
 * Exact models in browsers, Node, Deno and workers: the same bits as in Python, to the last one.
 *
 *     import { load } from "bittrue";
 *     const model = await load("model.safetensors");
 *     const y = model.predict(x);
 */

import { ExactError } from "./errors.js";
import { digest, parseFile } from "./file.js";
import { compile } from "./instance.js";
import { ExactModel, modelOf } from "./model.js";
import { SEMANTICS } from "./plan.js";
import { readSource } from "./read.js";
import { RemoteModel } from "./remote.js";

export { ExactError, ExactModel, RemoteModel, SEMANTICS };

/**
 * @typedef {import("./read.js").Source} Source
 * @typedef {object} Options
 * @property {number} [maxCost] the most multiplications and steps of elements that a prediction may take
 * @property {number} [threads] that share each prediction; more than one need a page that is cross-origin isolated
 * @property {Source | WebAssembly.Module} [module] exact.wasm (with threads exact-threads.wasm), where it lies elsewhere
 */

/** The modules beside this file, once they were asked for. @type {Map<string, Promise<WebAssembly.Module>>} */
const own = new Map();

/**
 * Load an exact model, written by `bittrue export`.
 *
 * @param {Source} source bytes, an address, a Request or Response, a Blob, or (in Node and Deno) a path
 * @param {Options} [options]
 * @returns {Promise<ExactModel>}
 * @throws {ExactError}
 */
export async function load(source, { maxCost = Infinity, threads = 1, module } = {}) {
  refuseCost(maxCost);
  const compiled = await moduleOf(module, threads);
  const { bytes, owned } = await readSource(source);
  return modelOf(compiled, await parseFile(bytes, owned), maxCost, threads);
}

/**
 * The same in a worker of its own, which `terminate` ends at any time.
 *
 * @param {Source} source
 * @param {Options} [options]
 * @returns {Promise<RemoteModel>}
 * @throws {ExactError}
 */
export async function loadInWorker(source, { maxCost = Infinity, threads = 1, module } = {}) {
  refuseCost(maxCost);
  const compiled = await moduleOf(module, threads);
  const { bytes, owned } = await readSource(source);
  return RemoteModel.start({ module: compiled, maxCost, threads }, bytes, owned);
}

/** SHA-256 (hexadecimal) of the bytes of a module. @param {Source} source */
export async function moduleHash(source) {
  return digest((await readSource(source)).bytes);
}

/** @param {number} maxCost */
function refuseCost(maxCost) {
  if (typeof maxCost === "number" && maxCost > 0) return;
  throw new ExactError("cost", `maxCost is ${String(maxCost)}: it must be a number above 0`);
}

/** @param {Options["module"]} given @param {number} threads @returns {Promise<WebAssembly.Module>} */
async function moduleOf(given, threads) {
  if (typeof WebAssembly === "object" && given instanceof WebAssembly.Module) return given;
  if (given !== undefined) return compiledFrom(/** @type {Source} */ (given));
  const url = threads === 1 ? new URL("./exact.wasm", import.meta.url) : new URL("./exact-threads.wasm", import.meta.url);
  const compiled = own.get(url.href) ?? compiledFrom(url);
  own.set(url.href, compiled);
  try {
    return await compiled;
  } catch (error) {
    own.delete(url.href); // it may be there the next time
    throw error;
  }
}

/** @param {Source} source */
async function compiledFrom(source) {
  const { bytes } = await readSource(source);
  return compile(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
}
