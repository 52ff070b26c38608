/** The exact runtime beside TensorFlow.js in one page: wasm with one thread in turn with it, then cpu. */

import { load } from "../package/exact/index.js";
import { openControl } from "./control.js";

const tf = globalThis.tf;
const control = await openControl();
tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
tf.wasm.setWasmPaths("/tfjs/");
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
    const made = [format === "graph-model" ? model.execute(x) : model.predict(x, { batchSize: batch })].flat();
    for (const y of made) await y.data();
    made.forEach((y) => y.dispose());
  };
  const end = () => {
    x.dispose();
    model.dispose();
  };
  return { loaded, predict, end };
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
  const times = { wasm: [], exact: [], cpu: [] };
  await wasm.predict();
  exact.predict(x);
  for (let run = 0; run < job.runs; run++) {
    times.wasm.push(await seconds(wasm.predict));
    times.exact.push(await seconds(() => exact.predict(x)));
  }
  wasm.end();
  const memory = exact.bytes;
  exact.dispose();
  if (job.cpu) {
    const cpu = await tensorflow("cpu", job);
    times.cpu.push(await seconds(cpu.predict));
    cpu.end();
  }
  control.tell({ type: "measured", times, memory, loaded: { wasm: wasm.loaded, exact: loaded } });
}
