/** Starting the backend that was asked for, and saying what answered. */

import { Failure, messageOf } from "./failure.js";

/**
 * @typedef {import("./types.js").Job} Job
 * @typedef {import("./types.js").Platform} Platform
 * @typedef {any} Tf  the `tf` object of whichever version was loaded
 */

/** Without these, small tensors run on the CPU inside a GPU backend, and the wrong kernel is measured. */
const DEFAULT_FLAGS = { WEBGL_CPU_FORWARD: false, WEBGPU_CPU_FORWARD: false };

/** Flags of a backend begin with its name; those without a prefix concern all. */
const PREFIXES = ["WEBGL_", "WEBGPU_", "WASM_"];

const SOFTWARE = new RegExp(
  [
    "swiftshader", "llvmpipe", "lavapipe", "softpipe", "swrast", "software (rasterizer|renderer|adapter)", "mesa offscreen",
    "mesa x11", "microsoft basic render", "\\bwarp\\b", "generic gdi", "subzero",
  ].join("|"),
  "i",
);

/**
 * Set the flags, start the backend and make sure that it is the one that answers.
 *
 * @param {Tf} tf
 * @param {Job} job
 * @param {Platform} platform
 * @throws {Failure} load (a flag that there is not), backend-unavailable, backend-fallback
 */
export async function startBackend(tf, job, platform) {
  setFlags(tf, job);
  await refuseMissing(tf, job.backend);
  if (job.backend === "wasm") tellWasmFolder(tf, platform.wasmFolder(job.runtime.base));
  let started = false;
  let why = "";
  try {
    started = await tf.setBackend(job.backend);
  } catch (error) {
    why = `: ${messageOf(error)}`;
  }
  if (!started || tf.getBackend() !== job.backend) throw await fallback(tf, job.backend, why);
  await tf.ready();
}

/** @param {Tf} tf @param {Job} job */
function setFlags(tf, job) {
  const known = tf.env().flagRegistry;
  for (const [name, value] of Object.entries(DEFAULT_FLAGS)) if (name in known) tf.env().set(name, value);
  for (const [name, value] of Object.entries(job.flags ?? {})) {
    if (!(name in known)) {
      throw new Failure(
        "load",
        `TensorFlow.js ${tf.version.tfjs} has no flag ${name} with the ${job.backend} backend: correct its name or leave it out`,
      );
    }
    tf.env().set(name, value);
  }
}

/** @param {Tf} tf @param {string} backend */
async function refuseMissing(tf, backend) {
  if (backend === "webgpu") {
    const gpu = globalThis.navigator?.gpu;
    if (!gpu && globalThis.isSecureContext === false) {
      throw new Failure("backend-unavailable", "browsers offer WebGPU to encrypted pages alone, and this one is not encrypted");
    }
    if (!gpu) throw new Failure("backend-unavailable", "this browser offers no WebGPU");
    if (!(await gpu.requestAdapter())) {
      throw new Failure("backend-unavailable", "this browser has WebGPU but found no adapter for it");
    }
  }
  if (tf.findBackendFactory(backend) == null) {
    const there = Object.keys(tf.engine().registryFactory).join(", ");
    throw new Failure("backend-unavailable", `TensorFlow.js has no backend ${backend} here, only ${there}`);
  }
}

/** @param {Tf} tf @param {string} folder */
function tellWasmFolder(tf, folder) {
  if (tf.wasm.setWasmPaths) tf.wasm.setWasmPaths(folder);
  else tf.wasm.setWasmPath(`${folder}tfjs-backend-wasm.wasm`); // before 2.0
}

/** @param {Tf} tf @param {string} asked @param {string} why */
async function fallback(tf, asked, why) {
  let answered = "none";
  try {
    await tf.ready(); // does what TensorFlow.js would have done silently: the next best backend
    answered = tf.getBackend();
  } catch {
    // no backend at all starts: `answered` says so
  }
  const message = `the ${asked} backend did not start${why}, and TensorFlow.js would have gone on with ${answered}`;
  return new Failure("backend-fallback", message, { asked, answered });
}

/**
 * The `environment` frame: everything about this place that can move a bit.
 *
 * @param {Tf} tf
 * @param {Job} job
 * @param {Platform} platform
 */
export async function describeEnvironment(tf, job, platform) {
  const backend = tf.getBackend();
  const { adapter, software, ...found } = await ADAPTERS[backend]?.(tf) ?? { adapter: null, software: null };
  const details = {
    ...platform.details(),
    ...found,
    user_agent: platform.userAgent,
    versions: tf.version,
    float_precision: tf.backend().floatPrecision(),
    epsilon: tf.backend().epsilon(),
    flags: evaluatedFlags(tf, backend),
    flags_asked: job.flags ?? {},
  };
  return {
    type: "environment",
    backend,
    asked: job.backend,
    version: tf.version.tfjs,
    adapter,
    software,
    details: jsonSafe(details),
  };
}

/** @type {{[backend: string]: (tf: Tf) => any}} */
const ADAPTERS = { webgl: describeWebgl, webgpu: describeWebgpu, wasm: describeWasm };

