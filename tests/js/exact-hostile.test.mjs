/** Files that no exporter would write: one ExactError each, whatever is in them, and no output. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { ExactError, load } from "../../src/bittrue/web/exact/index.js";
import { OPERATIONS } from "../../src/bittrue/web/exact/operations.js";
import { DENSE, MODULE, WEIGHTS, fileOf, planWith } from "./exact-files.mjs";

const module = await WebAssembly.compile(await readFile(MODULE));
const FILE = fileOf(DENSE, WEIGHTS);
const X = { data: Float32Array.of(1, -1, 0, 2), shape: [2, 2] };

/** @param {Uint8Array} file @returns {Promise<string>} what became of it: a code, or "ran" */
async function fate(file) {
  try {
    const model = await load(file, { module, maxCost: 1e6 });
    model.predict(X);
    return "ran";
  } catch (error) {
    if (!(error instanceof ExactError)) throw error;
    assert.ok(error.message.length > 20 && !error.message.includes("\n"), error.message);
    return error.code;
  }
}

/** @param {number} seed @returns {(limit: number) => number} Knuth's linear congruential generator */
function numbers(seed) {
  let state = BigInt(seed);
  return (limit) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number((state >> 33n) % BigInt(limit));
  };
}

test("a file that was cut short anywhere is damaged", async () => {
  for (let length = 0; length < FILE.length; length++) assert.equal(await fate(FILE.slice(0, length)), "damaged", `${length}`);
});

test("a file with one other bit anywhere is damaged, or the bit was of no meaning", async () => {
  for (let at = 0; at < FILE.length; at++) {
    const altered = FILE.slice();
    altered[at] ^= 1 << at % 8;
    const found = await fate(altered);
    // A name of the header that nobody reads may change; the plan and the weights may not.
    assert.ok(found === "damaged" || found === "plan", `byte ${at}: ${found}`);
  }
});

for (const [what, tensors, alter] of /** @type {[string, any, (header: any) => void][]} */ ([
  ["a tensor behind the end", WEIGHTS, (h) => (h.kernel.data_offsets = [24, 48])],
  ["a tensor before the start", WEIGHTS, (h) => (h.kernel.data_offsets = [-4, 20])],
  ["a shape that is larger than its bytes", WEIGHTS, (h) => (h.kernel.shape = [2, 4])],
  ["sizes whose product is beyond numbers", WEIGHTS, (h) => (h.kernel.shape = Array(64).fill(2 ** 31))],
  ["sizes that are not whole", WEIGHTS, (h) => (h.kernel.shape = [1.5, 4])],
  ["a shape that is none", WEIGHTS, (h) => (h.kernel.shape = "2")],
  ["an unknown dtype", WEIGHTS, (h) => (h.kernel.dtype = "constructor")],
  ["an entry that is null", WEIGHTS, (h) => (h.kernel = null)],
  ["a truth value of two", { ...WEIGHTS, t: ["BOOL", [1], Uint8Array.of(2)] }, () => {}],
  ["no hash", WEIGHTS, (h) => delete h.__metadata__["bittrue.exact.sha256"]],
  ["no plan", WEIGHTS, (h) => delete h.__metadata__["bittrue.exact"]],
  ["no metadata", WEIGHTS, (h) => delete h.__metadata__],
  ["metadata that is null", WEIGHTS, (h) => (h.__metadata__ = null)],
])) {
  test(`${what} is damage`, async () => assert.equal(await fate(fileOf(DENSE, tensors, alter)), "damaged"));
}

