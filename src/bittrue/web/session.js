/** An agent's side of one session: frames in, one job, frames out. */

import { Failure, errorFrame, toFailure } from "./failure.js";
import { runJob } from "./job.js";
import { Report } from "./report.js";
import { Requests } from "./serving.js";
import { Inbox, PROTOCOL, decodeFrame } from "./wire.js";

/**
 * @typedef {import("./types.js").Emit} Emit
 * @typedef {import("./types.js").Header} Header
 * @typedef {import("./types.js").Platform} Platform
 */

/**
 * @typedef {object} Ends  what the host may ask for besides a job
 * @property {() => void} stop
 * @property {(url: string) => void} goto
 */

/** Turns of the event loop in which a lost device may still explain what the job threw because of it. */
const TURNS = 3;

export class Session {
  /**
   * @param {Platform} platform
   * @param {Emit} emit
   * @param {Ends} ends
   */
  constructor(platform, emit, ends) {
    this.platform = platform;
    this.ends = ends;
    this.inbox = new Inbox();
    /** What a job that stays is asked, one after another. */
    this.requests = new Requests();
    /** Whether the last frame, `done` or `error`, is out. */
    this.over = false;
    this.failed = false;
    /** What is run, once it is known. @type {string | null} */
    this.target = null;
    /** @type {Emit} */
    this.emit = async (header, payload) => {
      if (this.over) throw new Error("the session is over"); // ends what a failed job may still be doing
      await emit(header, payload);
    };
    this.send = emit;
    this.report = new Report(this.emit, platform);
  }

  /** The first frame. */
  async start() {
    const { agent, userAgent } = this.platform;
    await this.emit({ type: "hello", protocol: PROTOCOL, agent, userAgent });
  }

  /**
   * Take a frame from the host. Never throws: whatever goes wrong is told to the host.
   *
   * @param {Uint8Array} frame
   */
  async receive(frame) {
    try {
      const { header, payload } = decodeFrame(frame);
      if (header.type === "stop") this.ends.stop();
      else if (header.type === "goto") this.ends.goto(header.url);
      else if (this.over) return;
      else if (header.type === "input") this.inbox.add(header, payload);
      else if (header.type === "predict" && this.target !== null) this.requests.add(header);
      else if (header.type === "run" && this.target === null) await this._run(header);
      else throw new Failure("protocol", `a frame of type ${header.type} came from the host out of turn`);
    } catch (error) {
      await this.fail(error, "loading");
    }
  }

  /** @param {Header} header */
  async _run({ job }) {
    this.target = String(job.target);
    /** @type {import("./failure.js").Failure | null} */
    let loss = null;
    const lost = new Promise((_, reject) => {
      this.lose = (/** @type {import("./failure.js").Failure} */ failure) => reject((loss = failure));
    });
    const work = runJob(job, this.inbox, this.requests, this.platform, this.report, (failure) => this.lose?.(failure));
    work.catch(() => {}); // when the context is lost first, what the job throws later is of no interest
    try {
      await Promise.race([work, lost]);
      this.over = true;
    } catch (error) {
      for (let turn = 0; turn < TURNS; turn++) await this.platform.breathe();
      await this.fail(loss ?? error);
    }
  }

  /**
   * End the session with an `error` frame, once.
   *
   * @param {unknown} error
   * @param {string} [phase]
   */
  async fail(error, phase = this.report.phase) {
    if (this.over) return;
    this.over = true;
    this.failed = true;
    const failure = toFailure(error, phase, this.report.layer);
    try {
      await this.send(errorFrame(failure, phase));
    } catch {
      // the connection is gone: nobody is left to be told
    }
  }
}
