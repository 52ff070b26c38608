/** What an agent tells its host while a job runs: phases, tensors, and how long each phase took. */

import { bytesOf } from "./bits.js";
import { pieces } from "./wire.js";

/**
 * @typedef {import("./bits.js").Plain} Plain
 * @typedef {import("./types.js").Call} Call
 * @typedef {import("./types.js").Emit} Emit
 * @typedef {import("./types.js").Kind} Kind
 * @typedef {import("./types.js").Platform} Platform
 */

/** Phases in which a thread does nothing but compute: what was sent before would wait, and count as their time. */
const COMPUTING = new Set(["predicting", "capturing"]);

export class Report {
  /**
   * @param {Emit} emit
   * @param {Pick<Platform, "breathe" | "drain">} platform
   */
  constructor(emit, { breathe, drain = async () => {} }) {
    this.emit = emit;
    this.breathe = breathe;
    this.drain = drain;
    /** The phase that the job is in. */
    this.phase = "loading";
    /** What its time counts as. */
    this.clock = "loading";
    /** The layer whose tensors are being sent or were last seen. @type {string | null} */
    this.layer = null;
    /** @type {{[phase: string]: number}} milliseconds */
    this.milliseconds = {};
    this.since = performance.now();
  }

  /**
   * Begin a phase and say so; what was sent before it has left before anything is computed.
   *
   * @param {string} phase
   * @param {number | null} [window] counted from 1
   * @param {number | null} [windows]
   * @param {string} [clock] what its time counts as
   */
  async enter(phase, window = null, windows = null, clock = phase) {
    if (COMPUTING.has(phase)) await this.drain();
    this._clock();
    this.phase = phase;
    this.clock = clock;
    this.layer = null;
    await this.emit({ type: "phase", phase, window, windows });
    await this.breathe(); // a page shows the phase before it gets to work
    if (COMPUTING.has(phase)) await this.drain();
  }

  /**
   * Send one tensor.
   *
   * @param {Kind} kind
   * @param {Call} call
   * @param {number} index
   * @param {Plain} tensor
   */
  async record(kind, { path, nodes }, index, { dtype, shape, values }) {
    this.layer = path.join("/");
    const header = { type: "record", kind, path, nodes, index, dtype, shape };
    for (const [completed, piece] of pieces(header, bytesOf(values))) await this.emit(completed, piece);
  }

  /** Milliseconds by phase (or what its time counts as), up to now. */
  timings() {
    this._clock();
    return this.milliseconds;
  }

  _clock() {
    const now = performance.now();
    const sum = (this.milliseconds[this.clock] ?? 0) + now - this.since;
    this.milliseconds[this.clock] = Math.round(sum * 1000) / 1000;
    this.since = now;
  }
}
