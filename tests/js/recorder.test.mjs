/** The recorder on real models of TensorFlow.js: what it keeps, what it leaves out, and that it changes nothing. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { record } from "../../js/recorder.js";
import { dense, input, load, model, tf } from "./tensorflow.mjs";

const topology = model("m", [input("x"), dense("d", [[["x", 0, 0]]])], ["x"], [["d", 0, 0]]);
const loaded = () => load({ class_name: "Model", config: topology.config });

/** The tensors of a file by name. @param {Uint8Array} file */
function parse(file) {
  const view = new DataView(file.buffer);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  const { __metadata__: metadata, ...entries } = header;
  /** @type {{[key: string]: Float32Array}} */
  const tensors = {};
  for (const [name, { data_offsets: [start, end] }] of Object.entries(entries)) {
    tensors[name] = new Float32Array(file.slice(8 + length + start, 8 + length + end).buffer);
  }
  return { metadata, entries, tensors, first: 8 + length };
}

test("inputs and predictions of every call, bit for bit, even when the page disposes of them", async () => {
  const m = await loaded();
  const recorder = record(m, { tf });
  const values = [[-0, NaN, Infinity, 1e-40]];
  const x = tf.tensor(values);
  const y = m.predict(x);
  const answered = y.dataSync().slice();
  x.dispose();
  y.dispose();
  const { tensors, entries, metadata, first } = parse(await recorder.file());
  assert.deepEqual(Object.keys(tensors), ["input:x:0:0", "prediction:d:0:0"]);
  assert.ok(Object.is(tensors["input:x:0:0"][0], -0));
  assert.deepEqual(new Int32Array(tensors["prediction:d:0:0"].buffer), new Int32Array(answered.buffer));
  assert.deepEqual(entries["input:x:0:0"].shape, [1, 4]);
  assert.equal(JSON.parse(metadata["bittrue.provenance"]).target, "app:cpu");
  assert.equal(first % 64, 0);
});

test("calls are limited in number, in turn and in bytes", async () => {
  const m = await loaded();
  const recorder = record(m, { calls: 2, every: 2 });
  for (let i = 0; i < 9; i++) tf.tidy(() => m.predict(tf.fill([1, 4], i)));
  assert.deepEqual([recorder.seen, recorder.recorded, recorder.skipped], [9, 2, 0]);
  const { tensors } = parse(await recorder.file());
  assert.equal(tensors["input:x:1:0"][0], 2);
  recorder.stop();

  const small = record(m, { bytes: 40 });
  for (let i = 0; i < 3; i++) tf.tidy(() => m.predict(tf.fill([1, 4], i)));
  assert.deepEqual([small.recorded, small.skipped, small.bytes], [1, 2, 32]);
});

test("recording leaks no tensor, changes no answer, and stops", async () => {
  const m = await loaded();
  const x = tf.ones([3, 4]);
  const before = m.predict(x).dataSync();
  const count = tf.memory().numTensors;
  const recorder = record(m);
  const y = m.predict(x);
  assert.deepEqual(y.dataSync(), before);
  y.dispose();
  await recorder.file();
  recorder.stop();
  assert.equal(tf.memory().numTensors, count);
  assert.equal(Object.hasOwn(m, "predict"), false);
});

test("an error of the model stays the page's, and what is no model is refused", async () => {
  const m = await loaded();
  const recorder = record(m);
  assert.throws(() => m.predict(tf.ones([1, 5])), /shape/);
  assert.equal(recorder.recorded, 0);
  assert.throws(() => record({}), /no predict/);
  assert.throws(() => record(m, { calls: 0 }), /calls is 0/);
});
