/**
 * What a loaded model will execute, and what the artifact calls it: each node of each layer with its path and the
 * position of that call in the artifact's own lists.
 *
 * The two differ in places. A nested model has a node of its own making before its first call. A call that could not
 * be built when it was read is built after later ones. A Sequential executes a model that it builds of itself, and
 * one that begins with a model continues that model's graph instead of calling it.
 */

/**
 * @typedef {import("./types.js").Layer} Layer
 * @typedef {import("./types.js").Node} Node
 * @typedef {import("./types.js").SymbolicTensor} SymbolicTensor
 * @typedef {import("./types.js").Container} Container
 * @typedef {import("./types.js").LayerConfig} LayerConfig
 * @typedef {import("./types.js").Call} Call
 */

/**
 * @typedef {object} NodeCall  a node of a graph, and its place relative to the model that executes it
 * @property {Node} node
 * @property {string[]} path
 * @property {number[]} nodes
 */

/**
 * @typedef {object} InputPlace  an input layer: which of the graph's inputs it hands on
 * @property {number} position
 * @property {string[]} path
 * @property {number[]} nodes
 * @property {boolean} implicit  TensorFlow.js made it up: the artifact has no such layer
 */

/** @param {Layer} layer @returns {layer is Container} */
export function isContainer(layer) {
  const { layers, containerNodes } = /** @type {any} */ (layer);
  return Array.isArray(layers) && containerNodes instanceof Set;
}

/** @param {Layer} layer */
function isInputLayer(layer) {
  return layer.getClassName() === "InputLayer";
}

/** What one model executes. Models nested in it have plans of their own, in `children`. */
export class Plan {
  /**
   * @param {Container} container
   * @param {LayerConfig} config the container as the artifact describes it
   */
  constructor(container, config) {
    this.container = container;
    this.config = config;
    this.graph = executedGraph(container);
    /** @type {Map<Layer, NodeCall[]>} */
    this.calls = new Map();
    /** @type {Map<Layer, Plan>} */
    this.children = new Map();
    /** @type {InputPlace[]} */
    this.inputs = [];
    /** Models whose graph continues in this one, by the id of the symbolic tensor that is their output.
     * @type {Map<number, Call & {source: Layer}>} */
    this.continued = new Map();
    const reached = reachedNodes(this.graph.outputs);
    this._place(container, config, [], [], reached);
    this._addImplicitInputs();
    /** Positions of the inputs that some layer consumes, ascending. @type {number[]} */
    this.usedInputs = usedInputs(this.graph.inputs, reached);
  }

  /**
   * @param {Container} container
   * @param {LayerConfig} config
   * @param {string[]} path of the container, relative to the graph
   * @param {number[]} nodes
   * @param {Set<Node>} reached
   */
  _place(container, config, path, nodes, reached) {
    const configs = layerConfigs(config);
    for (const layer of container.layers) {
      const own = configs.get(layer.name) ?? { class_name: layer.getClassName(), config: {} };
      const here = [...path, layer.name];
      const called = layer.inboundNodes.filter((node) => node.inboundLayers.length > 0 && reached.has(node));
      if (isInputLayer(layer)) this._placeInput(layer, here, [...nodes, 0]);
      else if (isContainer(layer) && called.length === 0) this._continue(layer, own, here, [...nodes, 0], reached);
      else {
        const order = artifactOrder(called, own.inbound_nodes ?? []);
        this.calls.set(layer, called.map((node, i) => ({ node, path: here, nodes: [...nodes, order[i]] })));
        if (isContainer(layer)) this.children.set(layer, new Plan(layer, own));
      }
    }
  }

  /** @param {Layer} layer @param {string[]} path @param {number[]} nodes */
  _placeInput(layer, path, nodes) {
    const position = this.graph.inputs.indexOf(layer.inboundNodes[0].outputTensors[0]);
    if (position >= 0) this.inputs.push({ position, path, nodes, implicit: false });
  }

  /**
   * @param {Container} container
   * @param {LayerConfig} config
   * @param {string[]} path
   * @param {number[]} nodes
   * @param {Set<Node>} reached
   */
  _continue(container, config, path, nodes, reached) {
    const [output] = container.outputs; // a Sequential takes models of one output only
    this.continued.set(output.id, { path, nodes, source: output.sourceLayer });
    this._place(container, config, path, nodes, reached);
  }

  _addImplicitInputs() {
    this.graph.inputs.forEach((input, position) => {
      if (this.inputs.some((place) => place.position === position)) return;
      this.inputs.push({ position, path: [input.sourceLayer.name], nodes: [0], implicit: true });
    });
  }

  /** Paths that a call of `layer` delivers the output of, relative to this graph. @param {Layer} layer @returns {string[][]} */
  pathsOf(layer) {
    const own = this.calls.get(layer)?.[0]?.path;
    const further = [...this.continued.values()].filter((model) => model.source === layer).map((model) => model.path);
    return own === undefined ? further : [own, ...further];
  }

  /** Every layer to be hooked: this model's own and those of models nested in it. @returns {Generator<[Layer, Plan]>} */
  *layers() {
    for (const layer of this.calls.keys()) yield [layer, this];
    for (const child of this.children.values()) yield* child.layers();
  }
}

/** What `predict` runs. @param {Container} container @returns {Container} */
function executedGraph(container) {
  if (container.getClassName() !== "Sequential") return container;
  if (container.model == null) container.build();
  return /** @type {Container} */ (container.model);
}

