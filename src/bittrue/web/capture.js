/**
 * Every tensor of a forward pass, taken inside the model's own `predict`: each layer's `apply` is replaced on the
 * instance by one that also looks. What `apply` returns is exactly what the next layer receives, and its keyword
 * arguments are the masks and states that the layer got.
 */

import { attribute } from "./attribution.js";
import { Failure } from "./failure.js";

/**
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {import("./attribution.js").Frame} Frame
 * @typedef {import("./attribution.js").Event} Event
 * @typedef {import("./types.js").Layer} Layer
 * @typedef {import("./types.js").Tensor} Tensor
 * @typedef {import("./types.js").Call} Call
 * @typedef {import("./types.js").Kind} Kind
 */

/**
 * @typedef {object} Part  one tensor seen, whether kept or not
 * @property {Kind} kind
 * @property {number} index
 * @property {number} bytes
 * @property {Tensor | null} kept
 * @property {string} seen  its dtype and shape, to tell one course of events from another
 */

/**
 * @typedef {object} Moment  tensors that were seen together: what a call received, or what it returned
 * @property {Event} event
 * @property {string[]} path  of the layer
 * @property {number | null} input  null, or (an input layer of a nested model) its place among the plan's inputs
 * @property {Part[]} parts
 * @property {number} bytes
 */

/**
 * @typedef {object} Pass  one forward pass as it was seen
 * @property {Moment[]} moments  in order
 * @property {Call[]} calls  every call that was made
 * @property {Tensor[]} outputs  the model's own, to be disposed by the caller
 */

export class Capture {
  /**
   * @param {any} tf
   * @param {Plan} plan of the whole model
   * @param {(path: string) => boolean} wanted whether to keep the tensors of a layer, by its path joined by "/"
   */
  constructor(tf, plan, wanted) {
    this.tf = tf;
    this.plan = plan;
    this.wanted = wanted;
    /** The layer that was at work when a pass failed. @type {string | null} */
    this.failedAt = null;
  }

  /**
   * Run `predict` once and keep the tensors of those moments that `keep` says, by position and size.
   *
   * @param {() => Tensor[]} predict
   * @param {(position: number, bytes: number) => boolean} keep
   * @returns {Pass}
   * @throws {Failure} capture
   */
  pass(predict, keep) {
    this.keep = keep;
    /** @type {Moment[]} */
    this.moments = [];
    /** @type {Frame} */
    this.top = { plan: this.plan, path: [], given: null, events: [] };
    const frame = this.top;
    const layers = [...this.plan.layers()].map(([layer]) => layer);
    layers.forEach((layer) => this._hook(layer));
    try {
      const outputs = predict();
      try {
        return { moments: this.moments, calls: [...attribute(frame)], outputs };
      } catch (error) {
        outputs.forEach((tensor) => tensor.dispose());
        throw error;
      }
    } catch (error) {
      release(this.moments);
      throw error;
    } finally {
      for (const layer of layers) delete (/** @type {Partial<Layer>} */ (layer).apply);
    }
  }

  /** @param {Layer} layer */
  _hook(layer) {
    const apply = layer.apply;
    layer.apply = (inputs, kwargs) => {
      const outer = /** @type {Frame} */ (this.top);
      const event = this._begin(outer, layer, listOf(inputs), kwargs);
      if (event.child) this.top = event.child;
      try {
        const output = apply.call(layer, inputs, kwargs);
        this._end(outer, event, listOf(output));
        return output;
      } catch (error) {
        this.failedAt = this.failedAt ?? pathIn(outer, layer).join("/");
        throw error;
      } finally {
        this.top = outer;
      }
    };
  }

  /** @param {Frame} frame @param {Layer} layer @param {Tensor[]} inputs @param {any} kwargs @returns {Event} */
  _begin(frame, layer, inputs, kwargs) {
    const path = pathIn(frame, layer);
    const plan = frame.plan.children.get(layer);
    const given = inputs.map(({ id, dtype }) => ({ id, dtype }));
    const child = plan ? { plan, path, given, events: [] } : null;
    /** @type {Event} */
    const event = { layer, inputs: inputs.map(({ id }) => id), outputs: [], child, call: null, continued: [] };
    this._see(event, path, null, received(layer, inputs, kwargs));
    plan?.inputs.forEach((input, i) => {
      if (!input.implicit) this._see(event, [...path, ...input.path], i, [["output", 0, inputs[input.position]]]);
    });
    return event;
  }

