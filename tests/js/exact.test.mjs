import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { ExactError, SEMANTICS, load, loadInWorker } from "../../src/bittrue/web/exact/index.js";
import { DENSE, MODULE, THREADED, WEIGHTS, fileOf, planWith } from "./exact-files.mjs";

const FILE = fileOf(DENSE, WEIGHTS);
const options = { module: MODULE };
const X = Float32Array.of(1, -1, 0, 2);
const Y = [0, 0, 0, 8.5, 0, 12]; // relu of [1 − 4 + ½, 2 − 5 − 100, 3 − 6] and of [8.5, −90, 12]

/** @param {string} code @param {RegExp} [message] */
const failure = (code, message) => (/** @type {any} */ error) => {
  assert.ok(error instanceof ExactError, String(error.stack));
  assert.equal(error.code, code, error.message);
  if (message) assert.match(error.message, message);
  return true;
};

test("a model is loaded from bytes, a buffer, a path, a file's address and an address", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "exact-"));
  const file = path.join(folder, "model.safetensors");
  await writeFile(file, FILE);
  const address = `data:application/octet-stream;base64,${Buffer.from(FILE).toString("base64")}`;
  const sources = [FILE, FILE.slice().buffer, new DataView(FILE.slice().buffer), file, pathToFileURL(file), address, new URL(address), new Blob([FILE])];
  for (const source of [...sources, new Request(address), await fetch(address)]) {
    const [y] = /** @type {any[]} */ ((await load(source, options)).predict(X));
    assert.deepEqual([...y.data], Y);
  }
  await rm(folder, { recursive: true });
});

test("bytes that the caller keeps are not changed", async () => {
  const bytes = FILE.slice();
  await load(bytes, options);
  assert.deepEqual(bytes, FILE);
});

test("inputs are numbers, tensors, lists or names, and outputs say what they are", async () => {
  const model = await load(FILE, options);
  for (const x of [X, Array.from(X), { data: X, shape: [2, 2] }, [X], { x: X }, { x: { data: [1, -1, 0, 2], shape: [2, 2] } }]) {
    const [y, a] = /** @type {any[]} */ (model.predict(x));
    assert.deepEqual({ ...y, data: [...y.data] }, { data: Y, shape: [2, 3], dtype: "float32" });
    assert.deepEqual({ ...a, data: [...a.data] }, { data: [0, 2], shape: [2], dtype: "int32" });
  }
  assert.deepEqual([model.name, model.outputs, model.sha256.length], ["dense", ["r", "a"], 64]);
  assert.deepEqual(model.inputs, [{ name: "x", shape: [null, 2], dtype: "float32" }]);
});

test("a model of one output returns one tensor, a copy that the next prediction leaves alone", async () => {
  const model = await load(fileOf(planWith({ outputs: [["r", 4]] }), WEIGHTS), options);
  const first = /** @type {any} */ (model.predict(X));
  model.predict(Float32Array.of(9, 9));
  assert.deepEqual([...first.data], Y);
});

test("every size of a batch gives the rows their own bits, none included", async () => {
  const model = await load(FILE, options);
  assert.deepEqual([.../** @type {any} */ (model.predict(X.subarray(2)))[0].data], Y.slice(3));
  assert.deepEqual(/** @type {any} */ (model.predict({ data: [], shape: [0, 2] }))[0].shape, [0, 3]);
});

