/**
 * A graph-model: nodes of a TensorFlow graph. Which of them belong to which layer is what the artifact's own metadata
 * says; a model that says nothing is run all the same, and only its predictions are sent.
 */

import { readTensor } from "./bits.js";
import { check, disagreement, listOf } from "./checks.js";
import { messageOf, toFailure } from "./failure.js";
import { Held, besides, beyond, discard } from "./held.js";
import { windowEnds } from "./windows.js";

/**
 * @typedef {import("./bits.js").Plain} Plain
 * @typedef {import("./checks.js").Check} Check
 * @typedef {import("./report.js").Report} Report
 * @typedef {import("./subject.js").Capturing} Capturing
 * @typedef {import("./subject.js").Described} Described
 * @typedef {import("./subject.js").Subject} Subject
 * @typedef {import("./types.js").Call} Call
 * @typedef {import("./types.js").Predictor} Predictor
 * @typedef {import("./types.js").Tensor} Tensor
 * @typedef {{node: string, dtype: string, shape: (number | null)[]}} Output
 * @typedef {Call & {outputs: Output[]}} NodeCall
 * @typedef {{path: string[], class: string, weights: (string | null)[]}} NodeLayer
 */

/**
 * @typedef {object} GraphModel  what TensorFlow.js makes of a graph-model
 * @property {{name: string, shape?: number[], dtype: string}[]} inputs
 * @property {string[]} inputNodes  keys of the signature
 * @property {string[]} outputNodes
 * @property {{[node: string]: Tensor[]}} weights
 * @property {(inputs: Tensor[], nodes?: string[]) => Tensor | Tensor[]} execute
 * @property {(inputs: Tensor[], nodes?: string[]) => Promise<Tensor | Tensor[]>} executeAsync
 * @property {() => void} dispose
 */

/** One node whose tensor is wanted, and every call that it is an output of. @typedef {{node: string, bytes: number, uses: {call: Call, index: number}[]}} Wanted */

/** @implements {Subject} */
export class GraphSubject {
  /**
   * @param {any} tf
   * @param {GraphModel} model
   * @param {import("./artifact.js").Artifact} artifact
   * @param {import("./types.js").Places | null} places  what the host found out, instead of what the artifact says
   */
  constructor(tf, model, artifact, places) {
    const found = places ?? artifact.userDefinedMetadata?.bittrue ?? {};
    this.tf = tf;
    this.graph = model;
    this.held = new Held(tf);
    /** @type {NodeLayer[]} */
    this.described = found.layers ?? [];
    /** @type {NodeCall[]} */
    this.calls = found.calls ?? [];
    this.model = this.held.watching(predictorOf(model));
    /** Nodes of the model's outputs, in order. */
    this.outputs = model.outputNodes.map((key) => artifact.signature?.outputs?.[key]?.name ?? key);
    /** Position of each of the model's inputs, by its node. */
    this.places = new Map(model.inputs.map(({ name }, position) => [name, position]));
  }

  /** @returns {Generator<Described>} */
  *layers() {
    for (const { path, class: kind, weights } of this.described) {
      const name = path.join("/");
      const nodes = this.calls.filter((call) => call.path.join("/") === name).map((call) => (call.nodes[call.nodes.length - 1] ?? 0) + 1);
      const held = weights.flatMap((node) => (node === null ? [] : [this._describe(node)]));
      yield { path, class: kind, nodes: Math.max(1, ...nodes), weights: held };
    }
  }

  /** @param {string} node */
  _describe(node) {
    const { dtype, shape } = this.graph.weights[node][0];
    return { name: node, dtype, shape };
  }

  /** @returns {Generator<[string[], number, Tensor]>} */
  *weights() {
    for (const { path, weights } of this.described) {
      for (const [index, node] of weights.entries()) if (node !== null) yield [path, index, this.graph.weights[node][0]];
    }
  }

  /** @param {number} batch @param {(path: string) => boolean} wanted */
  sizes(batch, wanted) {
    const sizes = this._wanted(batch, wanted).map(({ bytes }) => bytes);
    return sizes.some(Number.isNaN) ? null : sizes;
  }

