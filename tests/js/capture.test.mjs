import assert from "node:assert/strict";
import { test } from "node:test";

import { readTensor } from "../../src/bittrue/web/bits.js";
import { Capture, callsOf, release } from "../../src/bittrue/web/capture.js";
import { callName, checkBatch, checkCalls, checkDevice, checkRuns, disagreement, predictOnce, readAll } from "../../src/bittrue/web/checks.js";
import { Plan, artifactOrder, describeLayers, foreseenSizes } from "../../src/bittrue/web/plan.js";
import { Held, besides } from "../../src/bittrue/web/held.js";
import { WindowedCapture, windowEnds } from "../../src/bittrue/web/windows.js";
import { HIGH_WATER, PIECE } from "../../src/bittrue/web/wire.js";
import { dense, input, layer, load, model, tf } from "./tensorflow.mjs";

/** A model on random inputs. @param {any} topology @param {(path: string) => boolean} [wanted] */
async function make(topology, wanted = () => true) {
  const loaded = await load(topology);
  const plan = new Plan(loaded, topology);
  const feed = loaded.inputs.map(({ shape, dtype }) => tf.cast(tf.randomUniform([2, ...shape.slice(1)], 0, 4), dtype));
  const predict = () => predictOnce(loaded, feed);
  return { loaded, plan, feed, predict, capture: new Capture(tf, plan, wanted) };
}

/** Capture everything in one pass: values by name. @param {any} topology @param {(path: string) => boolean} [wanted] */
async function captured(topology, wanted) {
  const made = await make(topology, wanted);
  const pass = made.capture.pass(made.predict, () => true);
  /** @type {{[name: string]: number[]}} */
  const values = {};
  for (const moment of pass.moments) {
    for (const call of callsOf(moment)) {
      for (const { kind, index, kept } of moment.parts) {
        const key = `${kind === "output" ? "" : `${kind} of `}${callName(call)}${index ? `:${index}` : ""}`;
        assert.ok(!(key in values), `${key} was captured twice`);
        values[key] = [...(await readTensor(kept)).values];
      }
    }
  }
  return { ...made, pass, values };
}

const CHAIN = model("m", [input("x"), dense("a", [[["x", 0, 0]]]), dense("b", [[["a", 0, 0]]])], ["x"], [["b", 0, 0]]);

test("each layer's output is captured, and the last is the model's", async () => {
  const { values, pass } = await captured(CHAIN);
  assert.deepEqual(Object.keys(values), ["a", "b"]);
  assert.deepEqual(values.b, [...pass.outputs[0].dataSync()]);
  assert.deepEqual(pass.calls.map(callName), ["x", "a", "b"]);
});

test("a layer called on two inputs is told apart by what it received", async () => {
  const { values, loaded, feed } = await captured(model("m", [
    input("one"), input("two"), dense("shared", [[["two", 0, 0]], [["one", 0, 0]]]),
    layer("Subtract", "none", []), layer("Add", "sum", [[["shared", 1, 0], ["shared", 0, 0]]]),
  ].filter(({ name }) => name !== "none"), ["one", "two"], [["sum", 0, 0]]));
  const on = (/** @type {any} */ x) => [...loaded.getLayer("shared").call(x, {}).dataSync()];
  assert.deepEqual(values.shared, on(feed[1]));
  assert.deepEqual(values["shared[1]"], on(feed[0]));
});

const INNER = [input("in"), dense("d", [[["in", 0, 0]], [["d", 0, 0]]])];

test("calls on the same tensors are told from their order, whichever of them a later call builds upon", async () => {
  const nodes = [[["x", 0, 0]], [["x", 0, 0]], [["d", 1, 0]]];
  const outputs = [["d", 2, 0], ["d", 0, 0]];
  const { values } = await captured(model("m", [input("x"), dense("d", nodes)], ["x"], outputs));
  assert.deepEqual(values.d, values["d[1]"]);
  assert.notDeepEqual(values.d, values["d[2]"]);
});

