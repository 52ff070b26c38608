/** Frames of docs/protocol.md: written, read, and put together again from pieces. */

import { Failure } from "./failure.js";

/**
 * @typedef {import("./types.js").Header} Header
 * @typedef {import("./types.js").Dtype} Dtype
 */

export const PROTOCOL = 1;
export const MAX_HEADER = 2 ** 20;
export const MAX_PAYLOAD = 4 * 2 ** 20;

/**
 * Bytes of a tensor sent in one frame. Rates are nearly the same from 256 KiB to 4 MiB; pieces that fit into caches cost
 * both sides less time of the processor.
 */
export const PIECE = 2 ** 18;

/** Bytes an agent may have sent that the host has not taken yet. */
export const HIGH_WATER = 16 * 2 ** 20;

const MAGIC = 0x31525442; // "BTR1" read as a little-endian number
const FIXED = 8; // bytes of magic and header length
const NOTHING = new Uint8Array(0);
const SPACE = 0x20;

/** @type {{[dtype: string]: number}} bytes of one element */
export const ITEM_SIZE = { float32: 4, int32: 4, bool: 1, uint8: 1, float16: 2, float64: 8 };

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * One frame as bytes. The payload is copied once, into place.
 *
 * @param {Header} header
 * @param {Uint8Array} [payload]
 * @param {{lengthFirst?: boolean, scratch?: Uint8Array<ArrayBuffer>}} [how] lengthFirst: precede the frame by its
 *   length, as Node's pipes need it; scratch: memory to make the frame in, for a sender that copies it at once
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {Failure} protocol: a header or payload that is too large, or a number that JSON cannot carry
 */
export function encodeFrame(header, payload = NOTHING, { lengthFirst = false, scratch } = {}) {
  const text = encoder.encode(JSON.stringify(header, refuseInexact));
  const room = Math.ceil((FIXED + text.length) / 8) * 8;
  if (room - FIXED > MAX_HEADER) throw new Failure("protocol", `a header of ${text.length} bytes is too large to send`);
  if (payload.length > MAX_PAYLOAD) throw new Failure("protocol", `a payload of ${payload.length} bytes is too large`);
  const start = lengthFirst ? 4 : 0;
  const size = start + room + payload.length;
  const frame = scratch === undefined || scratch.length < size ? new Uint8Array(size) : scratch.subarray(0, size);
  const view = new DataView(frame.buffer, frame.byteOffset);
  if (lengthFirst) view.setUint32(0, room + payload.length, true);
  view.setUint32(start, MAGIC, true);
  view.setUint32(start + 4, room - FIXED, true);
  frame.set(text, start + FIXED);
  frame.fill(SPACE, start + FIXED + text.length, start + room);
  frame.set(payload, start + room);
  return frame;
}

/**
 * The header and payload of a frame; the payload is a view of the frame's own bytes.
 *
 * @param {Uint8Array} frame
 * @returns {{header: Header, payload: Uint8Array}}
 * @throws {Failure} protocol
 */
export function decodeFrame(frame) {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < FIXED || view.getUint32(0, true) !== MAGIC) throw broken("does not begin with BTR1");
  const length = view.getUint32(4, true);
  const end = FIXED + length;
  if (length > MAX_HEADER || end > frame.length || end % 8 !== 0) throw broken(`states a header of ${length} bytes`);
  if (frame.length - end > MAX_PAYLOAD) throw broken(`has a payload of ${frame.length - end} bytes`);
  return { header: parseHeader(frame.subarray(FIXED, end)), payload: frame.subarray(end) };
}

/** @param {Uint8Array} bytes @returns {Header} */
function parseHeader(bytes) {
  let header;
  try {
    header = JSON.parse(decoder.decode(bytes));
  } catch {
    throw broken("has a header that is not JSON");
  }
  if (header === null || typeof header !== "object" || typeof header.type !== "string") {
    throw broken("has a header without a type");
  }
  return header;
}

/**
 * The frames of one tensor: its header completed by offset and total, and the piece. An empty tensor has one frame.
 *
 * @param {Header} header
 * @param {Uint8Array} bytes
 * @returns {Generator<[Header, Uint8Array]>}
 */
export function* pieces(header, bytes) {
  const total = bytes.length;
  for (let offset = 0; offset === 0 || offset < total; offset += PIECE) {
    yield [{ ...header, offset, total }, bytes.subarray(offset, offset + PIECE)];
  }
}

