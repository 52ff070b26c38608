/**
 * Exact models in Node or in a page, by the npm package alone: hashes of their outputs, whole and row by row.
 *
 * A model called NAME.whole has no batch that could be split. In Node: `node everywhere.mjs PACKAGE FOLDER NAME…` prints them as JSON.
 */

const THREADS = globalThis.process ? [2, 3] : [2];

/**
 * @param {string} base of the package's dist/exact, ending in a slash
 * @param {string[]} names
 * @param {(file: string) => Promise<Uint8Array>} read
 */
export async function hashesOf(base, names, read) {
  const { load, loadInWorker } = await import(`${base}index.js`);
  const { digest } = await import(`${base}file.js`);
  const hash = (/** @type {any[]} */ tensors) => Promise.all(tensors.map(({ data }) => digest(new Uint8Array(data.buffer))));
  /** @type {{[name: string]: {whole: string[], split: string[], worker: string[] | null, threads: string[][]}}} */
  const found = {};
  for (const [i, name] of names.entries()) {
    const model = await load(await read(`${name}.safetensors`));
    const fed = tensorsOf(await read(`${name}.inputs.safetensors`));
    const whole = [model.predict(fed)].flat();
    const rows = name.endsWith(".whole") ? whole : inRows(model, fed);
    const worker = i === 0 ? await loadInWorker(await read(`${name}.safetensors`)) : null;
    const there = worker && [await worker.predict(fed)].flat();
    const threads = [];
    for (const count of name.endsWith(".whole") ? [] : THREADS) {
      const shared = await load(await read(`${name}.safetensors`), { threads: count });
      threads.push(await hash([shared.predict(fed)].flat()));
      shared.dispose();
    }
    found[name] = { whole: await hash(whole), split: await hash(rows), worker: there && (await hash(there)), threads };
    worker?.terminate();
    model.dispose();
  }
  return found;
}

/** One row, then two, then what is left, put together again. @param {any} model @param {any} fed */
function inRows(model, fed) {
  const entries = Object.entries(fed);
  const size = entries[0][1].shape[0];
  const parts = [];
  for (let from = 0, take = 1; from < size; from += take, take = take === 1 ? 2 : size) {
    const rows = entries.map(([name, { data, shape }]) => {
      const each = data.length / shape[0];
      const part = data.slice(from * each, (from + take) * each);
      return [name, { data: part, shape: [part.length / each, ...shape.slice(1)] }];
    });
    parts.push([model.predict(Object.fromEntries(rows))].flat());
  }
  return parts[0].map((/** @type {any} */ _, /** @type {number} */ at) => ({ data: joined(parts.map((part) => part[at].data)) }));
}

/** @param {any[]} arrays */
function joined(arrays) {
  const all = new arrays[0].constructor(arrays.reduce((sum, { length }) => sum + length, 0));
  arrays.reduce((at, array) => (all.set(array, at), at + array.length), 0);
  return all;
}

/** @param {Uint8Array} bytes of a safetensors file */
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
  const [base, folder, ...names] = process.argv.slice(2);
  const read = async (/** @type {string} */ file) => new Uint8Array(await readFile(join(folder, file)));
  console.log(JSON.stringify(await hashesOf(`${pathToFileURL(base).href}/`, names, read)));
}