test("calls in a nested model called twice carry both numbers, and its input layer what it received", async () => {
  const topology = model("m", [
    input("x"), model("inner", INNER, ["in"], [["d", 1, 0]], [[["x", 0, 0]], [["inner", 1, 0]]]),
  ], ["x"], [["inner", 2, 0]]);
  const { values, feed } = await captured(topology);
  assert.deepEqual(Object.keys(values), [
    "inner/in", "inner/d", "inner/d[1]", "inner", "inner[1]/in", "inner[1]/d", "inner[1]/d[1]", "inner[1]",
  ]);
  assert.deepEqual(values["inner/in"], [...feed[0].dataSync()]);
  assert.deepEqual(values["inner[1]/in"], values.inner);
  assert.deepEqual(values["inner[1]/d[1]"], values["inner[1]"]);
});

test("a nested model with two outputs, run twice by TensorFlow.js, is captured once", async () => {
  const two = [input("p"), input("q"), dense("d", [[["p", 0, 0]]]), layer("Add", "plus", [[["p", 0, 0], ["q", 0, 0]]])];
  const { values, pass, feed } = await captured(model("m", [
    input("x"), model("two", two, ["p", "q"], [["d", 0, 0], ["plus", 0, 0]], [[["x", 0, 0], ["x", 0, 0]]]),
    layer("Add", "sum", [[["two", 1, 0], ["two", 1, 1]]]),
  ], ["x"], [["sum", 0, 0]]));
  assert.deepEqual(Object.keys(values), ["two/p", "two/q", "two/d", "two/plus", "two", "two:1", "sum"]);
  assert.deepEqual(values["two:1"], [...feed[0].dataSync()].map((value) => Math.fround(2 * value)));
  assert.ok(pass.moments.some(({ event }) => event.call === null), "TensorFlow.js is thought to run it twice");
});

test("a call that could not be built in the artifact's order keeps the artifact's number", async () => {
  const topology = model("m", [
    input("x"), dense("a", [[["b", 0, 0]], [["x", 0, 0]]]), dense("b", [[["x", 0, 0]]]),
    layer("Add", "sum", [[["a", 0, 0], ["a", 1, 0]]]),
  ], ["x"], [["sum", 0, 0]]);
  const { values, loaded, feed } = await captured(topology);
  assert.deepEqual(values["a[1]"], [...loaded.getLayer("a").call(feed[0], {}).dataSync()]);
});

const sequential = (/** @type {string} */ name, /** @type {any[]} */ layers, /** @type {any[][][]} */ calls = []) =>
  layer("Sequential", name, calls, { layers });
const first = { batch_input_shape: [null, 4] };

test("a Sequential's input layer, which the artifact does not list, is no layer of its own", async () => {
  const { values, plan } = await captured(sequential("s", [dense("a", [], first), dense("b", [])]));
  assert.deepEqual(Object.keys(values), ["a", "b"]);
  assert.deepEqual(plan.inputs.map(({ implicit }) => implicit), [true]);
});

test("a model at the beginning of a Sequential is captured as the layer that it is", async () => {
  const topology = sequential("s", [model("base", INNER, ["in"], [["d", 1, 0]]), dense("head", [])]);
  const { values, pass } = await captured(topology);
  assert.deepEqual(Object.keys(values), ["base/d", "base/d[1]", "base", "head"]);
  assert.deepEqual(values.base, values["base/d[1]"]);
  assert.deepEqual(pass.calls.map(callName), ["base/in", "base/d", "base/d[1]", "base", "head"]);
});

test("a nested Sequential called twice", async () => {
  const topology = model("m", [
    input("x"), sequential("s", [dense("a", [], first), dense("b", [])], [[["x", 0, 0]], [["s", 1, 0]]]),
  ], ["x"], [["s", 2, 0]]);
  const { values } = await captured(topology);
  assert.deepEqual(Object.keys(values), ["s/a", "s/b", "s", "s[1]/a", "s[1]/b", "s[1]"]);
  assert.deepEqual(values.s, values["s/b"]);
});