/** @param {Tf} tf */
function describeWebgl(tf) {
  const gl = webglContext(tf);
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  const adapter = String(gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  const vendor = String(gl.getParameter(names ? names.UNMASKED_VENDOR_WEBGL : gl.VENDOR));
  const env = tf.env();
  return {
    adapter,
    software: isSoftware(`${adapter} ${vendor}`),
    vendor,
    webgl_version: String(gl.getParameter(gl.VERSION)),
    render_float32_capable: env.get("WEBGL_RENDER_FLOAT32_CAPABLE"),
    render_float32_enabled: env.get("WEBGL_RENDER_FLOAT32_ENABLED"),
    precision: shaderPrecision(gl),
    limits: webglLimits(gl),
    extensions: (gl.getSupportedExtensions() ?? []).filter((/** @type {string} */ name) => /float/.test(name)),
    force_f16_textures: "WEBGL_FORCE_F16_TEXTURES" in env.flagRegistry ? env.get("WEBGL_FORCE_F16_TEXTURES") : null,
  };
}

/** Bits of a float's fraction in fragment shaders, and the powers of two between which it lies. @param {any} gl */
function shaderPrecision(gl) {
  const found = ["HIGH", "MEDIUM", "LOW"].map((name) => {
    const format = gl.getShaderPrecisionFormat(gl.FRAGMENT_SHADER, gl[`${name}_FLOAT`]);
    return [name.toLowerCase(), format && { bits: format.precision, range: [format.rangeMin, format.rangeMax] }];
  });
  return Object.fromEntries(found);
}

/** @param {any} gl */
function webglLimits(gl) {
  const names = ["MAX_TEXTURE_SIZE", "MAX_RENDERBUFFER_SIZE", "MAX_TEXTURE_IMAGE_UNITS", "MAX_FRAGMENT_UNIFORM_VECTORS"];
  return Object.fromEntries(names.map((name) => [name.toLowerCase(), gl.getParameter(gl[name])]));
}

/** @param {Tf} tf */
async function describeWebgpu(tf) {
  const { info, fallback: isFallback } = await adapterInfo(tf);
  const said = ["vendor", "architecture", "device", "description"].map((part) => info?.[part]).filter(Boolean);
  const adapter = said.join(" ") || "unnamed WebGPU adapter";
  const device = tf.backend().device;
  const limits = ["maxBufferSize", "maxStorageBufferBindingSize", "maxComputeWorkgroupStorageSize"];
  return {
    adapter,
    software: isFallback || isSoftware(adapter),
    is_fallback_adapter: isFallback,
    limits: Object.fromEntries(limits.map((name) => [name, device?.limits?.[name] ?? null])),
    features: Array.from(device?.features ?? []).sort(),
  };
}

/**
 * The adapter of TensorFlow.js's own device where the browser tells, else of a device asked for in the same words.
 *
 * @param {Tf} tf
 * @returns {Promise<{info: any, fallback: boolean}>}
 */
async function adapterInfo(tf) {
  const own = tf.backend().device?.adapterInfo;
  const low = tf.env().get("WEBGPU_USE_LOW_POWER_GPU");
  const gpu = /** @type {any} */ (globalThis.navigator).gpu;
  const adapter = await gpu.requestAdapter({ powerPreference: low ? "low-power" : "high-performance" });
  const info = own ?? adapter?.info ?? (await adapter?.requestAdapterInfo?.());
  return { info, fallback: Boolean(info?.isFallbackAdapter ?? adapter?.isFallbackAdapter) };
}

/** @param {Tf} tf */
function describeWasm(tf) {
  return { adapter: null, software: null, threads: tf.wasm.getThreadsCount?.() ?? 1 };
}

/** @param {string} renderer */
export function isSoftware(renderer) {
  return SOFTWARE.test(renderer);
}

/** @param {Tf} tf @returns {any} the WebGL context that the backend draws with */
function webglContext(tf) {
  const backend = tf.backend();
  return backend.gpgpu?.gl ?? backend.getGPGPUContext().gl;
}

/**
 * Every flag that has a value, those of the running backend evaluated if they were not yet.
 *
 * @param {Tf} tf
 * @param {string} backend
 */
function evaluatedFlags(tf, backend) {
  const env = tf.env();
  for (const name of Object.keys(env.flagRegistry)) {
    if (!name.startsWith(`${backend.toUpperCase()}_`)) continue;
    try {
      env.get(name);
    } catch {
      // a flag that only evaluates asynchronously, and that nothing has needed so far
    }
  }
  const others = PREFIXES.filter((prefix) => prefix !== `${backend.toUpperCase()}_`);
  const known = Object.entries(env.flags).filter(([name]) => !others.some((prefix) => name.startsWith(prefix)));
  return Object.fromEntries(known.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/**
 * A copy that JSON can carry exactly: what is no JSON value becomes its name as a string.
 *
 * @param {any} value
 * @returns {any}
 */
export function jsonSafe(value) {
  if (Array.isArray(value)) return value.map(jsonSafe);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, jsonSafe(item)]));
  }
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return value === undefined || typeof value === "function" ? null : value;
}

/**
 * Watch the graphics device. What goes wrong on it throws nowhere: a lost context hangs, and after a shader that does
 * not compile WebGPU goes on and delivers zeros.
 *
 * @param {Tf} tf
 * @param {(failure: Failure) => void} lose called if the graphics context or device goes away
 * @returns {{faults: string[]} | null} what the device complains of, as it does; null where devices do not say
 */
export function watchDevice(tf, lose) {
  const backend = tf.getBackend();
  const fail = (/** @type {string} */ why) =>
    lose(new Failure("context-lost", `the ${backend} backend lost its graphics context${why}`));
  if (backend === "webgl") {
    const { canvas } = webglContext(tf);
    canvas.addEventListener("webglcontextlost", () => fail(""), { once: true });
  }
  if (backend !== "webgpu") return null;
  const { device } = tf.backend();
  device.lost.then((/** @type {any} */ info) => fail(info.message ? ` (${messageOf(info)})` : ""));
  const faults = /** @type {string[]} */ ([]);
  device.addEventListener("uncapturederror", (/** @type {any} */ { error }) => {
    faults.push(String(error.message).split("\n")[0]);
  });
  return { faults };
}