  /**
   * The first layer whose output cannot be had.
   *
   * @param {{feed: Tensor[]}} run
   * @returns {Promise<string | null>}
   */
  async failingLayer({ feed }) {
    for (const { path, outputs } of this.calls) {
      const nodes = outputs.map(({ node }) => node).filter((node) => this._isComputed(node));
      try {
        for (const node of nodes) listOf(await executed(this.graph, feed, [node])).forEach((tensor) => tensor.dispose());
      } catch {
        return path.join("/");
      }
    }
    return null;
  }

  /**
   * Every output of every wanted call, in as many passes as the budget asks for.
   *
   * @param {Capturing} run
   * @param {Report} report
   * @param {(path: string) => boolean} wanted
   * @returns {Promise<{calls: Call[], checks: Check[]}>}
   */
  async capture(run, report, wanted) {
    await this._sendInputs(run.feed, report, wanted);
    const others = besides(this.held.most, this.sizes(run.batch, wanted), run.prediction);
    const passes = new GraphPasses(this, run, others, report);
    await passes.go(this._wanted(run.batch, wanted));
    return { calls: this.calls, checks: passes.checks() };
  }

  /** @param {Tensor[]} feed @param {Report} report @param {(path: string) => boolean} wanted */
  async _sendInputs(feed, report, wanted) {
    for (const { path, nodes, outputs } of this.calls) {
      if (!wanted(path.join("/"))) continue;
      for (const [index, { node }] of outputs.entries()) {
        const held = this.graph.weights[node]?.[0] ?? feed[this.places.get(node) ?? -1];
        if (held !== undefined) await report.record("output", { path, nodes }, index, await readTensor(held));
      }
    }
  }

  /** @param {number} batch @param {(path: string) => boolean} wanted @returns {Wanted[]} */
  _wanted(batch, wanted) {
    /** @type {Map<string, Wanted>} */
    const found = new Map();
    for (const { path, nodes, outputs } of this.calls) {
      if (!wanted(path.join("/"))) continue;
      for (const [index, { node, dtype, shape }] of outputs.entries()) {
        if (!this._isComputed(node)) continue;
        const one = found.get(node) ?? { node, bytes: bytesOf(dtype, shape, batch), uses: [] };
        found.set(node, one);
        one.uses.push({ call: { path, nodes }, index });
      }
    }
    return [...found.values()];
  }

  /** Neither fed nor a weight: executing those returns the tensor itself, which must live on. @param {string} node */
  _isComputed(node) {
    return !this.places.has(node) && !(node in this.graph.weights);
  }
}

/** The passes of one capture. Each keeps the last tensor of the one before once more: they must agree. */
class GraphPasses {
  /** @param {GraphSubject} subject @param {Capturing} run @param {number} besides @param {Report} report */
  constructor(subject, run, besides, report) {
    this.subject = subject;
    this.run = run;
    /** Bytes of the budget that are not for the tensors asked for. */
    this.besides = besides;
    this.report = report;
    this.windows = 1;
    /** Most bytes that a pass asked for. */
    this.kept = 0;
    /** @type {string | null} */
    this.outputsDiffer = null;
    /** @type {string | null} */
    this.passesDiffer = null;
    /** @type {{wanted: Wanted, tensor: Plain} | null} */
    this.last = null;
  }

  /** @param {Wanted[]} wanted */
  async go(wanted) {
    const ends = wanted.length === 0 ? [0] : windowEnds(wanted.map(({ bytes }) => bytes), 0, this.run.budget - this.besides);
    this.windows = ends.length;
    for (const [i, end] of ends.entries()) await this._window(wanted.slice(ends[i - 1] ?? 0, end), i + 1);
  }

  /** @param {Wanted[]} wanted @param {number} window */
  async _window(wanted, window) {
    await this.report.enter("capturing", window, this.windows);
    const again = this.last === null ? [] : [this.last.wanted.node];
    const nodes = [...new Set([...again, ...wanted.map(({ node }) => node), ...this.subject.outputs])];
    const tensors = await this._execute(nodes);
    try {
      this.run.watch();
      this.kept = Math.max(this.kept, nodes.reduce((sum, node) => sum + sizeOf(tensors.get(node)), 0));
      await this._compare(tensors);
      await this.report.enter("sending", window, this.windows);
      for (const one of wanted) await this._send(one, /** @type {Tensor} */ (tensors.get(one.node)));
    } finally {
      tensors.forEach((tensor) => tensor.dispose());
    }
  }

