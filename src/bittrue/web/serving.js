/** A job that stays: the model is built once and answers one request after another. */

import { predictOnce, readAll } from "./checks.js";
import { Failure, toFailure } from "./failure.js";
import { makeFeed } from "./feed.js";

/**
 * @typedef {import("./report.js").Report} Report
 * @typedef {import("./types.js").Header} Header
 * @typedef {import("./types.js").Predictor} Predictor
 * @typedef {import("./wire.js").Inbox} Inbox
 */

/** Requests on their way from the frames that bring them to the job that answers them. */
export class Requests {
  constructor() {
    /** @type {Header[]} */
    this.waiting = [];
    /** @type {(() => void) | null} */
    this.wake = null;
  }

  /** @param {Header} header of a `predict` frame */
  add(header) {
    this.waiting.push(header);
    this.wake?.();
  }

  /** @returns {Promise<Header>} the next request, however long it takes to come */
  async next() {
    while (this.waiting.length === 0) {
      await /** @type {Promise<void>} */ (new Promise((resolve) => (this.wake = resolve)));
    }
    this.wake = null;
    return /** @type {Header} */ (this.waiting.shift());
  }
}

/**
 * Answer requests until the host ends the session. An input that the model cannot take refuses its request alone.
 *
 * @param {any} tf
 * @param {Predictor} model
 * @param {string[]} names of the inputs, in the model's order
 * @param {Inbox} inbox
 * @param {Requests} requests
 * @param {Report} report
 * @returns {Promise<never>}
 */
export async function serve(tf, model, names, inbox, requests, report) {
  await report.enter("serving");
  for (;;) {
    const { request } = await requests.next();
    try {
      for (const [index, output] of (await answer(tf, model, inbox.take(names))).entries()) {
        await report.record("prediction", { path: [model.outputNames[index]], nodes: [0] }, index, output);
      }
      await report.emit({ type: "predicted", request });
    } catch (error) {
      const failure = toFailure(error, "predicting");
      if (failure.code !== "predict") throw failure;
      await report.emit({ type: "refused", request, message: failure.message });
    } finally {
      inbox.clear();
    }
  }
}

/**
 * @param {any} tf
 * @param {Predictor} model
 * @param {import("./wire.js").Received[]} received
 */
async function answer(tf, model, received) {
  const feed = makeFeed(tf, model, received);
  try {
    return await readAll(await predictOnce(model, feed.map(({ tensor }) => tensor)));
  } catch (error) {
    throw error instanceof Failure ? error : toFailure(error, "predicting");
  } finally {
    feed.forEach(({ tensor }) => tensor.dispose());
  }
}
