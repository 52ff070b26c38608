/**
 * Capturing within a budget: a pass keeps what fits, and as many further passes as are needed keep the rest, each
 * from where the last one ended. Passes must agree: each keeps the last tensors of the one before once more.
 */

import { readTensor } from "./bits.js";
import { callsOf, release, signature } from "./capture.js";
import { check, disagreement, readAll } from "./checks.js";
import { Failure, toFailure } from "./failure.js";
import { beyond, discard } from "./held.js";

/**
 * @typedef {import("./bits.js").Plain} Plain
 * @typedef {import("./capture.js").Capture} Capture
 * @typedef {import("./capture.js").Moment} Moment
 * @typedef {import("./report.js").Report} Report
 * @typedef {import("./types.js").Call} Call
 * @typedef {import("./types.js").Tensor} Tensor
 */

/**
 * @typedef {object} Result
 * @property {Call[]} calls  every call that was made
 * @property {import("./checks.js").Check[]} checks
 */

/**
 * @typedef {object} Course  what the first pass taught about all of them
 * @property {string[]} signatures  of its moments
 * @property {number[]} sizes  bytes of its moments that are to be kept; 0 for repetitions
 * @property {boolean[]} repeated  which of its moments are repetitions, not to be kept again
 */

/** The passes of one capture. */
export class WindowedCapture {
  /**
   * @param {Capture} capture
   * @param {Report} report
   * @param {{predict: () => Tensor[], prediction: Plain[], names: string[], budget: number, besides?: number, watch: () => void}} run
   *   prediction: what the model returned when nothing was captured, and the names of its outputs;
   *   besides: bytes of the budget that are not for the kept tensors; watch: called while those are held
   */
  constructor(capture, report, run) {
    this.capture = capture;
    this.report = report;
    this.run = run;
    /** Bytes of tensors that a pass may keep. */
    this.room = run.budget - (run.besides ?? 0);
    /** Most bytes that a pass kept. */
    this.kept = 0;
    /** First difference between the outputs of a pass and the plain prediction. @type {string | null} */
    this.outputsDiffer = null;
    /** First difference between two passes. @type {string | null} */
    this.passesDiffer = null;
    /** The last tensors of the last window. @type {{position: number, tensors: Plain[], name: string} | null} */
    this.last = null;
  }

  /**
   * @param {number | null} foreseen how many windows there may be
   * @returns {Promise<Result>}
   * @throws {Failure} capture
   */
  async go(foreseen) {
    let held = 0;
    let end = 0;
    const pass = await this._pass(1, foreseen, (position, bytes) => {
      if (position === end && (end === 0 || held + bytes <= this.room)) {
        held += bytes;
        end = position + 1;
        return true;
      }
      return false;
    });
    const course = courseOf(pass.moments);
    const ends = windowEnds(course.sizes, end, this.room);
    await this._send(pass.moments, 0, end, 1, ends.length + 1);
    for (const [i, next] of ends.entries()) {
      await this._further(course, end, next, i + 2, ends.length + 1);
      end = next;
    }
    return { calls: pass.calls, checks: this._checks(ends.length + 1) };
  }

  /**
   * @param {Course} course
   * @param {number} start
   * @param {number} end
   * @param {number} window
   * @param {number} windows
   */
  async _further({ signatures, repeated }, start, end, window, windows) {
    const again = this.last?.position ?? -1;
    const keep = (/** @type {number} */ at) => at === again || (at >= start && at < end && !repeated[at]);
    const { moments } = await this._pass(window, windows, keep);
    const found = moments.findIndex((moment, at) => signature(moment) !== signatures[at]);
    if (found >= 0 || moments.length !== signatures.length) {
      release(moments);
      const layer = moments[Math.max(found, 0)].path.join("/");
      throw new Failure("capture", `pass ${window} took another course than pass 1, from layer ${layer} on`, { layer });
    }
    await this._compareAgain(moments);
    await this._send(moments, start, end, window, windows);
  }

