/** The exact runtime beside TensorFlow.js and onnxruntime-web in one page: wasm with one thread each in turn, then cpu. */

import * as onnxruntime from "../onnx/ort.wasm.min.mjs";
import { load } from "../package/exact/index.js";
import { openControl } from "./control.js";

const tf = globalThis.tf;
const control = await openControl();
tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
tf.wasm.setWasmPaths("/tfjs/");
onnxruntime.env.wasm.wasmPaths = "/onnx/";
onnxruntime.env.wasm.numThreads = 1;
onnxruntime.env.logLevel = "error";
control.tell({ type: "ready" });

/** @param {() => any} action @returns {Promise<number>} seconds */
async function seconds(action) {
  const begun = performance.now();
  await action();
  return (performance.now() - begun) / 1000;
}

/** @param {string} backend @param {any} job */
async function tensorflow(backend, { format, folder, shape, batch }) {
  if (!(await tf.setBackend(backend))) throw new Error(`no ${backend} backend`);
  await tf.ready();
  const address = `/models/${folder}/tfjs/model.json`;
  const begun = performance.now();
  const model = await (format === "graph-model" ? tf.loadGraphModel(address) : tf.loadLayersModel(address));
  const loaded = (performance.now() - begun) / 1000;
  const x = tf.tensor(input(batch, shape), [batch, ...shape]);
  const predict = async () => {
    /** @type {Float32Array | null} */
    let last = null;
    const made = [format === "graph-model" ? model.execute(x) : model.predict(x, { batchSize: batch })].flat();
    for (const y of made) last = await y.data();
    made.forEach((y) => y.dispose());
    return last;
  };
  const end = () => {
    x.dispose();
    model.dispose();
  };
  return { loaded, predict, end };
}

/** @param {any} job */
async function onnx({ folder, shape, batch }) {
  const begun = performance.now();
  const session = await onnxruntime.InferenceSession.create(`/models/${folder}/model.onnx`, { executionProviders: ["wasm"] });
  const loaded = (performance.now() - begun) / 1000;
  const x = new onnxruntime.Tensor("float32", input(batch, shape), [batch, ...shape]);
  const predict = async () => (await session.run({ [session.inputNames[0]]: x }))[session.outputNames.at(-1)].data;
  return { loaded, predict, end: () => session.release() };
}

/** Throws where two have computed something else. @param {string} what @param {Float32Array} found @param {Float32Array} wanted @param {number} most of the largest */
function agree(what, found, wanted, most) {
  const largest = wanted.reduce((most, y) => Math.max(most, Math.abs(y)), 0);
  const apart = wanted.reduce((most, y, i) => Math.max(most, Math.abs(y - found[i])), 0) / largest;
  if (!(apart <= most)) throw new Error(`${what} and the exact runtime are ${apart} apart: they are not the same model`);
}

/** @param {number} batch @param {number[]} shape */
function input(batch, shape) {
  const size = shape.reduce((product, length) => product * length, batch);
  return Float32Array.from({ length: size }, (_, i) => ((i * 2654435761) % 2 ** 32) / 2 ** 32);
}

for (;;) {
  const job = await control.next("measure");
  const wasm = await tensorflow("wasm", job);
  let begun = performance.now();
  const exact = await load(`/models/${job.folder}/model.safetensors`);
  const loaded = (performance.now() - begun) / 1000;
  const x = { data: input(job.batch, job.shape), shape: [job.batch, ...job.shape] };
  const times = { wasm: [], onnx: [], exact: [], cpu: [] };
  const other = await onnx(job);
  const wanted = [exact.predict(x)].flat().at(-1).data;
  agree("TensorFlow.js", await wasm.predict(), wanted, job.agree);
  agree("onnxruntime", await other.predict(), wanted, job.agree);
  const start = performance.now();
  const enough = (/** @type {number} */ runs) => runs >= job.runs && performance.now() - start > 1000 * job.span;
  for (let run = 0; run < job.most && !enough(run); run++) {
    times.wasm.push(await seconds(wasm.predict));
    times.onnx.push(await seconds(other.predict));
    times.exact.push(await seconds(() => exact.predict(x)));
  }
  await other.end();
  wasm.end();
  const memory = exact.bytes;
  exact.dispose();
  if (job.cpu) {
    const cpu = await tensorflow("cpu", job);
    const begun = performance.now();
    while (times.cpu.length < job.most && (!times.cpu.length || performance.now() - begun < 1000 * job.span)) {
      times.cpu.push(await seconds(cpu.predict));
    }
    cpu.end();
  }
  control.tell({ type: "measured", times, memory, loaded: { wasm: wasm.loaded, onnx: other.loaded, exact: loaded } });
}
