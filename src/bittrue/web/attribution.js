/**
 * Which call of which layer an observed event was, found by following tensors from what produced them.
 *
 * A pass is observed as a tree: a frame for each time a model was executed, holding the events of its layers in
 * order. Within a frame, an event is the node whose symbolic inputs its tensors stand for.
 */

import { Failure } from "./failure.js";

/**
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {import("./plan.js").NodeCall} NodeCall
 * @typedef {import("./types.js").Layer} Layer
 * @typedef {import("./types.js").Call} Call
 */

/**
 * @typedef {object} Frame  one execution of one model
 * @property {Plan} plan
 * @property {string[]} path  of the model
 * @property {{id: number, dtype: string}[] | null} given  the tensors it was called with; null: not known (the outermost)
 * @property {Event[]} events
 */

/**
 * @typedef {object} Event  one observed call of a layer, and after attribution which call it was
 * @property {Layer} layer
 * @property {number[]} inputs  ids of the tensors it received
 * @property {number[]} outputs  ids of the tensors it returned
 * @property {Frame | null} child  what it executed, if it is a model
 * @property {Call | null} call  null: a repetition of a call that had been made (TensorFlow.js makes one for each output)
 * @property {Call[]} continued  models whose output this also is
 */

/**
 * Attribute every event below a frame.
 *
 * @param {Frame} frame
 * @param {number[]} [nodes] which call of each model on the frame's path this execution is
 * @returns {Generator<Call>} every call that was made, input layers included
 * @throws {Failure} capture: an event that is no call of the model
 */
export function* attribute(frame, nodes = []) {
  const { plan, path } = frame;
  const stand = givenTensors(frame);
  for (const input of plan.inputs) yield { path: [...path, ...input.path], nodes: [...nodes, ...input.nodes] };
  /** @type {Set<NodeCall>} */
  const made = new Set();
  for (const event of frame.events) {
    const fitting = (plan.calls.get(event.layer) ?? []).filter(({ node }) => fits(node, event, stand));
    const found = fitting.find((call) => !made.has(call));
    if (fitting.length === 0) throw unattributed(event, path);
    // Calls of one layer on the same tensors return the same values, in whatever order they are made: it stands for each.
    for (const { node } of fitting) {
      node.outputTensors.forEach((tensor, i) => put(stand, event.outputs[i], tensor.id));
    }
    if (found === undefined) continue;
    made.add(found);
    const absolute = (/** @type {Call} */ call) => ({ path: [...path, ...call.path], nodes: [...nodes, ...call.nodes] });
    event.call = absolute(found);
    event.continued = found.node.outputTensors.flatMap(({ id }) => plan.continued.get(id) ?? []).map(absolute);
    if (event.child) yield* attribute(event.child, event.call.nodes);
    yield event.call;
    yield* event.continued;
  }
}

/**
 * The frame's input tensors, as far as its layers used them: tensor id to the symbolic tensors it stands for.
 *
 * The outermost model slices what it is fed, and any model casts an input of another dtype: those tensors are seen
 * for the first time when a layer receives them. They are made in the order of the inputs, so their ids ascend.
 *
 * @param {Frame} frame
 * @returns {Map<number, Set<number>>}
 */
function givenTensors({ plan, path, given, events }) {
  /** @type {Map<number, Set<number>>} */
  const stand = new Map();
  const { inputs } = plan.graph;
  const remade = plan.usedInputs.filter((position) => given === null || given[position].dtype !== inputs[position].dtype);
  given?.forEach(({ id }, position) => {
    if (!remade.includes(position)) put(stand, id, inputs[position].id);
  });
  const made = new Set(events.flatMap((event) => event.outputs));
  const used = new Set(events.flatMap((event) => event.inputs));
  const unknown = [...used].filter((id) => !made.has(id) && !stand.has(id)).sort((one, other) => one - other);
  if (unknown.length !== remade.length) {
    const model = path.join("/") || "the model";
    throw new Failure("capture", `${model} was fed ${unknown.length} tensors where its graph has ${remade.length} inputs`, {
      layer: path.join("/"),
    });
  }
  unknown.forEach((id, i) => put(stand, id, inputs[remade[i]].id));
  return stand;
}

/** @param {Map<number, Set<number>>} stand @param {number} id @param {number} symbolic */
function put(stand, id, symbolic) {
  const all = stand.get(id);
  if (all) all.add(symbolic);
  else stand.set(id, new Set([symbolic]));
}

/**
 * @param {import("./types.js").Node} node
 * @param {Event} event
 * @param {Map<number, Set<number>>} stand
 */
function fits(node, { inputs }, stand) {
  const wanted = node.inputTensors;
  return wanted.length === inputs.length && wanted.every((tensor, i) => stand.get(inputs[i])?.has(tensor.id));
}

/** @param {Event} event @param {string[]} path */
function unattributed({ layer }, path) {
  const name = [...path, layer.name].join("/");
  return new Failure("capture", `a call of layer ${name} fits none of its calls in the model: it cannot be named safely`, {
    layer: name,
  });
}