test("the mask that each call received is captured with it, stale ones too", async () => {
  const topology = model("m", [
    input("t", { batch_input_shape: [null, 5], dtype: "int32" }),
    layer("Embedding", "e", [[["t", 0, 0]]], { input_dim: 4, output_dim: 3, mask_zero: true }),
    layer("LSTM", "encode", [[["e", 0, 0]]], { units: 2 }),
    layer("RepeatVector", "repeat", [[["encode", 0, 0]]], { n: 5 }),
    layer("LSTM", "decode", [[["repeat", 0, 0]]], { units: 2 }),
  ], ["t"], [["decode", 0, 0]]);
  const { values, feed } = await captured(topology);
  const mask = [...feed[0].dataSync()].map((token) => (token === 0 ? 0 : 1));
  assert.deepEqual(values["mask of encode"], mask);
  assert.deepEqual(values["mask of decode"], mask);
});

test("the states that a recurrent layer received are captured with it", async () => {
  const { values } = await captured(model("m", [
    input("x", { batch_input_shape: [null, 3, 2] }),
    layer("LSTM", "encode", [[["x", 0, 0]]], { units: 2, return_state: true }),
    layer("LSTM", "decode", [[["x", 0, 0], ["encode", 0, 1], ["encode", 0, 2]]], { units: 2 }),
  ], ["x"], [["decode", 0, 0]]));
  assert.deepEqual(values["state of decode"], values["encode:1"]);
  assert.deepEqual(values["state of decode:1"], values["encode:2"]);
});

test("only the layers that are wanted are kept", async () => {
  const { values, pass } = await captured(CHAIN, (path) => path === "b");
  assert.deepEqual(Object.keys(values), ["b"]);
  assert.equal(pass.calls.length, 3);
});

test("after a pass nothing is hooked and nothing leaks", async () => {
  const { loaded, capture, predict } = await make(CHAIN);
  const before = tf.memory().numTensors;
  const pass = capture.pass(predict, () => true);
  release(pass.moments);
  pass.outputs.forEach((tensor) => tensor.dispose());
  assert.equal(tf.memory().numTensors, before);
  assert.ok(loaded.layers.every((layer) => !Object.hasOwn(layer, "apply")));
});

test("a layer that throws is named, and everything kept until then is freed", async () => {
  const { loaded, capture, predict } = await make(CHAIN);
  loaded.getLayer("b").call = () => { throw new Error("no kernel"); };
  const before = tf.memory().numTensors;
  assert.throws(() => capture.pass(predict, () => true), /no kernel/);
  assert.equal(capture.failedAt, "b");
  assert.equal(tf.memory().numTensors, before);
});

test("a call that fits none of the model's is an error, never a guess", async () => {
  const { loaded, capture, predict } = await make(CHAIN);
  const b = loaded.getLayer("b");
  const call = b.call.bind(b);
  loaded.getLayer("a").call = (/** @type {any} */ x, /** @type {any} */ kwargs) => (b.apply(tf.zerosLike(x[0])), call(x, kwargs));
  assert.throws(() => capture.pass(predict, () => true), { code: "capture" });
});

/** Everything that a windowed capture sends. @param {any} topology @param {number} budget @param {number} besides */
async function windowed(topology, budget, besides = 0) {
  const made = await make(topology);
  const before = tf.memory().numTensors;
  const prediction = await readAll(made.predict());
  const sent = /** @type {string[]} */ ([]);
  const phases = /** @type {any[]} */ ([]);
  const report = /** @type {any} */ ({
    enter: async (/** @type {any[]} */ ...phase) => void phases.push(phase),
    record: async (/** @type {string} */ kind, /** @type {any} */ call) => void sent.push(callName(call)),
  });
  const run = { predict: made.predict, prediction, names: ["out"], budget, besides, watch: () => {} };
  const { checks } = await new WindowedCapture(made.capture, report, run).go(null);
  assert.equal(tf.memory().numTensors, before, "tensors leak");
  return { sent, checks, passes: phases.filter(([phase]) => phase === "capturing").length };
}

