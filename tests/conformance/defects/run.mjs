// node run.mjs FILE BACKEND [EXPORT]: what one repro computes in TensorFlow.js as npm installs it, as JSON.
// EXPORT is "compute" unless given.

import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [file, backend, name = "compute"] = process.argv.slice(2);
const require = createRequire(import.meta.url);
console.warn = () => {}; // it recommends another package of its own
globalThis.fetch = undefined; // else the wasm backend would look for its files over the network
const tf = require("@tensorflow/tfjs");
if (backend === "wasm") {
  const wasm = require("@tensorflow/tfjs-backend-wasm");
  wasm.setWasmPaths(path.dirname(require.resolve("@tensorflow/tfjs-backend-wasm")) + path.sep);
}
await tf.setBackend(backend);
if (tf.getBackend() !== backend) throw new Error(`${backend} did not start`);
const repro = await import(pathToFileURL(path.resolve(file)).href);
const result = repro[name](tf);
const { shape, dtype } = result;
process.stdout.write(JSON.stringify({ shape, dtype, values: Array.from(result.dataSync(), Number) }));
