import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { bytesOf, firstDifference, readTensor, unravel } from "../../src/bittrue/web/bits.js";
import { sha256 } from "../../src/bittrue/web/sha256.js";

/** @param {number[]} words */
const floats = (...words) => new Float32Array(Uint32Array.from(words).buffer);

test("the same bits are equal, NaN payloads included", () => {
  assert.equal(firstDifference(floats(0x7fc00001, 0x80000000), floats(0x7fc00001, 0x80000000)), null);
});

test("NaNs of different payloads and zeros of different signs differ", () => {
  const found = firstDifference(floats(0, 0x7fc00000, 0), floats(0, 0x7fc00001, 0x80000000));
  assert.deepEqual(found, { at: 1, count: 2, one: "0x7fc00000", other: "0x7fc00001" });
});

test("bytes are compared as bytes", () => {
  assert.deepEqual(firstDifference(new Uint8Array([1, 0]), new Uint8Array([1, 1])), {
    at: 1, count: 1, one: "0x00", other: "0x01",
  });
});

test("a view into a larger buffer is compared and sent from where it begins", () => {
  const all = new Float32Array([9, 1, 2]);
  assert.equal(firstDifference(all.subarray(1), new Float32Array([1, 2])), null);
  assert.deepEqual(bytesOf(all.subarray(1)), new Uint8Array(new Float32Array([1, 2]).buffer));
});

test("an index by axis", () => {
  assert.deepEqual(unravel(23, [2, 3, 4]), [1, 2, 3]);
  assert.deepEqual(unravel(0, []), []);
});

/** @param {string} dtype @param {any} values */
const tensor = (dtype, values) => /** @type {any} */ ({ dtype, shape: [values.length], data: async () => values });

test("a cast tensor that is kept in the array it was cast from is read as what it is", async () => {
  assert.deepEqual((await readTensor(tensor("float32", new Int32Array([1, 2])))).values, new Float32Array([1, 2]));
  assert.deepEqual((await readTensor(tensor("int32", new Uint8Array([1, 0])))).values, new Int32Array([1, 0]));
  assert.deepEqual((await readTensor(tensor("bool", [true, false]))).values, new Uint8Array([1, 0]));
});

test("values of the right type are not copied", async () => {
  const values = floats(0x7f800001);
  assert.equal((await readTensor(tensor("float32", values))).values, values);
});

test("a tensor of strings is refused", async () => {
  await assert.rejects(readTensor(tensor("string", ["a"])), { code: "capture" });
});

for (const size of [0, 1, 55, 56, 63, 64, 65, 1000]) {
  test(`SHA-256 of ${size} bytes`, () => {
    const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 31) & 0xff);
    assert.equal(sha256(bytes), createHash("sha256").update(bytes).digest("hex"));
  });
}