  /**
   * One forward pass; its outputs are compared with the prediction.
   *
   * @param {number} window
   * @param {number | null} windows
   * @param {(position: number, bytes: number) => boolean} keep
   */
  async _pass(window, windows, keep) {
    const { predict, prediction, names, watch } = this.run;
    await this.report.enter("capturing", window, windows);
    let pass;
    try {
      pass = this.capture.pass(predict, keep);
    } catch (error) {
      throw toFailure(error, "capturing", this.capture.failedAt);
    }
    watch();
    this.kept = Math.max(this.kept, keptBytes(pass.moments));
    try {
      const outputs = await readAll(pass.outputs);
      this.outputsDiffer = this.outputsDiffer ?? disagreement(prediction, outputs, names);
      discard(this.capture.tf, outputs);
    } catch (error) {
      release(pass.moments);
      throw error;
    }
    return pass;
  }

  /** @param {Moment[]} moments */
  async _compareAgain(moments) {
    if (this.last === null) return;
    const { position, tensors, name } = this.last;
    const again = await readParts(moments[position]);
    this.passesDiffer = this.passesDiffer ?? disagreement(tensors, again, tensors.map(() => name));
    discard(this.capture.tf, again);
  }

  /**
   * Send the moments of a window, each freed as soon as it is read.
   *
   * @param {Moment[]} moments
   * @param {number} start
   * @param {number} end
   * @param {number} window
   * @param {number} windows
   */
  async _send(moments, start, end, window, windows) {
    await this.report.enter("sending", window, windows);
    try {
      for (let at = start; at < end; at++) {
        const calls = callsOf(moments[at]).filter(({ path }) => this.capture.wanted(path.join("/")));
        if (calls.length === 0) continue;
        const tensors = await this._sendMoment(moments[at], calls);
        discard(this.capture.tf, this.last?.tensors ?? []);
        this.last = { position: at, tensors, name: calls[0].path.join("/") };
      }
    } finally {
      release(moments);
    }
  }

  /** @param {Moment} moment @param {Call[]} calls @returns {Promise<Plain[]>} */
  async _sendMoment(moment, calls) {
    const tensors = [];
    for (const part of moment.parts) {
      const tensor = await readTensor(/** @type {Tensor} */ (part.kept));
      for (const call of calls) await this.report.record(part.kind, call, part.index, tensor);
      part.kept?.dispose();
      part.kept = null;
      tensors.push(tensor);
    }
    return tensors;
  }

  /** @param {number} windows */
  _checks(windows) {
    const unchanged = "the model's outputs have the same bits with and without capture";
    const checks = [check("capture", this.outputsDiffer === null, this.outputsDiffer === null
      ? unchanged : `with and without capture differ: ${this.outputsDiffer}`)];
    if (windows > 1) {
      const agree = `the ${windows} passes gave the same bits where they overlap`;
      checks.push(check("windows", this.passesDiffer === null, this.passesDiffer === null
        ? agree : `two passes differ: ${this.passesDiffer}`));
    }
    const raised = beyond(this.kept + (this.run.besides ?? 0), this.run.budget);
    if (raised !== null) checks.push(check("budget", null, raised));
    return checks;
  }
}

/** @param {Moment[]} moments @returns {Course} */
function courseOf(moments) {
  const repeated = moments.map(({ event }) => event.call === null);
  return {
    signatures: moments.map(signature),
    sizes: moments.map(({ bytes }, at) => (repeated[at] ? 0 : bytes)),
    repeated,
  };
}

/**
 * Where the windows after the first one end: each as long as fits the budget, and one moment at least.
 *
 * @param {number[]} sizes bytes of the moments
 * @param {number} start
 * @param {number} budget
 * @returns {number[]}
 */
export function windowEnds(sizes, start, budget) {
  const ends = [];
  for (let at = start; at < sizes.length; ) {
    let held = sizes[at - 1] ?? 0; // the last moment of the window before is kept once more
    const from = at;
    while (at < sizes.length && (at === from || held + sizes[at] <= budget)) held += sizes[at++];
    ends.push(at);
  }
  return ends;
}

/** @param {Moment[]} moments */
function keptBytes(moments) {
  return moments.reduce((sum, { bytes, parts }) => sum + (parts[0].kept === null ? 0 : bytes), 0);
}

/** @param {Moment} moment @returns {Promise<Plain[]>} */
async function readParts({ parts }) {
  const read = [];
  for (const part of parts) read.push(await readTensor(/** @type {Tensor} */ (part.kept)));
  return read;
}