/**
 * Frames out of a stream in which each is preceded by its length (Node's standard input).
 */
export class FrameReader {
  constructor() {
    /** @type {Uint8Array[]} */
    this.chunks = [];
    this.held = 0;
  }

  /**
   * Take more of the stream.
   *
   * @param {Uint8Array} chunk
   * @returns {Generator<Uint8Array>} the frames that are now whole
   * @throws {Failure} protocol
   */
  *push(chunk) {
    this.chunks.push(chunk);
    this.held += chunk.length;
    while (this.held >= 4) {
      const head = this._joined(4);
      const length = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
      if (length > FIXED + MAX_HEADER + MAX_PAYLOAD) throw broken(`is announced with ${length} bytes`);
      if (this.held < 4 + length) return;
      const whole = this._joined(4 + length);
      this.chunks[0] = whole.subarray(4 + length);
      this.held -= 4 + length;
      yield whole.subarray(4, 4 + length);
    }
  }

  /** The first chunk, made to hold at least `wanted` bytes. @param {number} wanted @returns {Uint8Array} */
  _joined(wanted) {
    if (this.chunks[0].length < wanted) {
      const all = new Uint8Array(this.held);
      let at = 0;
      for (const chunk of this.chunks) {
        all.set(chunk, at);
        at += chunk.length;
      }
      this.chunks = [all];
    }
    return this.chunks[0];
  }
}

/**
 * @typedef {object} Received  one input tensor
 * @property {string} name
 * @property {Dtype} dtype
 * @property {number[]} shape
 * @property {Uint8Array<ArrayBuffer>} bytes
 * @property {number} filled bytes that have arrived
 */

/** Input tensors as they arrive, piece by piece, each piece where the last one ended. */
export class Inbox {
  constructor() {
    /** @type {Map<string, Received>} */
    this.tensors = new Map();
  }

  /**
   * @param {Header} header of an `input` frame
   * @param {Uint8Array} payload
   * @throws {Failure} protocol
   */
  add(header, payload) {
    const tensor = this.tensors.get(header.name) ?? this._open(header);
    const said = JSON.stringify([header.dtype, header.shape, header.total]);
    if (said !== JSON.stringify([tensor.dtype, tensor.shape, tensor.bytes.length])) {
      throw broken(`changes the dtype, shape or size of input ${JSON.stringify(header.name)}`);
    }
    if (header.offset !== tensor.filled || tensor.filled + payload.length > tensor.bytes.length) {
      throw broken(`puts a piece of input ${JSON.stringify(header.name)} where none belongs`);
    }
    tensor.bytes.set(payload, tensor.filled);
    tensor.filled += payload.length;
  }

  /** Forget everything: what comes next belongs to another prediction. */
  clear() {
    this.tensors.clear();
  }

  /** @param {Header} header @returns {Received} */
  _open({ name, dtype, shape, total }) {
    const sound = typeof name === "string" && dtype in ITEM_SIZE && Array.isArray(shape) && shape.every(isSize);
    if (!sound || total !== shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, ITEM_SIZE[dtype])) {
      throw broken(`describes input ${JSON.stringify(name)} inconsistently`);
    }
    const tensor = { name, dtype, shape, bytes: new Uint8Array(total), filled: 0 };
    this.tensors.set(name, tensor);
    return tensor;
  }

  /**
   * The tensors of these names, whole, in this order.
   *
   * @param {string[]} names
   * @returns {Received[]}
   * @throws {Failure} protocol
   */
  take(names) {
    return names.map((name) => {
      const tensor = this.tensors.get(name);
      if (tensor === undefined || tensor.filled < tensor.bytes.length) {
        throw new Failure("protocol", `input ${JSON.stringify(name)} has not arrived whole: send it before the job`);
      }
      return tensor;
    });
  }
}

/** @param {unknown} value */
function isSize(value) {
  return Number.isSafeInteger(value) && /** @type {number} */ (value) >= 0;
}

/** @param {string} key @param {unknown} value */
function refuseInexact(key, value) {
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))) {
    throw new Failure("protocol", `${key} is ${Object.is(value, -0) ? "-0" : value}, which JSON cannot carry`);
  }
  return value;
}

/** @param {string} what */
function broken(what) {
  return new Failure("protocol", `a frame from the host ${what}: host and agent must be of the same version of Bittrue`);
}
