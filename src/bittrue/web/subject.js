/** The model that a job runs: what differs between layers-models and graph-models. */

import { readTensor } from "./bits.js";
import { Capture } from "./capture.js";
import { Held, besides } from "./held.js";
import { Plan, describeLayers, foreseenSizes, leafLayers, modelConfig } from "./plan.js";
import { WindowedCapture } from "./windows.js";

/**
 * @typedef {import("./bits.js").Plain} Plain
 * @typedef {import("./checks.js").Check} Check
 * @typedef {import("./checks.js").Outputs} Outputs
 * @typedef {import("./report.js").Report} Report
 * @typedef {import("./types.js").Call} Call
 * @typedef {import("./types.js").Container} Container
 * @typedef {import("./types.js").Predictor} Predictor
 * @typedef {import("./types.js").Tensor} Tensor
 */

/**
 * @typedef {object} Described  a layer in the `model` frame
 * @property {string[]} path
 * @property {string} class
 * @property {number} nodes  number of its calls in its own model
 * @property {{name: string, dtype: string, shape: number[]}[]} weights
 */

/**
 * @typedef {object} Capturing  a run whose tensors are to be captured
 * @property {() => Outputs} predict
 * @property {Tensor[]} feed  the model's inputs, in order
 * @property {number} batch
 * @property {Plain[]} prediction  what the model returned when nothing was captured
 * @property {string[]} names  of its outputs
 * @property {number} budget
 * @property {() => void} watch  called while captured tensors are held
 * @property {Call[] | null} calls  that the host knows of
 * @property {number | null} windows  how many there may be
 */

/**
 * @typedef {object} Subject
 * @property {Predictor} model
 * @property {() => Iterable<Described>} layers
 * @property {() => Iterable<[path: string[], index: number, weight: Tensor]>} weights
 * @property {(batch: number, wanted: (path: string) => boolean) => number[] | null} sizes  bytes that a capture holds
 * @property {(run: {predict: () => Outputs, feed: Tensor[]}) => string | null | Promise<string | null>} failingLayer  at which a prediction fails
 * @property {(run: Capturing, report: Report, wanted: (path: string) => boolean) => Promise<{calls: Call[], checks: Check[]}>} capture
 */

/** @implements {Subject} */
export class LayersSubject {
  /**
   * @param {any} tf
   * @param {Container} model
   * @param {any} topology as the artifact has it
   */
  constructor(tf, model, topology) {
    this.tf = tf;
    this.container = model;
    this.held = new Held(tf);
    this.model = this.held.watching(model);
    this.plan = new Plan(model, modelConfig(topology));
  }

  layers() {
    return describeLayers(this.container, this.plan);
  }

  /** @returns {Generator<[string[], number, Tensor]>} */
  *weights() {
    for (const [path, layer] of leafLayers(this.container)) {
      for (const [index, weight] of layer.getWeights().entries()) yield [path, index, weight];
    }
  }

  /** @param {number} batch @param {(path: string) => boolean} wanted */
  sizes(batch, wanted) {
    return foreseenSizes(this.plan, batch, wanted);
  }

  /** Found by watching it fail once more. @param {{predict: () => Outputs}} run @returns {string | null} */
  failingLayer({ predict }) {
    const capture = new Capture(this.tf, this.plan, () => false);
    try {
      capture.pass(atOnce(predict), () => false).outputs.forEach((tensor) => tensor.dispose());
    } catch {
      // it was to fail: `capture` has noted where
    }
    return capture.failedAt;
  }

  /** @param {Capturing} run @param {Report} report @param {(path: string) => boolean} wanted */
  async capture(run, report, wanted) {
    for (const { position, path, nodes, implicit } of this.plan.inputs) {
      const known = !implicit || run.calls?.some((call) => call.path.join("/") === path.join("/"));
      if (!known || !wanted(path.join("/"))) continue;
      await report.record("output", { path, nodes }, 0, await readTensor(run.feed[position]));
    }
    const others = besides(this.held.most, this.sizes(run.batch, wanted), run.prediction);
    const capture = new Capture(this.tf, this.plan, wanted);
    return new WindowedCapture(capture, report, { ...run, predict: atOnce(run.predict), besides: others }).go(run.windows);
  }
}

/**
 * The prediction of a layers-model, whose layers are watched as it goes: it is never to be waited for.
 *
 * @param {() => Outputs} predict
 * @returns {() => Tensor[]}
 */
function atOnce(predict) {
  return /** @type {() => Tensor[]} */ (predict);
}
