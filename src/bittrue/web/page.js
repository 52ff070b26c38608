/** The agent in a page: one session over one WebSocket, and what a browser has to offer it. */

import { Failure } from "./failure.js";
import { Session } from "./session.js";
import { sha256 } from "./sha256.js";
import { HIGH_WATER, MAX_PAYLOAD, encodeFrame } from "./wire.js";

/**
 * @typedef {import("./types.js").Header} Header
 * @typedef {import("./view.js").View} View
 */

/**
 * @typedef {object} Happenings  what the page around a session is told
 * @property {() => void} [opened]  the connection is there
 * @property {() => void} stopped  the host says that nothing more will come
 * @property {(over: boolean) => void} lost  the connection has ended unexpectedly, after the job was over or before
 */

const SHORT = 2; // milliseconds between two looks at what is unsent
const TURN = 50; // milliseconds of work after which the browser may do something else

const INSECURE =
  "the page is not encrypted, so that the browser gives it one thread for WebAssembly and no SubtleCrypto";

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
  /** @type {any} */ (globalThis).regeneratorRuntime = /** @type {any} */ (globalThis).regeneratorRuntime;
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
  const { hardwareConcurrency, maxTouchPoints, platform, userAgentData } = /** @type {any} */ (navigator);
  const brands = userAgentData?.brands?.map((/** @type {any} */ { brand, version }) => `${brand} ${version}`) ?? null;
  return {
    engine: "page",
    platform: userAgentData?.platform || platform || null,
    brands,
    logical_cpus: hardwareConcurrency ?? null,
    cross_origin_isolated: Boolean(globalThis.crossOriginIsolated),
    secure_context: Boolean(globalThis.isSecureContext),
    device_memory_gib: /** @type {any} */ (navigator).deviceMemory ?? null,
    restricted: globalThis.isSecureContext ? null : INSECURE,
    screen: [screen.width, screen.height, globalThis.devicePixelRatio ?? 1],
    touch_points: maxTouchPoints ?? null,
    hidden: document.hidden,
  };
}

/** One session: its job is run as soon as the host sends it. */
export class Connection {
  /**
   * @param {View} view
   * @param {URL} address of the socket
   * @param {Happenings} happenings
   */
  constructor(view, address, happenings) {
    this.view = view;
    this.happenings = happenings;
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.scratch = new Uint8Array(MAX_PAYLOAD + 2 ** 16); // one frame after another is made here, so none becomes garbage
    this.turned = performance.now();
    this.leaving = false;
    /** Whether it was cancelled before there was anybody to tell. */
    this.refused = false;
    const ends = { stop: () => this.stop(), goto: (/** @type {string} */ url) => this.goTo(url) };
    this.session = new Session(this.platform(), (header, payload) => this.emit(header, payload), ends);
    this.socket.onopen = () => void this.open();
    this.socket.onmessage = ({ data }) => this.take(new Uint8Array(data));
    this.socket.onclose = () => {
      if (!this.leaving) happenings.lost(this.session.over);
    };
    addEventListener("error", ({ error, message }) => void this.session.fail(error ?? message));
    addEventListener("unhandledrejection", ({ reason }) => void this.session.fail(reason));
  }

  /** @returns {import("./types.js").Platform} */
  platform() {
    return {
      agent: "page",
      userAgent: navigator.userAgent,
      read,
      sha256: digest,
      loadTf,
      wasmFolder: (base) => ownUrl(base).href,
      breathe,
      drain: () => this.drain(),
      details,
    };
  }

  async open() {
    this.happenings.opened?.();
    await this.session.start();
    if (this.refused) await this.cancel();
  }

  /** @param {Uint8Array} frame */
  take(frame) {
    this.session.receive(frame);
    const { target } = this.session;
    if (target !== null) this.view.begin(target);
  }

  stop() {
    this.leaving = true;
    this.socket.close(1000);
    this.happenings.stopped();
  }

  /** @param {string} url */
  goTo(url) {
    const next = ownUrl(url);
    this.leaving = true;
    location.replace(next.href);
  }

  /** A person wants no more of it. */
  async cancel() {
    this.refused = this.socket.readyState === WebSocket.CONNECTING;
    if (!this.refused) await this.session.fail(new Failure("cancelled", "it was cancelled on the device"));
  }

  /** @param {Header} header @param {Uint8Array} [payload] */
  async emit(header, payload) {
    this.view.note(header, payload?.length ?? 0);
    if (this.socket.readyState !== WebSocket.OPEN) throw new Error("the connection to Bittrue is lost");
    this.socket.send(encodeFrame(header, payload, { scratch: this.scratch })); // which copies the bytes before it returns
    while (this.socket.bufferedAmount > HIGH_WATER && this.socket.readyState === WebSocket.OPEN) await pause();
    if (performance.now() - this.turned > TURN) {
      await breathe();
      this.turned = performance.now();
    }
  }

  /** While the page computes nothing leaves it: the socket is served by the same thread. */
  async drain() {
    while (this.socket.bufferedAmount > 0 && this.socket.readyState === WebSocket.OPEN) await pause();
  }
}

/** @param {string} path relative to the page @returns {URL} */
export function socketAddress(path) {
  const address = new URL(path, location.href);
  address.search = "";
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return address;
}
