/** The agent in a page: one session, over one WebSocket beside the page's own address. */

import { Failure } from "./failure.js";
import { Session } from "./session.js";
import { sha256 } from "./sha256.js";
import { View } from "./view.js";
import { HIGH_WATER, MAX_PAYLOAD, encodeFrame } from "./wire.js";

/** @typedef {import("./types.js").Header} Header */

const SHORT = 2; // milliseconds between two looks at what is unsent
const TURN = 50; // milliseconds of work after which the browser may do something else

const channel = new MessageChannel();
/** @type {(() => void)[]} */
const turns = [];
channel.port1.onmessage = () => turns.shift()?.();

/** One turn of the event loop; unlike timers, messages are not slowed down in a tab that is not seen. */
function breathe() {
  return /** @type {Promise<void>} */ (
    new Promise((resolve) => {
      turns.push(resolve);
      channel.port2.postMessage(null);
    })
  );
}

/** @returns {Promise<void>} */
function pause() {
  return document.hidden ? breathe() : new Promise((resolve) => setTimeout(resolve, SHORT));
}

/** @param {string} address @returns {URL} of this host */
function ownUrl(address) {
  const url = new URL(address, location.href);
  if (url.origin !== location.origin) throw new Failure("protocol", `${url.origin} is not the host that this page is from`);
  return url;
}

/** @param {string} base @param {string} path */
async function read(base, path) {
  const folder = ownUrl(base.endsWith("/") ? base : `${base}/`);
  const url = new URL(path.split("/").map(encodeURIComponent).join("/"), folder);
  const response = await fetch(url, { mode: "same-origin", redirect: "error" });
  if (!response.ok) throw new Error(`the host answered ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** @param {Uint8Array} bytes */
async function digest(bytes) {
  if (!globalThis.crypto?.subtle) return sha256(bytes);
  const hash = await crypto.subtle.digest("SHA-256", /** @type {Uint8Array<ArrayBuffer>} */ (bytes));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {import("./types.js").Job["runtime"]} runtime */
async function loadTf({ base, scripts }) {
  // TensorFlow.js assigns to this name in strict mode and, where it does not exist, evaluates a string instead, which
  // the page's content security policy forbids.
  /** @type {any} */ (globalThis).regeneratorRuntime ??= undefined;
  for (const name of scripts) await loadScript(new URL(name, ownUrl(base)));
  return /** @type {any} */ (globalThis).tf;
}

/** @param {URL} url @returns {Promise<void>} */
function loadScript(url) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = ownUrl(url.href).href;
    script.onload = () => resolve();
    script.onerror = () => reject(new Failure("load", `the script ${url.pathname.split("/").pop()} could not be loaded`));
    document.head.append(script);
  });
}

function details() {
  const { hardwareConcurrency, platform, userAgentData } = /** @type {any} */ (navigator);
  const brands = userAgentData?.brands?.map((/** @type {any} */ { brand, version }) => `${brand} ${version}`) ?? null;
  return {
    engine: "page",
    platform: userAgentData?.platform || platform || null,
    brands,
    logical_cpus: hardwareConcurrency ?? null,
    cross_origin_isolated: Boolean(globalThis.crossOriginIsolated),
    device_memory_gib: /** @type {any} */ (navigator).deviceMemory ?? null,
    hidden: document.hidden,
  };
}

const view = new View(document);
const address = new URL("socket", location.href);
address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const socket = new WebSocket(address);
socket.binaryType = "arraybuffer";
const scratch = new Uint8Array(MAX_PAYLOAD + 2 ** 16); // one frame after another is made here, so none becomes garbage
let turned = performance.now();
let leaving = false;

/** @type {import("./types.js").Emit} */
async function emit(header, payload) {
  view.note(header, payload?.length ?? 0);
  if (socket.readyState !== WebSocket.OPEN) throw new Error("the connection to Bittrue is lost");
  socket.send(encodeFrame(header, payload, { scratch })); // the socket copies the bytes before it returns
  while (socket.bufferedAmount > HIGH_WATER && socket.readyState === WebSocket.OPEN) await pause();
  if (performance.now() - turned > TURN) {
    await breathe();
    turned = performance.now();
  }
}

/** While the page computes nothing leaves it: the socket is served by the same thread. */
async function drain() {
  while (socket.bufferedAmount > 0 && socket.readyState === WebSocket.OPEN) await pause();
}

/** @type {import("./types.js").Platform} */
const platform = {
  agent: "page",
  userAgent: navigator.userAgent,
  read,
  sha256: digest,
  loadTf,
  wasmFolder: (base) => ownUrl(base).href,
  breathe,
  drain,
  details,
};

const session = new Session(platform, emit, {
  stop: () => {
    leaving = true;
    socket.close(1000);
    if (!session.over) view.finished("Finished");
  },
  goto: (url) => {
    const next = ownUrl(url);
    leaving = true;
    location.replace(next);
  },
});

socket.onopen = () => session.start();
socket.onmessage = ({ data }) => {
  const frame = new Uint8Array(data);
  session.receive(frame);
  const { target } = session;
  if (target !== null) view.begin(target);
};
socket.onclose = () => {
  if (!leaving && !session.over) view.failed("The connection to Bittrue is lost. This tab can be closed.");
};
addEventListener("error", ({ error, message }) => void session.fail(error ?? message));
addEventListener("unhandledrejection", ({ reason }) => void session.fail(reason));
