import assert from "node:assert/strict";
import { test } from "node:test";

import { upperEdge } from "../../src/bittrue/report/html/charts.js";
import { stretches } from "../../src/bittrue/report/html/overview.js";

/** @param {...string} verdicts */
const layers = (...verdicts) => verdicts.map((verdict) => ({ verdict }));

test("a stretch is a run of one verdict, and rounding is not told from identical", () => {
  assert.deepEqual(stretches(layers("identical", "rounding", "identical", "bug", "bug", "suspicious", "identical")), [
    { from: 0, to: 2, verdict: "rounding" },
    { from: 3, to: 4, verdict: "bug" },
    { from: 5, to: 5, verdict: "suspicious" },
    { from: 6, to: 6, verdict: "identical" },
  ]);
});

test("a layer that a target does not have is a stretch of its own", () => {
  assert.deepEqual(stretches([...layers("identical"), null]).map(({ verdict }) => verdict), ["identical", "absent"]);
});

test("all layers are in one stretch or another, once", () => {
  const found = stretches(Array.from({ length: 1000 }, (_, at) => ({ verdict: at % 7 ? "rounding" : "bug" })));
  assert.equal(found.reduce((sum, { from, to }) => sum + to - from + 1, 0), 1000);
  found.slice(1).forEach(({ from }, at) => assert.equal(from, found[at].to + 1));
});

test("the upper edge is the largest of the neighbours, and a gap only where none of them has a value", () => {
  assert.deepEqual(upperEdge([1, 5, 2, null, null, null, 3], 1), [5, 5, 5, 2, null, 3, 3]);
  const values = [3, null, 1];
  assert.equal(upperEdge(values, 0), values);
});