for (const [what, x, message] of /** @type {[string, any, RegExp][]} */ ([
  ["a shape that does not follow", Float32Array.of(1, 2, 3), /from which its shape does not follow/],
  ["another shape", { data: X, shape: [4, 1] }, /has shape \[4,1\], but the model takes \[\?,2\]/],
  ["another number of axes", { data: X, shape: [1, 2, 2] }, /has shape/],
  ["too few numbers", { data: X, shape: [3, 2] }, /holds 4 numbers, but its shape is \[3,2\]/],
  ["a size that is none", { data: X, shape: [2.5, 2] }, /has shape/],
  ["a negative size", { data: X, shape: [-1, 2] }, /has shape/],
  ["another name", { y: X }, /the model's inputs are x, but y were given/],
  ["too many inputs", [X, X], /takes 1 inputs \(x\), but 2 were given/],
  ["numbers that float32 does not hold", Float64Array.of(0.1, 1), /the number 0.1 that float32 does not/],
  ["what is no number", ["a", "b"], /neither|takes 1 inputs/],
  ["big integers", BigInt64Array.of(1n, 2n), /convert it first/],
  ["nothing", null, /null is no input/],
  ["a number", 3, /3 is no input/],
])) {
  test(`${what} is refused in one sentence`, async () => {
    const model = await load(FILE, options);
    assert.throws(() => model.predict(x), failure("input", message));
    assert.deepEqual([.../** @type {any} */ (model.predict(X))[0].data], Y); // and it goes on
  });
}

test("an index that is no row of a table gives no output", async () => {
  const plan = planWith({ inputs: [["x", [null], "int32"]], operations: [["gather", [1, 0], [], "e"]], outputs: [["e", 3]], layers: [] });
  const model = await load(fileOf(plan, WEIGHTS), options);
  assert.deepEqual([.../** @type {any} */ (model.predict([1])).data], [4, 5, 6]);
  assert.throws(() => model.predict([2]), failure("input", /no row of the table of operation 0 \(gather, layer "e"\)/));
});

test("truth values are bytes outside and in", async () => {
  const plan = planWith({ inputs: [["x", [null], "bool"]], operations: [["not", [0], [], "n"]], outputs: [["n", 3]], layers: [] });
  const model = await load(fileOf(plan, WEIGHTS), options);
  const { data, dtype } = /** @type {any} */ (model.predict([true, false, true]));
  assert.deepEqual([dtype, [...data]], ["bool", [0, 1, 0]]);
  assert.throws(() => model.predict([2]), failure("input", /the number 2/));
});

test("every float16 number is the float32 number that it is", async () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const plan = planWith({ inputs: [["x", [null], "float32"]], constants: ["h"], operations: [["add", [1, 0], [], "h"]], outputs: [["h", 2]], layers: [] });
  const model = await load(fileOf(plan, { h: ["F16", [65536], bits] }), options);
  const { data } = /** @type {any} */ (model.predict([-0]));
  for (const half of bits) {
    const [exponent, fraction] = [(half >> 10) & 31, (half & 1023) / 1024];
    const size = exponent === 31 ? (fraction ? NaN : Infinity) : exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
    assert.ok(Object.is(data[half], half & 0x8000 ? -size : size), `${half}: ${data[half]}`);
  }
});

test("weights in 8 and 16 bits are steps of a scale from a minimum, in float64, rounded once", async () => {
  for (const [label, steps] of /** @type {[string, any][]} */ ([["U8", Uint8Array.of(0, 1, 255)], ["U16", Uint16Array.of(0, 7, 65535)]])) {
    const quantized = { k: [0.1, -3.3] };
    const plan = planWith({ inputs: [["x", [null], "float32"]], constants: ["k"], quantized, operations: [["add", [1, 0], [], "k"]], outputs: [["k", 2]], layers: [] });
    const model = await load(fileOf(plan, { k: [label, [3], steps] }), options);
    const wanted = Float32Array.from(steps, (/** @type {number} */ step) => step * 0.1 + -3.3);
    assert.deepEqual(/** @type {any} */ (model.predict([0])).data, wanted);
    for (const other of [{}, { k: [1] }, { k: [1, null] }, { k: [1, 2, 3] }, { k: [0.1, 0], l: [1, 0] }]) {
      await assert.rejects(load(fileOf({ ...plan, quantized: other }, { k: [label, [3], steps] }), options), failure("plan"));
    }
  }
});

test("a NaN leaves with one bit pattern", async () => {
  const plan = planWith({ operations: [["negative", [0], [], "n"]], outputs: [["n", 3]], layers: [] });
  const model = await load(fileOf(plan, WEIGHTS), options);
  const x = new Float32Array(Uint32Array.of(0xffc00001, 0x7f800001, 0x80000000, 0x00000001).buffer);
  const { data } = /** @type {any} */ (model.predict(x));
  assert.deepEqual([...new Uint32Array(data.buffer)], [0x7fc00000, 0x7fc00000, 0x00000000, 0x80000001]);
});

test("what a prediction costs is known before, and may be capped", async () => {
  const model = await load(FILE, { ...options, maxCost: 100 });
  assert.ok(model.cost(X.subarray(2)) >= 6);
  model.predict(X.subarray(2));
  const many = new Float32Array(2000);
  assert.ok(model.cost(many) > 100);
  assert.throws(() => model.predict(many), failure("cost", /more than the 100 allowed/));
  await assert.rejects(load(FILE, { ...options, maxCost: -1 }), failure("cost"));
});

