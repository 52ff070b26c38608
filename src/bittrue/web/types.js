/**
 * The shapes of things that several modules share, for the type checker alone: nothing here runs.
 *
 * TensorFlow.js is loaded at run time in whichever version the job asks for, so its objects are described
 * here by the few members that are used, all of which exist from 1.7 to 4.22.
 */

/**
 * @typedef {"float32" | "int32" | "bool" | "uint8" | "float16" | "float64"} Dtype  as the wire protocol names them
 * @typedef {"input" | "weight" | "output" | "mask" | "state" | "prediction"} Kind
 * @typedef {Float32Array | Int32Array | Uint8Array} Values  the three that TensorFlow.js holds tensors in
 * @typedef {{[name: string]: any}} Header
 */

/**
 * @typedef {object} Tensor
 * @property {number} id
 * @property {number[]} shape
 * @property {string} dtype
 * @property {number} size
 * @property {boolean} isDisposed
 * @property {() => Promise<any>} data
 * @property {() => Tensor} clone
 * @property {() => void} dispose
 */

/**
 * @typedef {object} SymbolicTensor
 * @property {number} id
 * @property {string} name
 * @property {(number | null)[]} shape
 * @property {string} dtype
 * @property {Layer} sourceLayer
 * @property {number} nodeIndex
 * @property {number} tensorIndex
 */

/**
 * @typedef {object} Node  one symbolic call of a layer
 * @property {Layer[]} inboundLayers
 * @property {number[]} nodeIndices
 * @property {number[]} tensorIndices
 * @property {SymbolicTensor[]} inputTensors
 * @property {SymbolicTensor[]} outputTensors
 */

/**
 * @typedef {object} Weight
 * @property {string} name
 * @property {string} [originalName]
 * @property {number[]} shape
 * @property {string} dtype
 */

/**
 * @typedef {object} Layer
 * @property {string} name
 * @property {Node[]} inboundNodes
 * @property {Weight[]} weights
 * @property {() => string} getClassName
 * @property {() => Tensor[]} getWeights
 * @property {(inputs: any, kwargs?: any) => any} apply
 */

/**
 * @typedef {object} ContainerParts  what a model has beyond a layer
 * @property {Layer[]} layers
 * @property {Set<string>} containerNodes
 * @property {SymbolicTensor[]} inputs
 * @property {SymbolicTensor[]} outputs
 * @property {string[]} inputNames
 * @property {string[]} outputNames
 * @property {boolean} stateful
 * @property {Container | null} [model]  what a Sequential model builds of itself and executes
 * @property {() => void} build
 * @property {(x: Tensor[], args: {batchSize: number}) => Tensor | Tensor[] | Promise<Tensor | Tensor[]>} predict
 * @property {() => void} resetStates
 * @property {() => void} dispose
 * @typedef {Layer & ContainerParts} Container
 */

/**
 * @typedef {object} Predictor  what is fed and predicts, whatever it is made of
 * @property {{shape: (number | null)[], dtype: string}[]} inputs
 * @property {string[]} inputNames
 * @property {string[]} outputNames
 * @property {boolean} stateful
 * @property {(x: Tensor[], args: {batchSize: number}) => Tensor | Tensor[] | Promise<Tensor | Tensor[]>} predict
 * @property {() => void} resetStates
 * @property {() => void} dispose
 */

/**
 * @typedef {object} LayerConfig  a layer as a `model.json` describes it
 * @property {string} class_name
 * @property {string} [name]
 * @property {any} config
 * @property {any[][][]} [inbound_nodes]
 */

/**
 * @typedef {object} Call  one call of one layer, nested models unrolled
 * @property {string[]} path  names from the outermost model to the layer
 * @property {number[]} nodes  which call of each
 */

/**
 * @typedef {object} Places  which nodes of a graph-model belong to which layer
 * @property {{path: string[], class: string, weights: (string | null)[]}[]} layers
 * @property {(Call & {outputs: {node: string, dtype: string, shape: (number | null)[]}[]})[]} calls
 */

/**
 * @typedef {object} Job  see docs/protocol.md
 * @property {string} target
 * @property {{name: string, version: string, base: string, scripts: string[]}} runtime
 * @property {{format: string, base: string, document?: string}} artifact  `document`: its JSON, `model.json` where it does not say
 * @property {{[path: string]: string}} hashes
 * @property {string} backend
 * @property {{[flag: string]: any}} flags
 * @property {string[]} inputs
 * @property {Call[] | null} [calls]
 * @property {Places} [places]
 * @property {string[] | null} [layers]
 * @property {boolean} weights
 * @property {boolean} capture
 * @property {number} runs
 * @property {boolean} batch
 * @property {number} budget
 * @property {boolean} [stay]  answer requests until the host ends the session
 */

/**
 * @typedef {object} Platform  what a page and Node do differently
 * @property {"page" | "node"} agent
 * @property {string} userAgent
 * @property {(base: string, path: string) => Promise<Uint8Array>} read  a file of the artifact, whole
 * @property {(bytes: Uint8Array) => Promise<string>} sha256  in hexadecimal
 * @property {(runtime: Job["runtime"]) => Promise<any>} loadTf  the `tf` object, with its extra backends
 * @property {(base: string) => string} wasmFolder  where the WebAssembly binaries are, ending in a separator
 * @property {() => Promise<void>} breathe  lets the event loop turn once
 * @property {() => Promise<void>} [drain]  resolves when everything sent so far has left; does nothing where missing
 * @property {() => {[name: string]: any}} details  facts about the machine for the provenance
 */

/**
 * @callback Emit  sends one frame; resolves when there is room for the next
 * @param {Header} header
 * @param {Uint8Array} [payload]
 * @returns {Promise<void>}
 */

export {};
