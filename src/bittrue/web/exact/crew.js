/** Threads that share one module's memory and the work of each prediction. Which of them computes what moves no bit. */

import { ExactError, said } from "./errors.js";

/**
 * @typedef {object} Crew
 * @property {any} exports  of the first thread, whose memory is in `memory`
 * @property {WebAssembly.Memory} memory
 * @property {() => void} end
 */

const STACK = 131072; // bytes, as the build gives the first thread
const FIRST_PAGES = 32; // of memory, as the threaded build asks for
const MOST_PAGES = 32768;
const MOST_THREADS = 64;

/** Whether a module is the threaded build: it imports its memory. @param {WebAssembly.Module} module */
export function isThreaded(module) {
  return WebAssembly.Module.imports(module).length > 0;
}

/**
 * A module in a memory of its own, for one thread.
 *
 * @param {WebAssembly.Module} module of either build
 * @returns {{exports: any, memory: WebAssembly.Memory}}
 * @throws {ExactError} engine, memory
 */
export function alone(module) {
  if (!isThreaded(module)) {
    const exports = /** @type {any} */ (instantiated(module, {}));
    return { exports, memory: exports.memory };
  }
  const memory = sharedMemory();
  return { exports: instantiated(module, { env: { memory } }), memory };
}

/**
 * @param {WebAssembly.Module} module of the threaded build
 * @param {number} count of threads, the calling one included
 * @returns {Promise<Crew>}
 * @throws {ExactError} engine, memory
 */
export async function gather(module, count) {
  if (!Number.isInteger(count) || count < 1 || count > MOST_THREADS) {
    throw new ExactError("engine", `threads is ${String(count)}: it must be a whole number from 1 to ${MOST_THREADS}`);
  }
  if (!isThreaded(module)) throw new ExactError("engine", "the module has no threads: give exact-threads.wasm");
  const { exports, memory } = alone(module);
  exports.threads(count, typeof document === "undefined" ? 1 : 0); // a page's own thread must not sleep
  /** @type {{ready: Promise<void>, end: () => void}[]} */
  const others = [];
  const end = () => {
    exports.dismiss(); // Deno cannot end a thread that waits inside the module, nor itself before it
    others.forEach((other) => other.end());
  };
  try {
    for (let thread = 1; thread < count; thread++) {
      const stack = exports.reserve(STACK);
      if (stack === 0) throw new ExactError("memory", "there is no memory for another thread");
      others.push(await opened({ module, memory, stack: stack + STACK, thread }));
    }
    await Promise.all(others.map(({ ready }) => ready));
  } catch (error) {
    end();
    throw error instanceof ExactError ? error : new ExactError("engine", `a thread cannot be started: ${said(error)}`);
  }
  return { exports, memory, end };
}

/** @returns {WebAssembly.Memory} */
function sharedMemory() {
  try {
    return new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: MOST_PAGES, shared: true });
  } catch (error) {
    const advice = "they need a page that is cross-origin isolated, and address space for 2 GiB";
    throw new ExactError("engine", `threads cannot share memory here (${said(error)}): ${advice}`);
  }
}

/** @param {WebAssembly.Module} module @param {WebAssembly.Imports} imports */
function instantiated(module, imports) {
  try {
    return new WebAssembly.Instance(module, imports).exports;
  } catch (error) {
    throw new ExactError("memory", `the module cannot be started: ${said(error)}`);
  }
}

/** @param {any} task @returns {Promise<{ready: Promise<void>, end: () => void}>} */
async function opened(task) {
  if (typeof Worker === "function") {
    if (globalThis.crossOriginIsolated === false) throw new Error("the page is not cross-origin isolated");
    const worker = new Worker(new URL("./thread.js", import.meta.url), { type: "module" });
    /** @type {Promise<void>} */
    const ready = new Promise((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = ({ message }) => reject(new Error(message));
    });
    worker.postMessage(task);
    return { ready, end: () => worker.terminate() };
  }
  const threads = await import(/* webpackIgnore: true */ /* @vite-ignore */ "node:worker_threads");
  const worker = new threads.Worker(new URL("./thread.js", import.meta.url));
  /** @type {Promise<void>} */
  const ready = new Promise((resolve, reject) => {
    worker.once("message", () => {
      worker.unref(); // a thread that waits keeps no program alive
      resolve();
    });
    worker.once("error", reject);
  });
  worker.postMessage(task);
  return { ready, end: () => void worker.terminate() };
}
