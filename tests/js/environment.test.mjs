import assert from "node:assert/strict";
import { test } from "node:test";

import { isSoftware, jsonSafe, startBackend, watchDevice } from "../../src/bittrue/web/environment.js";
import { encodeFrame } from "../../src/bittrue/web/wire.js";

for (const name of [
  "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE)), SwiftShader driver)",
  "llvmpipe, or similar", "Mesa/X.org llvmpipe (LLVM 15.0.6, 256 bits)", "Microsoft Basic Render Driver", "google swiftshader",
  "Apple Software Renderer",
]) {
  test(`${name} is software`, () => assert.equal(isSoftware(name), true));
}

for (const name of [
  "ANGLE (NVIDIA, NVIDIA GeForce RTX 3080 Direct3D11 vs_5_0 ps_5_0, D3D11)", "Apple M2", "Adreno (TM) 640", "Mali-G78",
  "ANGLE (Intel, Mesa Intel(R) UHD Graphics 620 (KBL GT2), OpenGL 4.6)", "AMD Radeon Pro 5500M",
]) {
  test(`${name} is hardware`, () => assert.equal(isSoftware(name), false));
}

test("facts that JSON cannot carry are sent as words", () => {
  const facts = jsonSafe({ size: Infinity, none: undefined, list: [NaN, -0, 1], nested: { call: () => 1 } });
  assert.deepEqual(facts, { size: "Infinity", none: null, list: ["NaN", "-0", 1], nested: { call: null } });
  encodeFrame({ type: "environment", details: facts });
});

/** A TensorFlow.js that has these backends, of which some start. @param {{[name: string]: boolean}} backends */
function fakeTf(backends, flags = ["WEBGL_CPU_FORWARD", "WEBGL_PACK"]) {
  const log = /** @type {string[]} */ ([]);
  const tf = {
    log,
    version: { tfjs: "9.9.9" },
    now: "",
    env: () => ({
      flagRegistry: Object.fromEntries(flags.map((name) => [name, {}])),
      set: (/** @type {string} */ name, /** @type {any} */ value) => log.push(`${name}=${value}`),
    }),
    findBackendFactory: (/** @type {string} */ name) => (name in backends ? () => ({}) : null),
    engine: () => ({ registryFactory: backends }),
    setBackend: async (/** @type {string} */ name) => (log.push(`start ${name}`), (tf.now = name), backends[name]),
    ready: async () => void (backends[tf.now] || (tf.now = "cpu")),
    getBackend: () => tf.now,
  };
  return tf;
}

/** @param {string} backend @param {any} [flags] */
const job = (backend, flags = {}) => /** @type {any} */ ({ backend, flags, runtime: { base: "/b/" } });
const platform = /** @type {any} */ ({ wasmFolder: (/** @type {string} */ base) => base });

test("flags are set before the backend starts, the user's last", async () => {
  const tf = fakeTf({ webgl: true });
  await startBackend(tf, job("webgl", { WEBGL_PACK: false, WEBGL_CPU_FORWARD: true }), platform);
  assert.deepEqual(tf.log, ["WEBGL_CPU_FORWARD=false", "WEBGL_PACK=false", "WEBGL_CPU_FORWARD=true", "start webgl"]);
});

test("default flags that a version does not have are left out", async () => {
  const tf = fakeTf({ cpu: true }, []);
  await startBackend(tf, job("cpu"), platform);
  assert.deepEqual(tf.log, ["start cpu"]);
});

test("a flag of the user's that a version does not have is refused by name", async () => {
  const failure = { code: "load", message: /9\.9\.9.*NOPE/ };
  await assert.rejects(startBackend(fakeTf({ cpu: true }), job("cpu", { NOPE: 1 }), platform), failure);
});

test("a backend that falls back is an error that names both", async () => {
  const failure = { code: "backend-fallback", about: { asked: "webgl", answered: "cpu" } };
  await assert.rejects(startBackend(fakeTf({ webgl: false, cpu: true }), job("webgl"), platform), failure);
});

test("a backend that throws while starting is a fallback too, and says why", async () => {
  const tf = fakeTf({ webgl: false, cpu: true });
  tf.setBackend = async () => Promise.reject(new Error("no context"));
  await assert.rejects(startBackend(tf, job("webgl"), platform), { code: "backend-fallback", message: /no context/ });
});

test("a backend that is not there at all is unavailable", async () => {
  await assert.rejects(startBackend(fakeTf({ cpu: true }), job("webgl"), platform), { code: "backend-unavailable", message: /cpu/ });
});

test("wasm of the 1.x line is told the file, later ones the folder", async () => {
  for (const [name, told] of [["setWasmPath", "/b/tfjs-backend-wasm.wasm"], ["setWasmPaths", "/b/"]]) {
    const tf = /** @type {any} */ (fakeTf({ wasm: true }));
    tf.wasm = { [name]: (/** @type {string} */ path) => tf.log.push(path) };
    await startBackend(tf, job("wasm"), platform);
    assert.ok(tf.log.includes(told));
  }
});

test("a lost WebGL context and a lost WebGPU device are told", async () => {
  const canvas = new EventTarget();
  const told = /** @type {string[]} */ ([]);
  const lose = (/** @type {any} */ failure) => told.push(`${failure.code} ${failure.message}`);
  watchDevice({ getBackend: () => "webgl", backend: () => ({ gpgpu: { gl: { canvas } } }) }, lose);
  canvas.dispatchEvent(new Event("webglcontextlost"));
  const device = Object.assign(new EventTarget(), { lost: Promise.resolve({ message: "driver reset" }) });
  watchDevice({ getBackend: () => "webgpu", backend: () => ({ device }) }, lose);
  await device.lost;
  assert.match(told[0], /context-lost.*webgl/);
  assert.match(told[1], /context-lost.*webgpu.*driver reset/);
});

test("what a WebGPU device complains of is kept", () => {
  const device = Object.assign(new EventTarget(), { lost: new Promise(() => {}) });
  const watched = watchDevice({ getBackend: () => "webgpu", backend: () => ({ device }) }, () => {});
  device.dispatchEvent(Object.assign(new Event("uncapturederror"), { error: { message: "bad shader\nline 2" } }));
  assert.deepEqual(watched?.faults, ["bad shader"]);
});
