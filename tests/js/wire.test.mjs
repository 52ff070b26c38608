import assert from "node:assert/strict";
import { test } from "node:test";

import {
  FrameReader, Inbox, MAX_HEADER, MAX_PAYLOAD, PIECE, decodeFrame, encodeFrame, pieces,
} from "../../src/bittrue/web/wire.js";

const refused = { name: "Failure", code: "protocol" };

test("a frame is magic, header length, padded JSON and payload", () => {
  const frame = encodeFrame({ type: "x" }, new Uint8Array([1, 2, 3]));
  assert.equal(Buffer.from(frame.subarray(0, 4)).toString(), "BTR1");
  const length = new DataView(frame.buffer).getUint32(4, true);
  assert.equal((8 + length) % 8, 0);
  assert.equal(Buffer.from(frame.subarray(8, 8 + length)).toString(), '{"type":"x"}'.padEnd(length));
  assert.deepEqual([...frame.subarray(8 + length)], [1, 2, 3]);
});

for (const size of [0, 1, 7, 8, 9]) {
  test(`what is encoded is decoded, with ${size} bytes of payload and text beyond ASCII`, () => {
    const header = { type: "record", path: ["süß", "層"], pad: "x".repeat(size), shape: [size] };
    const payload = Uint8Array.from({ length: size }, (_, i) => i);
    const read = decodeFrame(encodeFrame(header, payload));
    assert.deepEqual(read.header, header);
    assert.deepEqual([...read.payload], [...payload]);
  });
}

test("Node's frames begin with the length of the rest", () => {
  const frame = encodeFrame({ type: "x" }, new Uint8Array(5), { lengthFirst: true });
  assert.equal(new DataView(frame.buffer).getUint32(0, true), frame.length - 4);
  assert.equal(decodeFrame(frame.subarray(4)).payload.length, 5);
});

test("a frame made in scratch memory has the bytes of one made anew, also after a longer one", () => {
  const scratch = new Uint8Array(256).fill(255);
  for (const size of [200, 3]) {
    const [header, payload] = [{ type: "x", size }, new Uint8Array(size).fill(size)];
    assert.deepEqual(encodeFrame(header, payload, { scratch }), encodeFrame(header, payload));
  }
});

for (const value of [NaN, Infinity, -Infinity, -0]) {
  test(`a header with ${Object.is(value, -0) ? "-0" : value} is not sent`, () => {
    assert.throws(() => encodeFrame({ type: "x", deep: [{ value }] }), refused);
  });
}

test("a header or payload above its limit is not sent", () => {
  assert.throws(() => encodeFrame({ type: "x".repeat(MAX_HEADER) }), refused);
  assert.throws(() => encodeFrame({ type: "x" }, new Uint8Array(MAX_PAYLOAD + 1)), refused);
  assert.equal(decodeFrame(encodeFrame({ type: "x" }, new Uint8Array(MAX_PAYLOAD))).payload.length, MAX_PAYLOAD);
});

/** @param {(bytes: Uint8Array, view: DataView) => Uint8Array | void} damage */
function damaged(damage) {
  const frame = encodeFrame({ type: "x" }, new Uint8Array(8));
  return damage(frame, new DataView(frame.buffer)) ?? frame;
}

const DAMAGE = {
  "nothing at all": () => new Uint8Array(0),
  "another version": (frame) => void (frame[3] = 0x32),
  "a header longer than the frame": (frame, view) => view.setUint32(4, 1000, true),
  "a header that ends between two words": (frame, view) => view.setUint32(4, 15, true),
  "bytes that are not UTF-8": (frame) => void (frame[9] = 0xff),
  "no JSON": (frame) => void (frame[8] = 0x20),
  "no type": () => encodeFrame({ tape: "x" }),
  "a type that is no text": () => encodeFrame({ type: 1 }),
};
for (const [what, damage] of Object.entries(DAMAGE)) {
  test(`a frame with ${what} is refused`, () => assert.throws(() => decodeFrame(damaged(damage)), refused));
}

test("frames come whole out of a stream cut anywhere", () => {
  const sent = [0, 3, 70].map((size) => encodeFrame({ type: "x", size }, new Uint8Array(size), { lengthFirst: true }));
  const stream = Buffer.concat(sent);
  for (const step of [1, 3, 29, stream.length]) {
    const reader = new FrameReader();
    const sizes = [];
    for (let at = 0; at < stream.length; at += step) {
      for (const frame of reader.push(stream.subarray(at, at + step))) sizes.push(decodeFrame(frame).payload.length);
    }
    assert.deepEqual(sizes, [0, 3, 70]);
  }
});

test("a frame announced longer than any may be is refused before it arrives", () => {
  const announced = Buffer.alloc(4);
  announced.writeUInt32LE(2 ** 31);
  assert.throws(() => [...new FrameReader().push(announced)], refused);
});

test("a tensor goes out in pieces that follow one another", () => {
  const bytes = new Uint8Array(2 * PIECE + 5).fill(7);
  const sent = [...pieces({ type: "record" }, bytes)];
  assert.deepEqual(sent.map(([{ offset, total }, piece]) => [offset, total, piece.length]), [
    [0, bytes.length, PIECE], [PIECE, bytes.length, PIECE], [2 * PIECE, bytes.length, 5],
  ]);
});

test("an empty tensor is one frame", () => {
  assert.deepEqual([...pieces({}, new Uint8Array(0))].map(([header]) => header), [{ offset: 0, total: 0 }]);
});

const described = { name: "x", dtype: "float32", shape: [2], total: 8 };

test("an input is put together from its pieces", () => {
  const inbox = new Inbox();
  inbox.add({ ...described, offset: 0 }, new Uint8Array([1, 2, 3, 4, 5]));
  assert.throws(() => inbox.take(["x"]), refused);
  inbox.add({ ...described, offset: 5 }, new Uint8Array([6, 7, 8]));
  assert.deepEqual([...inbox.take(["x"])[0].bytes], [1, 2, 3, 4, 5, 6, 7, 8]);
});

const WRONG = {
  "that leaves a gap": [{ ...described, offset: 4 }, 4],
  "longer than the tensor": [{ ...described, offset: 0 }, 9],
  "of a size that its shape contradicts": [{ ...described, total: 12, offset: 0 }, 4],
  "of a dtype that does not exist": [{ ...described, dtype: "float8", offset: 0 }, 4],
  "of a negative dimension": [{ ...described, shape: [-2], offset: 0 }, 4],
};
for (const [what, [header, size]] of Object.entries(WRONG)) {
  test(`a piece ${what} is refused`, () => {
    assert.throws(() => new Inbox().add(header, new Uint8Array(size)), refused);
  });
}

test("an input that was never sent is named", () => {
  assert.throws(() => new Inbox().take(["images"]), { ...refused, message: /images/ });
});
