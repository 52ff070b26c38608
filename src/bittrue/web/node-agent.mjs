/** The agent in Node (18 or newer): frames on standard input and output, everything else on standard error. */

import { Console } from "node:console";

import { messageOf } from "./failure.js";
import { nodePlatform } from "./node-platform.mjs";
import { Session } from "./session.js";
import { FrameReader, HIGH_WATER, encodeFrame } from "./wire.js";

const { stdin, stdout, stderr } = process;
const write = stdout.write.bind(stdout);

// Only frames may go out: whatever a library prints would break the host's reading of them.
globalThis.console = new Console(stderr, stderr);
stdout.write = /** @type {any} */ (stderr.write.bind(stderr));

const TURN = 50; // milliseconds of work after which the host is listened to
let listened = performance.now();

/** @type {import("./types.js").Emit} */
async function emit(header, payload) {
  write(encodeFrame(header, payload, { lengthFirst: true }));
  while (stdout.writableLength > HIGH_WATER) await new Promise((resolve) => stdout.once("drain", resolve));
  if (performance.now() - listened > TURN) {
    await nodePlatform.breathe();
    listened = performance.now();
  }
}

/** Leave once everything is written. @param {number} code */
function leave(code) {
  write("", () => process.exit(code));
}

/** @returns {Promise<void>} */
function drain() {
  return new Promise((resolve) => void write("", () => resolve()));
}

const session = new Session({ ...nodePlatform, drain }, emit, {
  stop: () => leave(0),
  goto: () => void session.fail(new Error("goto is for pages: Node has no address to go to"), "loading"),
});

/** @param {unknown} error */
async function fail(error) {
  console.error(messageOf(error));
  await session.fail(error);
  leave(1);
}

process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
stdout.on("error", () => process.exit(1)); // the host is gone

await session.start();
const reader = new FrameReader();
stdin.on("data", (chunk) => {
  try {
    for (const frame of reader.push(/** @type {Buffer} */ (chunk))) void take(frame);
  } catch (error) {
    void fail(error);
  }
});
stdin.on("end", () => process.exit(session.over ? 0 : 1)); // the host is gone

/** @param {Uint8Array} frame */
async function take(frame) {
  await session.receive(frame);
  if (session.failed) leave(1);
}