  /** @param {string[]} nodes @returns {Promise<Map<string, Tensor>>} */
  async _execute(nodes) {
    const { graph } = this.subject;
    try {
      const tensors = listOf(await executed(graph, this.run.feed, nodes));
      return new Map(nodes.map((node, i) => [node, tensors[i]]));
    } catch (error) {
      throw toFailure(error, "capturing", await this.subject.failingLayer(this.run));
    }
  }

  /** @param {Map<string, Tensor>} tensors */
  async _compare(tensors) {
    /** @type {Plain[]} */
    const outputs = [];
    for (const node of this.subject.outputs) outputs.push(await readTensor(/** @type {Tensor} */ (tensors.get(node))));
    this.outputsDiffer = this.outputsDiffer ?? disagreement(this.run.prediction, outputs, this.run.names);
    discard(this.subject.tf, outputs);
    if (this.last === null) return;
    const { wanted, tensor } = this.last;
    const again = await readTensor(/** @type {Tensor} */ (tensors.get(wanted.node)));
    this.passesDiffer = this.passesDiffer ?? disagreement([tensor], [again], [wanted.uses[0].call.path.join("/")]);
    discard(this.subject.tf, [again, tensor]);
    this.last = null;
  }

  /** @param {Wanted} wanted @param {Tensor} tensor */
  async _send(wanted, tensor) {
    const read = await readTensor(tensor);
    for (const { call, index } of wanted.uses) await this.report.record("output", call, index, read);
    if (this.last !== null) discard(this.subject.tf, [this.last.tensor]);
    this.last = { wanted, tensor: read };
  }

  /** @returns {Check[]} */
  checks() {
    const unchanged = "the model's outputs have the same bits with and without capture";
    const found = this.outputsDiffer;
    const checks = [check("capture", found === null, found === null ? unchanged : `with and without capture differ: ${found}`)];
    if (this.windows > 1) {
      const agree = `the ${this.windows} passes gave the same bits where they overlap`;
      const differ = this.passesDiffer;
      checks.push(check("windows", differ === null, differ === null ? agree : `two passes differ: ${differ}`));
    }
    const raised = beyond(this.kept + this.besides, this.run.budget);
    if (raised !== null) checks.push(check("budget", null, raised));
    return checks;
  }
}

/**
 * The model's outputs, or what `nodes` make. Where loops, or tensors whose shape depends on values, are on the way,
 * TensorFlow.js says that they are to be waited for, before it computes anything.
 *
 * @param {GraphModel} model
 * @param {Tensor[]} feed
 * @param {string[]} [nodes]
 * @returns {Tensor | Tensor[] | Promise<Tensor | Tensor[]>}
 */
function executed(model, feed, nodes) {
  try {
    return model.execute(feed, nodes);
  } catch (error) {
    if (!messageOf(error).includes("executeAsync")) throw error;
    return model.executeAsync(feed, nodes);
  }
}

/** A graph-model as something that is fed and predicts. @param {GraphModel} model @returns {Predictor} */
function predictorOf(model) {
  return {
    inputs: model.inputs.map(({ shape = [], dtype }) => ({ dtype, shape: shape.map((size) => (size < 0 ? null : size)) })),
    inputNames: model.inputNodes,
    outputNames: model.outputNodes,
    stateful: false,
    predict: (inputs) => executed(model, inputs),
    resetStates: () => {},
    dispose: () => model.dispose(),
  };
}

/** @param {string} dtype @param {(number | null)[]} shape @param {number} batch @returns {number} NaN if not known */
function bytesOf(dtype, [first, ...rest], batch) {
  const item = dtype === "bool" ? 1 : 4;
  if (first === undefined) return item;
  return rest.reduce((/** @type {number} */ product, size) => product * (size ?? NaN), (first ?? batch) * item);
}

/** @param {Tensor | undefined} tensor @returns {number} bytes */
function sizeOf(tensor) {
  return tensor === undefined ? 0 : tensor.size * (tensor.dtype === "bool" ? 1 : 4);
}
