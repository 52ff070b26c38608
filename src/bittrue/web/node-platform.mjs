/** What Node does for an agent: files, hashes, and TensorFlow.js without a package manager. */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { compileFunction } from "node:vm";

/** @type {import("./types.js").Platform} */
export const nodePlatform = {
  agent: "node",
  userAgent: `Node.js/${process.versions.node} V8/${process.versions.v8} (${process.platform}; ${process.arch})`,
  read: (base, name) => readFile(path.join(base, ...name.split("/"))),
  sha256: async (bytes) => createHash("sha256").update(bytes).digest("hex"),
  loadTf,
  wasmFolder: (base) => path.join(base, path.sep),
  breathe: () => new Promise((resolve) => setImmediate(resolve)),
  details: () => ({
    engine: "node",
    engine_version: process.versions.node,
    v8: process.versions.v8,
    arch: process.arch,
    logical_cpus: os.cpus().length,
  }),
};

/**
 * Load the scripts that a page would load, as CommonJS modules. They are compiled here and not by `require`, so that
 * no package.json above their folder has a say, and so that a backend finds the core in the script before it.
 *
 * @param {import("./types.js").Job["runtime"]} runtime
 * @returns {Promise<any>} the `tf` object
 */
async function loadTf({ base, scripts }) {
  // Nothing here is fetched, and old loaders of WebAssembly read a file only where there is no fetch to try.
  /** @type {any} */ (globalThis).fetch = undefined;
  const own = createRequire(import.meta.url);
  /** @type {any} */
  let tf = null;
  for (const script of scripts) {
    const file = path.join(base, script);
    const require = (/** @type {string} */ name) => (name.startsWith("@tensorflow/") ? tf : own(name));
    const module = { exports: /** @type {any} */ ({}) };
    const names = ["exports", "require", "module", "__filename", "__dirname"];
    const run = compileFunction(await readFile(file, "utf8"), names, { filename: file });
    run.call(globalThis, module.exports, require, module, file, base);
    if (tf === null) tf = extensible(module.exports);
    else if (/backend-wasm/.test(script)) tf.wasm = module.exports;
  }
  return tf;
}

/** The exports of a script, open to be extended as the global `tf` of a page is. @param {any} exports */
function extensible(exports) {
  return Object.create(exports);
}
