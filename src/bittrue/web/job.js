/** One job from beginning to end; the same in a page and in Node. */

import { loadArtifact } from "./artifact.js";
import { readTensor } from "./bits.js";
import { Capture } from "./capture.js";
import { checkBatch, checkCalls, checkDevice, checkRuns, predictOnce, readAll } from "./checks.js";
import { describeEnvironment, startBackend, watchDevice } from "./environment.js";
import { Failure, messageOf, toFailure } from "./failure.js";
import { makeFeed } from "./feed.js";
import { Plan, describeLayers, foreseenSizes, leafLayers, modelConfig } from "./plan.js";
import { WindowedCapture, windowEnds } from "./windows.js";

/**
 * @typedef {import("./bits.js").Plain} Plain
 * @typedef {import("./failure.js").Failure} FailureType
 * @typedef {import("./report.js").Report} Report
 * @typedef {import("./types.js").Container} Container
 * @typedef {import("./types.js").Job} Job
 * @typedef {import("./types.js").Platform} Platform
 * @typedef {import("./types.js").Tensor} Tensor
 * @typedef {import("./wire.js").Inbox} Inbox
 */

/**
 * Run a job and tell all of it, up to the `done` frame.
 *
 * @param {Job} job
 * @param {Inbox} inbox
 * @param {Platform} platform
 * @param {Report} report
 * @param {(failure: FailureType) => void} lose called if the graphics context goes, which nothing may ever throw
 * @throws {Failure}
 */
export async function runJob(job, inbox, platform, report, lose) {
  const received = inbox.take(job.inputs);
  await report.enter("loading");
  const tf = await loadTf(job, platform);
  await startBackend(tf, job, platform);
  const device = watchDevice(tf, lose);
  await report.emit(await describeEnvironment(tf, job, platform));
  const artifact = await loadArtifact(job.artifact, job.hashes, platform);
  await report.enter("building");
  const model = await buildModel(tf, job, artifact);
  try {
    const plan = new Plan(model, modelConfig(artifact.modelTopology));
    const feed = makeFeed(tf, model, received);
    try {
      const peak = await new ModelRun(tf, job, report, model, plan, feed).go();
      if (device) await report.emit(checkDevice(device.faults));
      await report.emit({ type: "done", timings: report.timings(), memory: peak });
    } finally {
      feed.forEach(({ tensor }) => tensor.dispose());
    }
  } finally {
    model.dispose();
  }
}

/** @param {Job} job @param {Platform} platform */
async function loadTf({ runtime }, platform) {
  const tf = await platform.loadTf(runtime);
  const version = tf?.version?.tfjs;
  if (version !== runtime.version) {
    throw new Failure("load", `TensorFlow.js ${runtime.version} was to be loaded, but what was loaded is ${version}`);
  }
  return tf;
}

/** @param {any} tf @param {Job} job @param {import("./artifact.js").Artifact} artifact @returns {Promise<Container>} */
async function buildModel(tf, job, artifact) {
  try {
    return await tf.loadLayersModel({ load: async () => artifact });
  } catch (error) {
    const { code } = toFailure(error, "building");
    throw new Failure(code, `TensorFlow.js ${job.runtime.version} refuses the model: ${messageOf(error)}`);
  }
}

/** A loaded model and its inputs, and everything that the job wants to know of them. */
class ModelRun {
  /**
   * @param {any} tf
   * @param {Job} job
   * @param {Report} report
   * @param {Container} model
   * @param {Plan} plan
   * @param {{name: string, tensor: Tensor}[]} feed
   */
  constructor(tf, job, report, model, plan, feed) {
    this.tf = tf;
    this.job = job;
    this.report = report;
    this.model = model;
    this.plan = plan;
    this.feed = feed;
    /** Most bytes of tensors seen held at once. */
    this.peak = 0;
    const layers = job.layers == null ? null : new Set(job.layers);
    /** @param {string} path @returns {boolean} */
    this.wanted = (path) => layers === null || layers.has(path);
  }

  /** @returns {Promise<number>} most bytes of tensors seen held at once */
  async go() {
    const { job, report } = this;
    const sizes = job.capture ? foreseenSizes(this.plan, this.batch, this.wanted) : [];
    const bytes = sizes?.reduce((sum, size) => sum + size, 0) ?? null;
    const windows = sizes === null ? null : Math.max(1, windowEnds(sizes, 0, job.budget).length);
    await report.emit({ type: "model", layers: [...describeLayers(this.model, this.plan)], bytes, windows });
    await report.enter("sending");
    for (const { name, tensor } of this.feed) {
      await report.record("input", { path: [name], nodes: [0] }, 0, await readTensor(tensor));
    }
    if (job.weights) await this.#sendWeights();
    const prediction = await this.#predict();
    if (job.capture) await this.#capture(prediction, windows);
    return this.peak;
  }

  get batch() {
    return this.feed[0].tensor.shape[0];
  }

  async #sendWeights() {
    for (const [path, layer] of leafLayers(this.model)) {
      const call = { path, nodes: path.map(() => 0) };
      for (const [index, weight] of layer.getWeights().entries()) {
        await this.report.record("weight", call, index, await readTensor(weight));
      }
    }
  }

  /** The plain prediction, and the experiments on it. @returns {Promise<Plain[]>} */
  async #predict() {
    const { job, report, model } = this;
    const names = model.outputNames;
    await report.enter("predicting");
    const first = await this.#firstPrediction();
    if (job.runs > 1) await report.emit(await checkRuns(first, this.predict, job.runs, names));
    if (job.batch) await report.emit(await checkBatch(this.tf, model, this.feed.map(({ tensor }) => tensor), first, names));
    await report.enter("sending");
    for (const [index, output] of first.entries()) {
      await report.record("prediction", { path: [names[index]], nodes: [0] }, index, output);
    }
    return first;
  }

  /** @returns {Promise<Plain[]>} */
  async #firstPrediction() {
    try {
      return await readAll(this.predict());
    } catch (error) {
      throw toFailure(error, "predicting", this.#failingLayer());
    }
  }

  /** The layer at which a prediction fails, found by watching it fail once more. @returns {string | null} */
  #failingLayer() {
    const capture = new Capture(this.tf, this.plan, () => false);
    try {
      capture.pass(this.predict, () => false).outputs.forEach((tensor) => tensor.dispose());
    } catch {
      // it was to fail: `capture` has noted where
    }
    return capture.failedAt;
  }

  /** One plain prediction, to be disposed by the caller. @returns {Tensor[]} */
  predict = () => {
    const outputs = predictOnce(this.model, this.feed.map(({ tensor }) => tensor));
    this.watch();
    return outputs;
  };

  watch = () => {
    this.peak = Math.max(this.peak, this.tf.memory().numBytes);
  };

  /** @param {Plain[]} prediction @param {number | null} windows */
  async #capture(prediction, windows) {
    const { job, report, predict, watch } = this;
    await report.enter("sending");
    for (const { position, path, nodes, implicit } of this.plan.inputs) {
      const known = !implicit || job.calls?.some((call) => call.path.join("/") === path.join("/"));
      if (!known || !this.wanted(path.join("/"))) continue;
      await report.record("output", { path, nodes }, 0, await readTensor(this.feed[position].tensor));
    }
    const capture = new Capture(this.tf, this.plan, this.wanted);
    const names = this.model.outputNames;
    const run = { predict, prediction, names, budget: job.budget, watch };
    const { calls, checks } = await new WindowedCapture(capture, report, run).go(windows);
    for (const found of checks) await report.emit(found);
    if (job.calls != null) await report.emit(checkCalls(job.calls, calls));
  }
}
