// The agent in Node for one session after another in the same process: the agent's own modules, TensorFlow.js loaded once.

import { nodePlatform } from '../../src/bittrue/web/node-platform.mjs';
import { Session } from '../../src/bittrue/web/session.js';
import { FrameReader, encodeFrame } from '../../src/bittrue/web/wire.js';

const { stdin, stdout, stderr } = process;
const write = stdout.write.bind(stdout);
stdout.write = stderr.write.bind(stderr);
console.log = console.warn = console.info = () => {};

let loaded = null;

/** TensorFlow.js refuses to be told a second time where its wasm files are. */
async function loadTf(runtime) {
  if (loaded === null) {
    loaded = await nodePlatform.loadTf(runtime);
  } else if (loaded.wasm) {
    loaded.wasm = { ...loaded.wasm, setWasmPaths: () => {} };
  }
  return loaded;
}

const platform = { ...nodePlatform, loadTf };

async function begun() {
  const emit = async (header, payload) => void write(encodeFrame(header, payload, { lengthFirst: true }));
  const ends = { stop: () => process.exit(0), goto: () => {} };
  const session = new Session(platform, emit, ends);
  await session.start();
  return session;
}

let session = await begun();
let turn = Promise.resolve();

async function take(frame) {
  await session.receive(frame);
  if (session.over) session = await begun();
}

const reader = new FrameReader();
stdin.on('data', (chunk) => {
  for (const frame of reader.push(chunk)) turn = turn.then(() => take(frame));
});
stdin.on('end', () => process.exit(0));
