/**
 * Sends the same tensors over Bittrue's socket, as its agent does, or (?bare) over a bare WebSocket, which carries
 * the bytes alone. ?tensors and ?floats say how many and how large; ?socket says where to.
 */

import { HIGH_WATER, PIECE, encodeFrame, pieces } from "../agent/wire.js";

const asked = new URLSearchParams(location.search);
const tensors = Number(asked.get("tensors"));
const floats = Number(asked.get("floats"));
const bytes = new Uint8Array(Float32Array.from({ length: floats }, (_, i) => Math.sin(i)).buffer);
const socket = new WebSocket(asked.get("socket"));
socket.binaryType = "arraybuffer";
await new Promise((resolve) => (socket.onopen = resolve));

async function send(data) {
  socket.send(data);
  while (socket.bufferedAmount > HIGH_WATER) await new Promise((resolve) => setTimeout(resolve, 2));
}

async function sendFrames() {
  for (let i = 0; i < tensors; i++) {
    const header = { type: "record", kind: "output", path: [`layer_${i}`], nodes: [0], index: 0, dtype: "float32", shape: [floats] };
    for (const [completed, piece] of pieces(header, bytes)) await send(encodeFrame(completed, piece));
  }
  await send(encodeFrame({ type: "done", timings: {}, memory: null }));
}

async function sendBytes() {
  for (let i = 0; i < tensors; i++) {
    for (let at = 0; at < bytes.length; at += PIECE) await send(bytes.subarray(at, at + PIECE));
  }
  await send("all");
}

const begun = new Promise((resolve) => (socket.onmessage = resolve));
if (asked.has("bare")) {
  await begun;
  await sendBytes();
} else {
  await send(encodeFrame({ type: "hello", protocol: 1, agent: "page", userAgent: navigator.userAgent }));
  const environment = { backend: "cpu", asked: "cpu", version: "0.0.0", adapter: null, software: null, details: {} };
  await send(encodeFrame({ type: "environment", ...environment }));
  await send(encodeFrame({ type: "phase", phase: "sending", window: null, windows: null }));
  await begun;
  await sendFrames();
}