for (const [what, plan, code] of /** @type {[string, any, string][]} */ ([
  ["no JSON", "{", "plan"],
  ["null", "null", "version"],
  ["another version", planWith({ semantics: "bittrue-exact-2" }), "version"],
  ["no inputs", planWith({ inputs: [] }), "plan"],
  ["no outputs", planWith({ outputs: [] }), "plan"],
  ["two inputs of one name", planWith({ inputs: [DENSE.inputs[0], DENSE.inputs[0]] }), "plan"],
  ["an input of nine axes", planWith({ inputs: [["x", Array(9).fill(1), "float32"]] }), "plan"],
  ["an input of float64", planWith({ inputs: [["x", [null, 2], "float64"]] }), "plan"],
  ["a constant that the file lacks", planWith({ constants: ["kernel", "toString"] }), "plan"],
  ["an operation from a prototype", planWith({ operations: [["constructor", [0], [], ""]] }), "plan"],
  ["an operand that comes later", planWith({ operations: [["relu", [3], [], ""]] }), "plan"],
  ["an operand that is not whole", planWith({ operations: [["relu", [0.5], [], ""]] }), "plan"],
  ["an attribute beyond 32 bits", planWith({ operations: [["softmax", [0], [2 ** 31], ""]] }), "plan"],
  ["an output that there is not", planWith({ outputs: [["r", 6]] }), "plan"],
  ["operations without operands", planWith({ operations: [["relu", [], [], ""]] }), "plan"],
  ["a loop in a loop", planWith({ operations: [["scan", [0, 0], [1, 1], "", [["scan", [0], [1, 0], "", [], []]], [0]]] }), "plan"],
  ["too few attributes", planWith({ operations: [["conv", [0, 1], [], ""]], outputs: [["r", 3]], layers: [] }), "plan"],
  ["a size beyond memory", planWith({ operations: [["broadcast", [0], [2 ** 30, -2, 2], ""]], outputs: [["r", 3]], layers: [] }), "memory"],
])) {
  test(`a plan with ${what} is refused`, async () => {
    const found = await fate(fileOf(plan, WEIGHTS));
    assert.ok(found === code || (found === "input" && code === "plan"), `${found}, not ${code}`);
  });
}

const ODD = [-1, 0, 1, 2, 3, 7, 8, 9, 255, 65536, 2 ** 20, 2 ** 28, 2 ** 30, 2 ** 31 - 1, -(2 ** 31), -2, -9, 0.5, 1e300, null, "", "x", [], {}, true];

/** Every place in a JSON value that holds something. @param {any} value @returns {[any, string | number][]} */
function places(value) {
  if (value === null || typeof value !== "object") return [];
  return Object.keys(value).flatMap((key) => [/** @type {[any, string]} */ ([value, key]), ...places(value[key])]);
}

const CONVOLUTION = planWith({
  inputs: [["x", [null, 2], "float32"]],
  operations: [
    ["reshape", [0], [-2, 1, 1, 2], "s"],
    ["matmul", [3, 1, 2], [], "m"],
    ["pool_average", [4], [2, 1, 3, 3, 2, 2, 0, 0, 0, 0], "p"],
    ["resize_linear", [5], [2, 0, 5, 3], "z"],
    ["softmax", [6], [-1], "s"],
    ["slice", [7], [1, 1, 0, 1, 4, 2], "c"],
    ["transpose", [8], [0, 3, 1, 2], "t"],
    ["concat", [9, 9], [-1], "k"],
    ["reduce_mean", [10], [0, 1, 2], "r"],
    ["scan", [7, 0], [1, 1], "l", [["tanh", [0], [], "l"]], [1]],
  ],
  outputs: [["r", 11]],
  layers: [["s", 0, 0, 7]],
});

test("mutated plans are refused or run, and nothing else happens", async () => {
  const draw = numbers(20261123);
  /** @type {{[fate: string]: number}} */
  const seen = {};
  for (let round = 0; round < 1500; round++) {
    const plan = JSON.parse(JSON.stringify(round % 2 ? CONVOLUTION : DENSE));
    for (let changes = 1 + draw(2); changes > 0; changes--) {
      const found = places(plan);
      const [holder, key] = found[draw(found.length)];
      holder[key] = draw(4) === 0 ? Object.keys(OPERATIONS)[draw(60)] : ODD[draw(ODD.length)];
    }
    const what = await fate(fileOf(plan, WEIGHTS));
    seen[what] = (seen[what] ?? 0) + 1;
  }
  assert.ok(seen.plan > 100 && seen.ran > 20 && seen.input > 20, JSON.stringify(seen)); // every kind was reached
});

test("the names of operations are those of the specification", async () => {
  const file = new URL("../../src/bittrue/exact/operations.json", import.meta.url);
  assert.deepEqual({ ...OPERATIONS }, JSON.parse(await readFile(file, "utf8")));
});
