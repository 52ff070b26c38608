import assert from "node:assert/strict";
import { test } from "node:test";

import { Failure, toFailure } from "../../src/bittrue/web/failure.js";
import { Session } from "../../src/bittrue/web/session.js";
import { encodeFrame } from "../../src/bittrue/web/wire.js";

/** A session whose TensorFlow.js does not load, and what it sends. @param {any} [overrides] */
function makeSession(overrides = {}) {
  const sent = /** @type {any[]} */ ([]);
  const ends = /** @type {string[]} */ ([]);
  const platform = /** @type {any} */ ({
    agent: "node", userAgent: "test", breathe: async () => {}, loadTf: async () => { throw new Error("no script"); }, ...overrides,
  });
  const session = new Session(platform, async (header) => void sent.push(header), {
    stop: () => void ends.push("stop"),
    goto: (url) => void ends.push(url),
  });
  return { session, sent, ends };
}

const JOB = { target: "t", inputs: [], runtime: { version: "1" }, hashes: {}, artifact: {}, backend: "cpu" };

test("the first frame says hello", async () => {
  const { session, sent } = makeSession();
  await session.start();
  assert.deepEqual(sent, [{ type: "hello", protocol: 1, agent: "node", userAgent: "test" }]);
});

test("a job that fails ends the session with one error frame, and nothing after it", async () => {
  const { session, sent } = makeSession();
  await session.receive(encodeFrame({ type: "run", job: JOB }));
  assert.deepEqual(sent.at(-1), { type: "error", code: "load", message: "no script", phase: "loading", layer: null });
  await session.fail(new Error("later"));
  await assert.rejects(session.emit({ type: "phase" }));
  assert.equal(sent.filter(({ type }) => type === "error").length, 1);
});

test("a frame that breaks the protocol is answered by an error", async () => {
  const { session, sent } = makeSession();
  await session.receive(new Uint8Array(3));
  assert.equal(sent[0].code, "protocol");
  assert.equal(session.failed, true);
});

test("a frame of an unknown type ends the session", async () => {
  const { session, sent } = makeSession();
  await session.receive(encodeFrame({ type: "hurry" }));
  assert.deepEqual([sent[0].code, session.failed], ["protocol", true]);
});

test("an input that is missing is an error of the protocol", async () => {
  const { session, sent } = makeSession();
  await session.receive(encodeFrame({ type: "run", job: { ...JOB, inputs: ["x"] } }));
  assert.equal(sent.at(-1).code, "protocol");
});

test("stop and goto are heard, also after the job", async () => {
  const { session, ends } = makeSession();
  await session.receive(encodeFrame({ type: "run", job: JOB }));
  await session.receive(encodeFrame({ type: "goto", url: "/next/" }));
  await session.receive(encodeFrame({ type: "stop" }));
  assert.deepEqual(ends, ["/next/", "stop"]);
});

test("a connection that is gone is no second failure", async () => {
  const { session } = makeSession();
  session.send = async () => { throw new Error("closed"); };
  await session.fail(new Error("first"));
  assert.equal(session.over, true);
});

test("what a lost device makes a job throw is told as the loss", async () => {
  const { session, sent } = makeSession({
    breathe: () => new Promise((resolve) => setImmediate(resolve)),
    loadTf: async () => {
      setImmediate(() => setImmediate(() => session.lose?.(new Failure("context-lost", "gone"))));
      throw new Error("buffer unmapped");
    },
  });
  await session.receive(encodeFrame({ type: "run", job: JOB }));
  assert.equal(sent.at(-1).code, "context-lost");
});

const CODES = [
  ["building", "Unknown layer: Nope", "load"],
  ["predicting", "shape mismatch", "predict"],
  ["capturing", "anything", "capture"],
  ["predicting", "Array buffer allocation failed", "memory"],
  ["capturing", "Requested texture size [99999x1] greater than WebGL maximum", "memory"],
];
for (const [phase, said, code] of CODES) {
  test(`"${said}" while ${phase} is ${code}`, () => {
    const failure = toFailure(new Error(said), phase, "dense");
    assert.deepEqual([failure.code, failure.message, failure.about], [code, said, { layer: "dense" }]);
  });
}

test("a message is one line, never empty and never endless", () => {
  assert.equal(toFailure(new Error("a\n  b"), "loading").message, "a b");
  assert.notEqual(toFailure(undefined, "loading").message, "");
  assert.ok(toFailure("x".repeat(1e5), "loading").message.length <= 2000);
});
