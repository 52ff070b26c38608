/** The other end of remote.js: one model, one question after another. */

import { ExactError, said } from "./errors.js";
import { parseFile } from "./file.js";
import { modelOf } from "./model.js";

/** @type {import("./model.js").ExactModel | null} */
let model = null;

/** @type {{[what: string]: (question: any) => any}} */
const ANSWERS = {
  load: async ({ module, bytes, maxCost, threads }) => {
    model = await modelOf(module, await parseFile(bytes, true), maxCost, threads);
    return { name: model.name, inputs: model.inputs, outputs: model.outputs, sha256: model.sha256 };
  },
  predict: ({ x }) => model?.predict(x),
  cost: ({ x }) => model?.cost(x),
};

/** @param {any} question @param {(answer: any, transfer: any[]) => void} post */
async function answer({ id, what, ...question }, post) {
  try {
    const value = await ANSWERS[what](question);
    const tensors = what === "predict" ? [value].flat() : [];
    post({ id, value }, tensors.map(({ data }) => data.buffer));
  } catch (error) {
    const code = error instanceof ExactError ? error.code : "plan";
    post({ id, error: { code, message: error instanceof ExactError ? error.message : said(error) } }, []);
  }
}

const scope = /** @type {any} */ (globalThis);
if (typeof scope.WorkerGlobalScope === "function") {
  scope.onmessage = (/** @type {any} */ { data }) => void answer(data, (message, transfer) => scope.postMessage(message, transfer));
} else {
  const { parentPort } = await import(/* webpackIgnore: true */ /* @vite-ignore */ "node:worker_threads");
  parentPort?.on("message", (data) => void answer(data, (message, transfer) => parentPort.postMessage(message, transfer)));
}
