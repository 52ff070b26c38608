/** An exact model in a worker of its own: predictions are promises, and the worker can be ended at any time. */

import { ExactError, said } from "./errors.js";

/**
 * @typedef {import("./plan.js").Input} Input
 * @typedef {import("./instance.js").Tensor} Tensor
 * @typedef {{post: (message: any, transfer?: any[]) => void, end: () => void}} Line
 * @typedef {{name: string, inputs: Input[], outputs: string[], sha256: string}} Facts
 */

export class RemoteModel {
  /** @param {Line} line */
  constructor(line) {
    this.line = line;
    /** @type {ExactError | null} */
    this.over = null;
    this.count = 0;
    /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
    this.waiting = new Map();
    /** @type {Facts} */
    this.facts = { name: "", inputs: [], outputs: [], sha256: "" };
  }

  /**
   * @param {{module: WebAssembly.Module, maxCost: number, threads: number}} how
   * @param {Uint8Array} bytes of the file
   * @param {boolean} owned whether they may be handed over
   * @returns {Promise<RemoteModel>}
   */
  static async start(how, bytes, owned) {
    /** @type {RemoteModel | null} */
    let model = null;
    const line = await openLine((answer) => model?.answered(answer), (why) => model?.end(why));
    model = new RemoteModel(line);
    try {
      const own = owned && bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
      model.facts = await model.#ask("load", { ...how, bytes: own }, [own.buffer]);
      return model;
    } catch (error) {
      model.terminate();
      throw error;
    }
  }

  get name() {
    return this.facts.name;
  }

  get inputs() {
    return this.facts.inputs;
  }

  get outputs() {
    return this.facts.outputs;
  }

  get sha256() {
    return this.facts.sha256;
  }

  /** As `ExactModel.predict`. @param {any} x @returns {Promise<Tensor | Tensor[]>} */
  predict(x) {
    return this.#ask("predict", { x });
  }

  /** As `ExactModel.cost`. @param {any} x @returns {Promise<number>} */
  cost(x) {
    return this.#ask("cost", { x });
  }

  /** End the worker at once, whatever it does; what is being predicted fails. */
  terminate() {
    this.end("the worker was terminated");
  }

  /** @param {string} why */
  end(why) {
    if (this.over !== null) return;
    this.over = new ExactError("ended", why);
    this.line.end();
    for (const { reject } of this.waiting.values()) reject(this.over);
    this.waiting.clear();
  }

  /** @param {any} answer of the worker */
  answered({ id, value, error }) {
    const request = this.waiting.get(id);
    this.waiting.delete(id);
    if (error) request?.reject(new ExactError(error.code, error.message));
    else request?.resolve(value);
  }

  /** @param {string} what @param {any} message @param {any[]} [transfer] @returns {Promise<any>} */
  #ask(what, message, transfer = []) {
    if (this.over !== null) return Promise.reject(this.over);
    const id = this.count++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      try {
        this.line.post({ id, what, ...message }, transfer);
      } catch (error) {
        this.waiting.delete(id);
        reject(new ExactError("input", `what was given cannot be sent to a worker: ${said(error)}`));
      }
    });
  }
}

/**
 * @param {(answer: any) => void} answered
 * @param {(why: string) => void} died
 * @returns {Promise<Line>}
 */
async function openLine(answered, died) {
  const failed = (/** @type {any} */ error) => died(`the worker died: ${said(error?.error ?? error?.message ?? error)}`);
  if (typeof Worker === "function") {
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => answered(data);
    worker.onerror = failed;
    return { post: (message, transfer = []) => worker.postMessage(message, transfer), end: () => worker.terminate() };
  }
  const threads = await import(/* webpackIgnore: true */ /* @vite-ignore */ "node:worker_threads");
  const worker = new threads.Worker(new URL("./worker.js", import.meta.url));
  worker.on("message", answered);
  worker.on("error", failed);
  worker.on("exit", () => died("the worker ended"));
  return { post: (message, transfer) => worker.postMessage(message, transfer), end: () => void worker.terminate() };
}