for (const [budget, passes] of [[1e9, 1], [32, 2], [1, 2]]) {
  test(`a budget of ${budget} bytes makes ${passes} passes, and sends the same`, async () => {
    const found = await windowed(CHAIN, budget);
    assert.equal(found.passes, passes);
    assert.deepEqual(found.sent, ["a", "b"]);
    assert.ok(found.checks.every(({ passed }) => passed !== false));
    // The second pass holds both tensors, 64 bytes: its own, and the one before once more.
    assert.deepEqual(found.checks.map(({ name }) => name), passes > 1 ? ["capture", "windows", "budget"] : ["capture"]);
  });
}

test("a nested model that TensorFlow.js runs twice is sent once, however small the windows", async () => {
  const two = [input("p"), dense("d", [[["p", 0, 0]]]), dense("e", [[["p", 0, 0]]])];
  const { sent } = await windowed(model("m", [
    input("x"), model("two", two, ["p"], [["d", 0, 0], ["e", 0, 0]], [[["x", 0, 0]]]),
    layer("Add", "sum", [[["two", 1, 0], ["two", 1, 1]]]),
  ], ["x"], [["sum", 0, 0]]), 1);
  assert.deepEqual(sent, ["two/p", "two/d", "two/e", "two", "two", "sum"]);
});

test("what else is held is part of the budget, and a budget that is too small is raised in a sentence", async () => {
  const enough = await windowed(CHAIN, 1064, 1000);
  assert.deepEqual([enough.passes, enough.checks.length], [1, 1]);
  const short = await windowed(CHAIN, 1063, 1000);
  assert.equal(short.passes, 2);
  assert.match(short.checks[2].detail, /^the budget of 1 MiB was raised to 1 MiB, the least/);
});

test("what a prediction holds at most includes what it frees again", () => {
  const held = new Held(tf);
  const before = tf.memory().numBytes;
  const x = tf.zeros([1000]);
  held.during(() => tf.tidy(() => x.add(1).mul(2).sum().dataSync()));
  assert.equal(held.most, 2 * 4000 + 4);
  assert.equal(tf.memory().numBytes, before + 4000);
  x.dispose();
  assert.equal(tf.memory().numBytes, before);
});

test("what is held besides counts the model's own tensors, its outputs, what is read and sent, and garbage", () => {
  const prediction = [{ dtype: /** @type {const} */ ("float32"), shape: [3], values: new Float32Array(3) }];
  assert.equal(besides(100, [40, 50], prediction), 100 + 12 + 50 + (50 + 90) + 90);
  const large = besides(100, [2 ** 30, 8], []);
  assert.equal(large, 100 + 2 * 2 ** 30 + HIGH_WATER + 2 * PIECE + 2 ** 24);
});

test("windows are as long as fits, the tensor that is kept again included, and never empty", () => {
  assert.deepEqual(windowEnds([4, 4, 4, 4, 4], 2, 12), [4, 5]);
  assert.deepEqual(windowEnds([9, 9], 0, 1), [1, 2]);
  assert.deepEqual(windowEnds([], 0, 1), []);
});

test("passes that disagree fail the checks, with index and both bit patterns", async () => {
  const made = await make(CHAIN);
  const prediction = await readAll(made.predict());
  const b = made.loaded.getLayer("b");
  const call = b.call.bind(b);
  b.call = (/** @type {any} */ x, /** @type {any} */ kwargs) => tf.add(call(x, kwargs), tf.randomUniform([2, 4]));
  const report = /** @type {any} */ ({ enter: async () => {}, record: async () => {} });
  const run = { predict: made.predict, prediction, names: ["out"], budget: 1, watch: () => {} };
  const { checks } = await new WindowedCapture(made.capture, report, run).go(null);
  assert.equal(checks[0].passed, false);
  assert.match(checks[0].detail, /out\[0, 0\] is 0x[0-9a-f]{8} and 0x[0-9a-f]{8}/);
});

test("repetitions and other batch positions of a deterministic model agree", async () => {
  const { loaded, feed, predict } = await make(CHAIN);
  const alone = await readAll(predict());
  assert.equal((await checkRuns(alone, predict, 3, ["b"])).passed, true);
  assert.equal((await checkBatch(tf, loaded, feed, alone, ["b"])).passed, true);
});

