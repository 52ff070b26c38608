/**
 * Exact models in Node, in Deno or in a page, by the npm package alone: their tensors, computed in several ways.
 *
 * A tensor is a line: dtype, shape, SHA-256 of its bits. In a process: `node everywhere.mjs PACKAGE FOLDER` prints JSON.
 *
 * @typedef {{file: string, every: number[], splits: boolean, worker: boolean, threads: number[]}} Job
 * @typedef {{[way: string]: string[]}} Ways
 * @typedef {{data: any, shape: number[], dtype?: string}} Tensor
 */

/**
 * What each job gives, or `{error}`.
 *
 * @param {string} base of the package's dist/exact, ending in a slash
 * @param {(file: string) => string} place of a file, as the package takes it
 * @param {(file: string) => Promise<Uint8Array>} read
 */
export async function computed(base, place, read) {
  const { load, loadInWorker } = await import(`${base}index.js`);
  const { digest } = await import(`${base}file.js`);
  const lines = (/** @type {Tensor[]} */ tensors) => Promise.all(tensors.map((tensor) => described(digest, tensor)));
  /** @type {Job[]} */
  const jobs = JSON.parse(new TextDecoder().decode(await read("jobs.json")));
  /** @type {(Ways | {error: string})[]} */
  const found = [];
  for (const job of jobs) {
    try {
      const fed = tensorsOf(await read(`${job.file}.inputs.safetensors`));
      found.push(await ways(job, place(`${job.file}.safetensors`), fed, { load, loadInWorker, lines }));
    } catch (error) {
      found.push({ error: String(/** @type {any} */ (error)?.stack ?? error) });
    }
  }
  return found;
}

/** @param {Job} job @param {string} source @param {{[name: string]: Tensor}} fed @param {any} tools @returns {Promise<Ways>} */
async function ways(job, source, fed, { load, loadInWorker, lines }) {
  const model = await load(source);
  /** @type {Ways} */
  const found = { every: await lines(model.layers(fed, job.every.map((value) => ({ value })))) };
  found.whole = await lines([model.predict(fed)].flat());
  if (job.splits) {
    found.parts = await lines(joined(model, fed, (count) => [1, 2, count]));
    found.alone = await lines(joined(model, fed, (count) => Array(count).fill(1)));
  }
  model.dispose();
  if (job.worker) {
    const worker = await loadInWorker(source);
    found.worker = await lines([await worker.predict(fed)].flat());
    worker.terminate();
  }
  for (const threads of job.threads) {
    const shared = await load(source, { threads });
    found[`${threads} threads`] = await lines([shared.predict(fed)].flat());
    shared.dispose();
  }
  return found;
}

/** @param {(bytes: Uint8Array) => Promise<string>} digest @param {Tensor} tensor */
async function described(digest, { data, shape, dtype }) {
  return `${dtype}[${shape}] ${await digest(new Uint8Array(data.buffer))}`;
}

/** The outputs for parts of the batch of these sizes, put together again. @param {any} model @param {any} fed @param {(count: number) => number[]} sizes */
function joined(model, fed, sizes) {
  const entries = Object.entries(fed);
  const count = entries[0][1].shape[0];
  const parts = [];
  let from = 0;
  for (const size of sizes(count)) {
    const to = Math.min(from + size, count);
    if (from === to) break;
    const rows = entries.map(([name, { data, shape }]) => {
      const each = data.length / count;
      return [name, { data: data.slice(from * each, to * each), shape: [to - from, ...shape.slice(1)] }];
    });
    parts.push([model.predict(Object.fromEntries(rows))].flat());
    from = to;
  }
  return parts[0].map((/** @type {Tensor} */ first, /** @type {number} */ at) => together(parts.map((made) => made[at]), first));
}

/** @param {Tensor[]} tensors @param {Tensor} first @returns {Tensor} */
function together(tensors, { data, shape, dtype }) {
  const all = new data.constructor(tensors.reduce((sum, tensor) => sum + tensor.data.length, 0));
  tensors.reduce((at, tensor) => (all.set(tensor.data, at), at + tensor.data.length), 0);
  return { data: all, shape: [tensors.reduce((sum, tensor) => sum + tensor.shape[0], 0), ...shape.slice(1)], dtype };
}

/** @param {Uint8Array} bytes of a safetensors file @returns {{[name: string]: Tensor}} */
function tensorsOf(bytes) {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const make = { F32: Float32Array, I32: Int32Array, BOOL: Uint8Array };
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__");
  return Object.fromEntries(
    entries.map(([name, { dtype, shape, data_offsets: [from, to] }]) => {
      const data = bytes.slice(8 + length + from, 8 + length + to);
      return [name, { data: new make[/** @type {"F32"} */ (dtype)](data.buffer), shape }];
    }),
  );
}

if (globalThis.process?.argv?.[1]?.endsWith("everywhere.mjs")) {
  const { readFile } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const { pathToFileURL } = await import("node:url");
  const [base, folder] = process.argv.slice(2);
  const place = (/** @type {string} */ file) => join(folder, file);
  const read = async (/** @type {string} */ file) => new Uint8Array(await readFile(place(file)));
  console.log(JSON.stringify(await computed(`${pathToFileURL(base).href}/`, place, read)));
}