test("a model that was disposed of says so", async () => {
  const model = await load(FILE, options);
  model.dispose();
  assert.throws(() => model.predict(X), failure("ended"));
});

test("a worker gives the same bits and the same errors", async () => {
  const model = await loadInWorker(FILE, options);
  const [y] = /** @type {any[]} */ (await model.predict(X));
  assert.deepEqual([...y.data], Y);
  assert.deepEqual([model.name, model.outputs, model.inputs[0].name], ["dense", ["r", "a"], "x"]);
  assert.ok((await model.cost(X)) > 0);
  await assert.rejects(model.predict({ y: X }), failure("input"));
  model.terminate();
  await assert.rejects(model.predict(X), failure("ended"));
  await assert.rejects(loadInWorker(FILE.subarray(0, 40), options), failure("damaged"));
});

test("a worker that computes is ended at once", async () => {
  const side = 4096; // 137 thousand million multiplications and as many sums: minutes
  const plan = planWith({ inputs: [["x", [side, side], "float32"]], operations: [["matmul", [0, 0], [], "m"], ["matmul", [0, 1], [], "n"]], outputs: [["n", 2]], layers: [], constants: [] });
  const model = await loadInWorker(fileOf(plan, {}), options);
  const ended = assert.rejects(model.predict(new Float32Array(side * side)), failure("ended", /was terminated/));
  setTimeout(() => model.terminate(), 50);
  await ended;
});

for (const how of [load, loadInWorker]) {
  test(`several threads give the bits of one (${how.name})`, async () => {
    const model = await how(FILE, { module: THREADED, threads: 3 });
    const many = Float32Array.from({ length: 2 * 997 }, (_, i) => Math.fround(Math.sin(i)));
    const [wanted] = /** @type {any[]} */ ((await load(FILE, options)).predict(many));
    for (let run = 0; run < 20; run++) {
      const [y] = /** @type {any[]} */ (await model.predict(many));
      assert.deepEqual(y.data, wanted.data);
    }
    const end = /** @type {any} */ (model);
    (end.terminate ?? end.dispose).call(model);
  });
}

test("an index that is no row is found by whichever thread has it", async () => {
  const plan = planWith({ inputs: [["x", [null], "int32"]], operations: [["gather", [1, 0], [], "e"]], outputs: [["e", 3]], layers: [] });
  const model = await load(fileOf(plan, WEIGHTS), { module: THREADED, threads: 2 });
  for (const bad of [0, 5, 9]) {
    const index = Int32Array.from({ length: 10 }, (_, i) => (i === bad ? 2 : 1));
    assert.throws(() => model.predict(index), failure("input", /no row/));
  }
  assert.equal(/** @type {any} */ (model.predict(new Int32Array(10))).data.length, 30);
  model.dispose();
});

test("threads that cannot be had are named", async () => {
  await assert.rejects(load(FILE, { ...options, threads: 2 }), failure("engine", /no threads: give exact-threads.wasm/));
  await assert.rejects(load(FILE, { module: THREADED, threads: 1.5 }), failure("engine", /whole number from 1 to 64/));
});

test("memory that cannot grow is an error and no output", async () => {
  const plan = planWith({ inputs: [["x", [null], "float32"]], constants: [], operations: [["broadcast", [0], [100000, -2], "b"]], outputs: [["b", 1]], layers: [] });
  const model = await load(fileOf(plan, {}), options);
  assert.throws(() => model.predict(new Float32Array(100000)), failure("memory", /use a smaller batch/));
});

test("an engine without SIMD or without WebAssembly is named", async () => {
  const { validate } = WebAssembly;
  WebAssembly.validate = () => false;
  await assert.rejects(load(FILE, options), failure("engine", /no SIMD/)).finally(() => (WebAssembly.validate = validate));
  await assert.rejects(load(FILE, { module: FILE }), failure("engine", /cannot be compiled/));
});

test("what cannot be read is named", async () => {
  await assert.rejects(load("no-such-file.safetensors", options), failure("read", /no-such-file/));
  await assert.rejects(load(/** @type {any} */ ({}), options), failure("read"));
  await assert.rejects(load(FILE, { module: "no-such.wasm" }), failure("read", /no-such/));
});

test("the semantics are one version", () => assert.equal(SEMANTICS, DENSE.semantics));