test("a repetition that differs is found and numbered", async () => {
  const { predict } = await make(CHAIN);
  const alone = await readAll(predict());
  alone[0].values[5] += 1;
  const { passed, detail } = await checkRuns(alone, predict, 2, ["b"]);
  assert.equal(passed, false);
  assert.match(detail, /runs 1 and 2.*b\[1, 1\].*1 of 8/);
});

for (const [row, position] of [[0, "first"], [2, "second"]]) {
  test(`a batch whose ${position} half differs is found`, async () => {
    const { loaded, feed, predict } = await make(CHAIN);
    const alone = await readAll(predict());
    const plain = loaded.predict.bind(loaded);
    const bump = tf.oneHot(tf.tensor1d([row], "int32"), 4).transpose();
    loaded.predict = (/** @type {any} */ x, /** @type {any} */ args) => tf.add(plain(x, args), bump);
    const { passed, detail } = await checkBatch(tf, loaded, feed, alone, ["b"]);
    assert.equal(passed, false);
    assert.match(detail, new RegExp(`${position} of two.*b\\[0, 0\\]`));
  });
}

test("a batch of fixed size cannot be tried at other positions", async () => {
  const x = input("x", { batch_input_shape: [2, 4] });
  const { loaded, feed, predict } = await make(model("m", [x, dense("a", [[["x", 0, 0]]])], ["x"], [["a", 0, 0]]));
  assert.equal((await checkBatch(tf, loaded, feed, await readAll(predict()), ["a"])).passed, null);
});

test("tensors of another shape disagree", () => {
  const plain = (/** @type {number[]} */ shape) => ({ dtype: /** @type {const} */ ("float32"), shape, values: new Float32Array(4) });
  assert.match(disagreement([plain([4])], [plain([2, 2])], ["y"]) ?? "", /float32\[4\] and float32\[2,2\]/);
});

test("calls that were never made are named", () => {
  const made = [{ path: ["a"], nodes: [0] }];
  assert.equal(checkCalls(made, made).passed, true);
  const { passed, detail } = checkCalls([...made, { path: ["m", "b"], nodes: [1, 0] }], made);
  assert.equal(passed, false);
  assert.match(detail, /m\[1\]\/b/);
});

test("a device that complained fails its check", () => {
  assert.equal(checkDevice([]).passed, true);
  assert.match(checkDevice(["bad shader", "x"]).detail, /bad shader \(and 1 more\)/);
});

test("the nodes of a layer are matched with the artifact's entries, equal ones in order", () => {
  const node = (/** @type {string} */ name) => /** @type {any} */ ({ inboundLayers: [{ name }], nodeIndices: [0], tensorIndices: [0] });
  const entries = ["b", "a", "b"].map((name) => [[name, 0, 0, {}]]);
  assert.deepEqual(artifactOrder([node("a"), node("b"), node("b")], entries), [1, 0, 2]);
  assert.deepEqual(artifactOrder([node("a")], []), [0]);
});

test("what was built is described with every nested layer, and sized", async () => {
  const topology = model("m", [
    input("x"), model("inner", INNER, ["in"], [["d", 1, 0]], [[["x", 0, 0]], [["inner", 1, 0]]]),
  ], ["x"], [["inner", 2, 0]]);
  const { loaded, plan } = await make(topology);
  const found = [...describeLayers(loaded, plan)].map(({ path, class: type, nodes }) => [path.join("/"), type, nodes]);
  assert.deepEqual(found, [
    ["x", "InputLayer", 1], ["inner", "Model", 2], ["inner/in", "InputLayer", 1], ["inner/d", "Dense", 2],
  ].map(([path, type, nodes]) => [path, type === "Model" ? loaded.getLayer("inner").getClassName() : type, nodes]));
  const sizes = foreseenSizes(plan, 2, () => true) ?? [];
  assert.equal(sizes.reduce((sum, size) => sum + size, 0), 2 * 4 * 4 * (1 + 2 * 4));
});