  /** @param {Frame} frame @param {Event} event @param {Tensor[]} outputs */
  _end(frame, event, outputs) {
    event.outputs = outputs.map(({ id }) => id);
    frame.events.push(event);
    const parts = outputs.map((tensor, index) => /** @type {[Kind, number, Tensor]} */ (["output", index, tensor]));
    this._see(event, pathIn(frame, event.layer), null, parts, frame);
  }

  /**
   * @param {Event} event
   * @param {string[]} path
   * @param {number | null} input
   * @param {[Kind, number, Tensor][]} tensors
   * @param {Frame} [frame] given for outputs, which may be those of further models
   */
  _see(event, path, input, tensors, frame) {
    const names = frame ? frame.plan.pathsOf(event.layer).map((own) => [...frame.path, ...own].join("/")) : [path.join("/")];
    if (!names.some(this.wanted)) return;
    const parts = tensors.map(([kind, index, tensor]) => partOf(kind, index, tensor));
    if (parts.length === 0) return;
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
    const moments = /** @type {Moment[]} */ (this.moments);
    if (this.keep?.(moments.length, bytes)) {
      parts.forEach((part, i) => (part.kept = this.tf.keep(tensors[i][2].clone())));
    }
    moments.push({ event, path, input, parts, bytes });
  }
}

/**
 * Free what a pass still holds.
 *
 * @param {Moment[]} moments
 */
export function release(moments) {
  for (const { parts } of moments) {
    for (const part of parts) {
      part.kept?.dispose();
      part.kept = null;
    }
  }
}

/**
 * Which call a moment belongs to, and further calls that its tensors are the output of; empty for a repetition.
 *
 * @param {Moment} moment of a pass that has been attributed
 * @returns {Call[]}
 */
export function callsOf({ event, input, parts }) {
  if (event.call === null) return [];
  if (input === null) return parts[0].kind === "output" ? [event.call, ...event.continued] : [event.call];
  const place = /** @type {Frame} */ (event.child).plan.inputs[input];
  return [{ path: [...event.call.path, ...place.path], nodes: [...event.call.nodes, ...place.nodes] }];
}

/**
 * What identifies a moment from one pass to the next.
 *
 * @param {Moment} moment
 */
export function signature({ path, input, parts }) {
  return JSON.stringify([path, input, parts.map(({ kind, index, seen }) => [kind, index, seen])]);
}

/** @param {Frame} frame @param {Layer} layer @returns {string[]} */
function pathIn(frame, layer) {
  const own = frame.plan.calls.get(layer)?.[0]?.path;
  if (own === undefined) {
    const name = [...frame.path, layer.name].join("/");
    throw new Failure("capture", `layer ${name} was called by a model that it does not belong to`, { layer: name });
  }
  return [...frame.path, ...own];
}

/**
 * What a call received beside its inputs: masks, and the states of a recurrent layer, which TensorFlow.js hands over
 * as further inputs or as a keyword.
 *
 * @param {Layer} layer
 * @param {Tensor[]} inputs
 * @param {any} kwargs
 * @returns {[Kind, number, Tensor][]}
 */
function received(layer, inputs, kwargs) {
  const recurrent = "cell" in layer || "forwardLayer" in layer;
  const states = [...(recurrent ? inputs.slice(1) : []), ...listOf(kwargs?.initialState)];
  /** @type {(kind: Kind) => (tensor: Tensor, index: number) => [Kind, number, Tensor]} */
  const as = (kind) => (tensor, index) => [kind, index, tensor];
  const parts = [...listOf(kwargs?.mask).map(as("mask")), ...states.map(as("state"))];
  // A nested model leaves its own masks behind in the keywords, disposed of: no layer could read them either.
  return parts.filter(([, , tensor]) => tensor != null && !tensor.isDisposed);
}

/** @param {any} value @returns {Tensor[]} */
function listOf(value) {
  if (Array.isArray(value)) return value;
  return value == null ? [] : [value];
}

/** @param {Kind} kind @param {number} index @param {Tensor} tensor @returns {Part} */
function partOf(kind, index, tensor) {
  const bytes = tensor.size * (tensor.dtype === "bool" ? 1 : 4);
  return { kind, index, bytes, kept: null, seen: `${tensor.dtype}[${tensor.shape}]` };
}
