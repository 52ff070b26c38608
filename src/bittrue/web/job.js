/** One job from beginning to end; the same in a page and in Node. */

import { loadArtifact } from "./artifact.js";
import { readTensor } from "./bits.js";
import { checkBatch, checkCalls, checkDevice, checkRuns, predictOnce, readAll } from "./checks.js";
import { describeEnvironment, startBackend, watchDevice } from "./environment.js";
import { Failure, messageOf, toFailure } from "./failure.js";
import { makeFeed } from "./feed.js";
import { GraphSubject } from "./graph-model.js";
import { serve } from "./serving.js";
import { LayersSubject } from "./subject.js";
import { windowEnds } from "./windows.js";

/**
 * @typedef {import("./bits.js").Plain} Plain
 * @typedef {import("./failure.js").Failure} FailureType
 * @typedef {import("./report.js").Report} Report
 * @typedef {import("./subject.js").Subject} Subject
 * @typedef {import("./types.js").Job} Job
 * @typedef {import("./types.js").Platform} Platform
 * @typedef {import("./types.js").Tensor} Tensor
 * @typedef {import("./wire.js").Inbox} Inbox
 * @typedef {import("./serving.js").Requests} Requests
 */

/**
 * Run a job and tell all of it, up to the `done` frame.
 *
 * @param {Job} job
 * @param {Inbox} inbox
 * @param {Requests} requests for a job that stays
 * @param {Platform} platform
 * @param {Report} report
 * @param {(failure: FailureType) => void} lose called if the graphics context goes, which nothing may ever throw
 * @throws {Failure}
 */
export async function runJob(job, inbox, requests, platform, report, lose) {
  const received = job.stay ? [] : inbox.take(job.inputs);
  await report.enter("loading");
  const exact = job.artifact.format === "exact";
  const start = exact ? (await import("./exact-model.js")).startExact : startTensorFlow;
  const { tf, subject, device = null } = await start(job, platform, report, lose);
  try {
    if (job.stay) await serve(tf, subject.model, job.inputs, inbox, requests, report);
    const feed = makeFeed(tf, subject.model, received);
    try {
      const peak = await new ModelRun(tf, job, report, subject, feed).go();
      if (device) await report.emit(checkDevice(device.faults));
      await report.emit({ type: "done", timings: report.timings(), memory: peak });
    } finally {
      feed.forEach(({ tensor }) => tensor.dispose());
    }
  } finally {
    subject.model.dispose();
  }
}

/**
 * @param {Job} job
 * @param {Platform} platform
 * @param {Report} report
 * @param {(failure: FailureType) => void} lose
 * @returns {Promise<{tf: any, subject: Subject, device?: {faults: string[]} | null}>}
 */
async function startTensorFlow(job, platform, report, lose) {
  const tf = await loadTf(job, platform);
  await startBackend(tf, job, platform);
  const device = watchDevice(tf, lose);
  await report.emit(await describeEnvironment(tf, job, platform));
  const artifact = await loadArtifact(job.artifact, job.hashes, platform);
  await report.enter("building");
  return { tf, subject: await buildModel(tf, job, artifact), device };
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

/** @param {any} tf @param {Job} job @param {import("./artifact.js").Artifact} artifact @returns {Promise<Subject>} */
async function buildModel(tf, job, artifact) {
  const graph = job.artifact.format === "graph-model";
  const handler = { load: async () => artifact };
  let model;
  try {
    model = await (graph ? tf.loadGraphModel(handler) : tf.loadLayersModel(handler));
  } catch (error) {
    const { code } = toFailure(error, "building");
    throw new Failure(code, `TensorFlow.js ${job.runtime.version} refuses the model: ${messageOf(error)}`);
  }
  return graph ? new GraphSubject(tf, model, artifact, job.places ?? null) : new LayersSubject(tf, model, artifact.modelTopology);
}

/** A loaded model and its inputs, and everything that the job wants to know of them. */
class ModelRun {
  /**
   * @param {any} tf
   * @param {Job} job
   * @param {Report} report
   * @param {Subject} subject
   * @param {{name: string, tensor: Tensor}[]} feed
   */
  constructor(tf, job, report, subject, feed) {
    this.tf = tf;
    this.job = job;
    this.report = report;
    this.subject = subject;
    this.model = subject.model;
    this.feed = feed;
    /** Most bytes of tensors seen held at once. */
    this.peak = 0;
    /** One plain prediction, to be disposed by the caller. @type {() => Tensor[] | Promise<Tensor[]>} */
    this.predict = () => this._predictOnce();
    this.watch = () => void (this.peak = Math.max(this.peak, this.tf.memory().numBytes));
    const layers = job.layers == null ? null : new Set(job.layers);
    /** @param {string} path @returns {boolean} */
    this.wanted = (path) => layers === null || layers.has(path);
  }

  /** @returns {Promise<number>} most bytes of tensors seen held at once */
  async go() {
    const { job, report } = this;
    const sizes = job.capture ? this.subject.sizes(this.batch, this.wanted) : [];
    const bytes = sizes?.reduce((sum, size) => sum + size, 0) ?? null;
    const windows = sizes === null ? null : Math.max(1, windowEnds(sizes, 0, job.budget).length);
    await report.emit({ type: "model", layers: [...this.subject.layers()], bytes, windows });
    await report.enter("sending", null, null, "sending_weights");
    for (const { name, tensor } of this.feed) {
      await report.record("input", { path: [name], nodes: [0] }, 0, await readTensor(tensor));
    }
    if (job.weights) await this._sendWeights();
    const prediction = await this._predict();
    if (job.capture) await this._capture(prediction, windows);
    return this.peak;
  }

  get tensors() {
    return this.feed.map(({ tensor }) => tensor);
  }

  get batch() {
    return this.feed[0].tensor.shape[0];
  }

  async _sendWeights() {
    for (const [path, index, weight] of this.subject.weights()) {
      await this.report.record("weight", { path, nodes: path.map(() => 0) }, index, await readTensor(weight));
    }
  }

  /** The plain prediction, and the experiments on it. @returns {Promise<Plain[]>} */
  async _predict() {
    const { job, report, model } = this;
    const names = model.outputNames;
    await report.enter("predicting");
    const first = await this._firstPrediction();
    if (job.runs > 1) await report.emit(await checkRuns(first, this.predict, job.runs, names));
    if (job.batch) await report.emit(await checkBatch(this.tf, model, this.tensors, first, names));
    await report.enter("sending");
    for (const [index, output] of first.entries()) {
      await report.record("prediction", { path: [names[index]], nodes: [0] }, index, output);
    }
    return first;
  }

  /** @returns {Promise<Plain[]>} */
  async _firstPrediction() {
    try {
      return await readAll(await this.predict());
    } catch (error) {
      const layer = await this.subject.failingLayer({ predict: this.predict, feed: this.tensors });
      throw toFailure(error, "predicting", layer);
    }
  }

  _predictOnce() {
    const outputs = predictOnce(this.model, this.tensors);
    this.watch();
    return outputs;
  }

  /** @param {Plain[]} prediction @param {number | null} windows */
  async _capture(prediction, windows) {
    const { job, report, predict, watch } = this;
    await report.enter("sending");
    const run = {
      predict, watch, prediction, windows,
      feed: this.tensors, batch: this.batch, names: this.model.outputNames, budget: job.budget, calls: job.calls ?? null,
    };
    const { calls, checks } = await this.subject.capture(run, report, this.wanted);
    for (const found of checks) await report.emit(found);
    if (job.calls != null) await report.emit(checkCalls(job.calls, calls));
  }
}
