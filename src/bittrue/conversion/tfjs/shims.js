// Layers that TensorFlow.js lacks, for the layers-model beside this file. Written by Bittrue (Apache-2.0).
//
//   import * as tf from "@tensorflow/tfjs";
//   import { register } from "./bittrue-shims.js";
//   register(tf); // not needed where tf is global, as from a script element
//   const model = await tf.loadLayersModel("model.json");
//
// Every such layer carries a program in its configuration: nodes for TensorFlow.js's own graph executor. One class runs
// them all.

/**
 * @typedef {{ name: string, shape: number[], dtype: "float32" | "int32" | "bool", values: (number | string)[] }} Constant
 * @typedef {{ topology: object, constants: Constant[] }} Graph
 * @typedef {Graph & { sequences: number, states: number, fed: string[], results: string[] }} Loop
 * @typedef {{ node: string, dtype: string }} Input
 * @typedef {{ node: string, name: string, shape: number[] }} Weight
 * @typedef {{ node: string, dtype: string, shape: (number | null)[] }} Output
 * @typedef {Graph & { inputs: Input[], weights: Weight[], outputs: Output[] }} Program
 */

const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };

/**
 * The constants of a graph as specs and their bytes, as a model's weights are.
 * @param {Constant[]} constants
 */
function encoded(constants) {
  const parts = constants.map(({ dtype, values }) => {
    return new Uint8Array(ARRAYS[dtype].from(values.map(Number)).buffer);
  });
  const data = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  const weightSpecs = constants.map(({ name, shape, dtype }) => ({ name, shape, dtype }));
  return { weightSpecs, weightData: data.buffer };
}

/**
 * The graph as TensorFlow.js runs it. Its constants outlive a tf.tidy around the first call.
 * @param {any} tf
 * @param {Graph} graph
 */
function executable(tf, graph) {
  const model = new tf.GraphModel("");
  model.loadSync({ modelTopology: graph.topology, ...encoded(graph.constants) });
  for (const tensors of Object.values(model.weights)) tensors.forEach(tf.keep);
  return model;
}

/**
 * What the graph makes of ``feeds``, as a list.
 * @param {any} model
 * @param {Record<string, any>} feeds
 * @param {string[]} names
 * @returns {any[]}
 */
function run(model, feeds, names) {
  const made = model.execute(feeds, names);
  return Array.isArray(made) ? made : [made];
}

/** @type {WeakMap<object, Map<string, { loop: Loop, model: any }>>} */
const loops = new WeakMap();

/**
 * The body of a loop, made executable once.
 * @param {any} tf
 * @param {string} text
 */
function bodyOf(tf, text) {
  const known = loops.get(tf) ?? new Map();
  loops.set(tf, known);
  let found = known.get(text);
  if (!found) {
    /** @type {Loop} */
    const loop = JSON.parse(text);
    found = { loop, model: executable(tf, loop) };
    known.set(text, found);
  }
  return found;
}

/**
 * The states after every step, side by side along the last axis, stacked along axis 1.
 * @param {any} tf
 * @param {{ inputs: any[], attrs: Record<string, any> }} node
 */
function scan(tf, { inputs, attrs }) {
  const { loop, model } = bodyOf(tf, attrs.body);
  return tf.tidy(() => {
    const sequences = inputs.slice(0, loop.sequences).map((x) => tf.unstack(x, 1));
    const shared = inputs.slice(loop.sequences + loop.states);
    let states = inputs.slice(loop.sequences, loop.sequences + loop.states);
    const made = sequences[0].map((/** @type {any} */ _, /** @type {number} */ at) => {
      const values = [...sequences.map((steps) => steps[at]), ...states, ...shared];
      /** @type {Record<string, any>} */
      const fed = {};
      values.forEach((value, which) => (fed[loop.fed[which]] = value));
      states = run(model, fed, loop.results);
      return states;
    });
    const stacked = states.map((last, which) => {
      return tf.stack(made.map((/** @type {any[]} */ step) => step[which].broadcastTo(last.shape)), 1);
    });
    return tf.concat(stacked, stacked[0].rank - 1);
  });
}

/**
 * The class that runs programs.
 * @param {any} tf
 */
function layerClass(tf) {
  return class BittrueLayer extends tf.layers.Layer {
    static className = "BittrueLayer";

    /** @param {any} config */
    constructor(config) {
      super(config);
      this.text = config.program;
      /** @type {Program} */
      this.program = JSON.parse(this.text);
      this.graph = executable(tf, this.program);
    }

    build() {
      this.held = this.program.weights.map(({ name, shape }) => {
        return this.addWeight(name, shape, "float32", tf.initializers.zeros());
      });
      this.built = true;
    }

    /** @param {any} inputs @param {any} [kwargs] */
    apply(inputs, kwargs) {
      const made = super.apply(inputs, kwargs);
      const outputs = Array.isArray(made) ? made : [made];
      outputs.forEach((output, at) => {
        if (!(output instanceof tf.Tensor)) output.dtype = this.program.outputs[at].dtype; // a symbolic one
      });
      return made;
    }

    /** @param {any} inputs */
    call(inputs) {
      const { inputs: wanted, weights, outputs } = this.program;
      return tf.tidy(() => {
        const given = Array.isArray(inputs) ? inputs : [inputs];
        const tensors = wanted.map(({ node, dtype }, at) => {
          return [node, given[at].dtype === dtype ? given[at] : given[at].cast(dtype)];
        });
        const held = weights.map(({ node }, at) => [node, /** @type {any[]} */ (this.held)[at].read()]);
        const names = outputs.map(({ node }) => node);
        const made = run(this.graph, Object.fromEntries([...tensors, ...held]), names);
        return made.length > 1 ? made : made[0];
      });
    }

    computeOutputShape() {
      const shapes = this.program.outputs.map(({ shape }) => shape);
      return shapes.length > 1 ? shapes : shapes[0];
    }

    getConfig() {
      return { ...super.getConfig(), program: this.text };
    }

    dispose() {
      const result = super.dispose();
      if (result.refCountAfterDispose === 0) this.graph.dispose();
      return result;
    }
  };
}

/**
 * Makes the layers known to TensorFlow.js. Before loading a model, once.
 * @param {any} tf - the module ``@tensorflow/tfjs``
 */
export function register(tf) {
  tf.registerOp("BittrueLoop", (/** @type {any} */ node) => scan(tf, node));
  tf.serialization.registerClass(layerClass(tf));
}

const shared = /** @type {any} */ (globalThis).tf;
if (shared?.serialization && shared.GraphModel) register(shared);
