import assert from "node:assert/strict";
import { test } from "node:test";

import { Report } from "../../src/bittrue/web/report.js";

/** A report, and what it does in order. */
function makeReport() {
  const done = /** @type {string[]} */ ([]);
  const report = new Report(async ({ type, phase }) => void done.push(`${type} ${phase}`), {
    breathe: async () => void done.push("breathe"),
    drain: async () => void done.push("drain"),
  });
  return { report, done };
}

for (const phase of ["predicting", "capturing"]) {
  test(`what was sent before ${phase} has left when it begins, and so has the word that it begins`, async () => {
    const { report, done } = makeReport();
    await report.enter(phase);
    assert.equal(done[0], "drain");
    assert.ok(done.indexOf(`phase ${phase}`) < done.lastIndexOf("drain"));
  });
}

test("what is sent while sending need not have left", async () => {
  const { report, done } = makeReport();
  await report.enter("sending");
  assert.deepEqual(done, ["phase sending", "breathe"]);
});

test("waiting for what was sent counts as sending it", async () => {
  const slow = () => /** @type {Promise<void>} */ (new Promise((resolve) => setTimeout(resolve, 30)));
  const report = new Report(async () => {}, { breathe: async () => {}, drain: slow });
  await report.enter("sending");
  await report.enter("predicting");
  assert.ok(report.timings().sending >= 25);
});

test("time may count as something else than its phase", async () => {
  const { report, done } = makeReport();
  await report.enter("sending", null, null, "sending_weights");
  await report.enter("sending");
  assert.deepEqual(done.filter((what) => what.startsWith("phase")), ["phase sending", "phase sending"]);
  assert.deepEqual(Object.keys(report.timings()), ["loading", "sending_weights", "sending"]);
});

test("an agent that has nothing to drain goes on", async () => {
  const report = new Report(async () => {}, { breathe: async () => {} });
  await report.enter("predicting");
  assert.equal(report.phase, "predicting");
});
