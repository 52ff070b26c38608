/** One more thread of crew.js: it waits inside the module for work, until it is ended. */

/** @param {any} task @param {() => void} ready */
function join({ module, memory, stack, thread }, ready) {
  const exports = /** @type {any} */ (new WebAssembly.Instance(module, { env: { memory } }).exports);
  exports.__stack_pointer.value = stack;
  ready();
  exports.work(thread);
}

const scope = /** @type {any} */ (globalThis);
if (typeof scope.WorkerGlobalScope === "function") {
  scope.onmessage = (/** @type {any} */ { data }) => join(data, () => scope.postMessage("ready"));
} else {
  const { parentPort } = await import(/* webpackIgnore: true */ /* @vite-ignore */ "node:worker_threads");
  parentPort?.once("message", (task) => join(task, () => parentPort.postMessage("ready")));
}