/** @param {SymbolicTensor[]} outputs @returns {Set<Node>} */
function reachedNodes(outputs) {
  /** @type {Set<Node>} */
  const reached = new Set();
  const waiting = [...outputs];
  for (let tensor = waiting.pop(); tensor !== undefined; tensor = waiting.pop()) {
    const node = tensor.sourceLayer.inboundNodes[tensor.nodeIndex];
    if (reached.has(node)) continue;
    reached.add(node);
    if (node.inboundLayers.length > 0) waiting.push(...node.inputTensors);
  }
  return reached;
}

/** @param {SymbolicTensor[]} inputs @param {Set<Node>} reached */
function usedInputs(inputs, reached) {
  const consumed = new Set();
  for (const node of reached) if (node.inboundLayers.length > 0) node.inputTensors.forEach((tensor) => consumed.add(tensor));
  return inputs.map((_, position) => position).filter((position) => consumed.has(inputs[position]));
}

/** The layers of a model as the artifact lists them, by name. @param {LayerConfig} config @returns {Map<string, LayerConfig>} */
function layerConfigs({ config }) {
  /** @type {LayerConfig[]} */
  const layers = Array.isArray(config) ? config : (config?.layers ?? []);
  return new Map(layers.map((layer) => [layer.config?.name ?? layer.name, layer]));
}

/**
 * For each node of a layer its position in the layer's `inbound_nodes`: the first entry not taken yet that names the
 * same tensors. Where no entry does (a Sequential has none), the node's own position.
 *
 * @param {Node[]} nodes
 * @param {any[][][]} entries
 * @returns {number[]}
 */
export function artifactOrder(nodes, entries) {
  const free = entries.map((entry) => JSON.stringify(entry.map(([name, node, tensor]) => [name, node, tensor])));
  const found = nodes.map((node) => {
    const said = node.inboundLayers.map((layer, i) => [layer.name, node.nodeIndices[i], node.tensorIndices[i]]);
    const at = free.indexOf(JSON.stringify(said));
    if (at >= 0) free[at] = "";
    return at;
  });
  return found.includes(-1) ? nodes.map((_, i) => i) : found;
}

/**
 * The model of an artifact as `model.json` describes it.
 *
 * @param {any} topology
 * @returns {LayerConfig}
 */
export function modelConfig(topology) {
  return topology.model_config ?? topology;
}

/**
 * The layers of the `model` frame: each layer's path, class, number of calls in its own model, and weights.
 *
 * @param {Container} container
 * @param {Plan} plan of the graph that executes it
 * @param {string[]} [path]
 * @returns {Generator<{path: string[], class: string, nodes: number, weights: {name: string, dtype: string, shape: number[]}[]}>}
 */
export function* describeLayers(container, plan, path = []) {
  for (const layer of container.layers) {
    const here = [...path, layer.name];
    const nested = isContainer(layer);
    const weights = nested ? [] : layer.weights.map(describeWeight);
    yield { path: here, class: layer.getClassName(), nodes: plan.calls.get(layer)?.length ?? 1, weights };
    if (nested) yield* describeLayers(layer, plan.children.get(layer) ?? plan, here);
  }
}

/** @param {import("./types.js").Weight} weight */
function describeWeight({ name, originalName, dtype, shape }) {
  return { name: originalName ?? name, dtype, shape };
}

/**
 * Every layer that is no model, with its path.
 *
 * @param {Container} container
 * @param {string[]} [path]
 * @returns {Generator<[string[], Layer]>}
 */
export function* leafLayers(container, path = []) {
  for (const layer of container.layers) {
    const here = [...path, layer.name];
    if (isContainer(layer)) yield* leafLayers(layer, here);
    else yield [here, layer];
  }
}

/**
 * Bytes of the outputs of every call, from the shapes that TensorFlow.js foresees; null where one is not known before.
 *
 * @param {Plan} plan
 * @param {number} batch
 * @param {(path: string) => boolean} wanted
 * @returns {number[] | null} in no particular order
 */
export function foreseenSizes(plan, batch, wanted) {
  const sizes = [...foresee(plan, batch, wanted, [])];
  return sizes.some(Number.isNaN) ? null : sizes;
}

/**
 * @param {Plan} plan
 * @param {number} batch
 * @param {(path: string) => boolean} wanted
 * @param {string[]} base path of the plan's model
 * @returns {Generator<number>} NaN for an unknown size
 */
function* foresee(plan, batch, wanted, base) {
  /** @param {string[]} path @param {SymbolicTensor[]} tensors */
  const sizes = (path, tensors) =>
    wanted([...base, ...path].join("/")) ? [tensors.reduce((sum, tensor) => sum + symbolicBytes(tensor, batch), 0)] : [];
  for (const { position, path, implicit } of plan.inputs) if (!implicit) yield* sizes(path, [plan.graph.inputs[position]]);
  for (const [layer, calls] of plan.calls) {
    const child = plan.children.get(layer);
    for (const { node, path } of calls) {
      if (child) yield* foresee(child, batch, wanted, [...base, ...path]);
      yield* sizes(path, node.outputTensors);
    }
    for (const { source, path } of plan.continued.values()) {
      if (source === layer) yield* sizes(path, [calls[0].node.outputTensors[0]]);
    }
  }
}

/** @param {SymbolicTensor} tensor @param {number} batch @returns {number} NaN if not known */
function symbolicBytes({ shape, dtype }, batch) {
  const [first, ...rest] = shape;
  const item = dtype === "bool" ? 1 : 4;
  return rest.reduce((/** @type {number} */ product, size) => product * (size ?? NaN), (first ?? batch) * item);
}
