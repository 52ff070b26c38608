/**
 * An exact model as something to trace: the npm package's own runtime, whose WebAssembly gives the same bits everywhere.
 * TensorFlow.js is not loaded.
 */

import { readArtifactFiles } from "./artifact.js";
import { disagreement, check } from "./checks.js";
import { ExactError, SEMANTICS, load, moduleHash } from "./exact/index.js";
import { Failure } from "./failure.js";

/**
 * @typedef {import("./bits.js").Plain} Plain
 * @typedef {import("./checks.js").Check} Check
 * @typedef {import("./exact/model.js").ExactModel} ExactModel
 * @typedef {import("./exact/instance.js").Tensor} ExactTensor
 * @typedef {import("./report.js").Report} Report
 * @typedef {import("./subject.js").Capturing} Capturing
 * @typedef {import("./subject.js").Described} Described
 * @typedef {import("./subject.js").Subject} Subject
 * @typedef {import("./types.js").Call} Call
 * @typedef {import("./types.js").Job} Job
 * @typedef {import("./types.js").Platform} Platform
 * @typedef {import("./types.js").Predictor} Predictor
 * @typedef {import("./types.js").Tensor} Tensor
 * @typedef {{path: string[], class: string, weights: {constant: string, shape: number[]}[]}} ExactLayer
 * @typedef {Call & {outputs: number[]}} ExactCall  outputs: places in the plan's list of layers
 */

const FILE = "model.safetensors";
const MODULE = "exact.wasm";

/** @type {{[code: string]: import("./failure.js").Code}} */
const CODES = {
  engine: "backend-unavailable",
  memory: "memory",
  read: "artifact",
  damaged: "artifact",
  plan: "artifact",
  version: "artifact",
};

/**
 * The few functions that an agent needs of TensorFlow.js, over plain arrays.
 *
 * @param {() => number} bytes that the model holds
 */
export function plainArrays(bytes) {
  return {
    tensor,
    /** @param {any} x @param {string} dtype */
    cast: (x, dtype) => tensor(x.values, x.shape, dtype),
    /** @param {any[]} tensors along their first axis */
    concat: (tensors) => {
      const values = new tensors[0].values.constructor(tensors.reduce((sum, { size }) => sum + size, 0));
      let at = 0;
      for (const { values: own } of tensors) {
        values.set(own, at);
        at += own.length;
      }
      const rows = tensors.reduce((sum, { shape }) => sum + shape[0], 0);
      return tensor(values, [rows, ...tensors[0].shape.slice(1)], tensors[0].dtype);
    },
    memory: () => ({ numBytes: bytes() }),
  };
}

let made = 0;

/** @param {any} values @param {number[]} shape @param {string} dtype @returns {Tensor & {values: any}} */
function tensor(values, shape, dtype) {
  const data = async () => values;
  return { id: made++, values, shape, dtype, size: values.length, isDisposed: false, data, clone, dispose: () => {} };
}

/** @this {any} */
function clone() {
  return this;
}

/**
 * What a job on an exact model needs: the model, and what stands in for TensorFlow.js.
 *
 * @param {Job} job
 * @param {Platform} platform
 * @param {Report} report
 */
export async function startExact(job, platform, report) {
  const { version, base } = job.runtime;
  if (version !== SEMANTICS) {
    throw new Failure("load", `${version} was to be loaded, but this agent keeps to ${SEMANTICS}`);
  }
  refuseFlags(job);
  const module = await platform.read(base, MODULE);
  await report.emit(await environment(job, platform, module));
  const files = await readArtifactFiles(job.artifact, job.hashes, platform);
  const bytes = files.get(FILE);
  if (bytes === undefined) throw new Failure("artifact", `the artifact has no ${FILE}`);
  await report.enter("building");
  const model = await explained(() => load(bytes, { module }));
  return { tf: plainArrays(() => model.bytes), subject: new ExactSubject(model, job.places ?? null), device: null };
}

/** @param {Job} job */
function refuseFlags({ flags }) {
  const names = Object.keys(flags ?? {});
  if (names.length > 0) throw new Failure("load", `the exact runtime has no flag ${names[0]}: leave it out`);
}

/** @param {Job} job @param {Platform} platform @param {Uint8Array} module */
async function environment(job, platform, module) {
  const details = {
    ...platform.details(),
    user_agent: platform.userAgent,
    module_sha256: await moduleHash(module),
    threads: 1,
    flags_asked: {},
  };
  const answered = { backend: "exact", asked: job.backend, version: SEMANTICS, adapter: null, software: null };
  return { type: "environment", ...answered, details };
}

/**
 * An error of the exact runtime as one that the host knows.
 *
 * @template T
 * @param {() => Promise<T>} action
 */
async function explained(action) {
  try {
    return await action();
  } catch (error) {
    throw failureOf(error);
  }
}

/** @param {unknown} error */
function failureOf(error) {
  if (!(error instanceof ExactError)) return error;
  return new Failure(CODES[error.code] ?? "predict", error.message);
}

/** @implements {Subject} */
export class ExactSubject {
  /** @param {ExactModel} model @param {any} places which of the plan's values are whose */
  constructor(model, places) {
    this.exact = model;
    /** @type {ExactLayer[]} */
    this.described = places?.layers ?? [];
    /** @type {ExactCall[]} */
    this.calls = places?.calls ?? [];
    this.model = predictorOf(model);
  }

  /** @returns {Generator<Described>} */
  *layers() {
    for (const { path, class: kind, weights } of this.described) {
      const name = path.join("/");
      const nodes = this.calls.filter((call) => call.path.join("/") === name).map((call) => (call.nodes.at(-1) ?? 0) + 1);
      const held = weights.map(({ constant, shape }) => ({ name: constant, dtype: this.#dtype(constant), shape }));
      yield { path, class: kind, nodes: Math.max(1, ...nodes), weights: held };
    }
  }

  /** @returns {Generator<[string[], number, Tensor]>} */
  *weights() {
    for (const { path, weights } of this.described) {
      for (const [index, { constant, shape }] of weights.entries()) {
        const dtype = this.#dtype(constant);
        yield [path, index, tensor(this.#values(constant, dtype), shape, dtype)];
      }
    }
  }

  /** @param {string} name of a constant */
  #dtype(name) {
    const found = this.exact.plan.constants.find((constant) => constant.name === name);
    if (found === undefined) throw new Failure("artifact", `the model has no constant ${name}`);
    return found.dtype;
  }

  /** @param {string} name @param {string} dtype */
  #values(name, dtype) {
    const bytes = /** @type {Uint8Array} */ (this.exact.constants.get(name)).slice();
    if (dtype === "bool") return bytes;
    return dtype === "float32" ? new Float32Array(bytes.buffer) : new Int32Array(bytes.buffer);
  }

  /** Not known before the shapes are resolved. @returns {null} */
  sizes() {
    return null;
  }

  /** What failed names its layer itself. @returns {null} */
  failingLayer() {
    return null;
  }

  /**
   * @param {Capturing} run
   * @param {Report} report
   * @param {(path: string) => boolean} wanted
   */
  async capture(run, report, wanted) {
    const passes = new ExactPasses(this.exact, run, report);
    await passes.go(this.calls.filter(({ path }) => wanted(path.join("/"))));
    return { calls: this.calls, checks: [passes.check()] };
  }
}

/** The passes of one capture: one, or as many as memory asks for. Each must give the outputs of the plain prediction. */
class ExactPasses {
  /** @param {ExactModel} model @param {Capturing} run @param {Report} report */
  constructor(model, run, report) {
    this.model = model;
    this.run = run;
    this.report = report;
    this.fed = /** @type {any[]} */ (run.feed).map(({ values, shape }) => ({ data: values, shape }));
    /** @type {string | null} */
    this.differ = null;
  }

  /** @param {ExactCall[]} calls */
  async go(calls) {
    await this.report.enter("capturing");
    const tensors = this.#captured(calls);
    if (tensors === null) {
      const half = calls.length >> 1;
      await this.go(calls.slice(0, half));
      await this.go(calls.slice(half));
      return;
    }
    await this.report.enter("sending");
    let at = 0;
    for (const { path, nodes, outputs } of calls) {
      for (const index of outputs.keys()) await this.report.record("output", { path, nodes }, index, plain(tensors[at++]));
    }
  }

  /** What calls returned; null where that is too much at once. @param {ExactCall[]} calls @returns {ExactTensor[] | null} */
  #captured(calls) {
    const { layers, outputs } = this.model.plan;
    const wanted = calls.flatMap((call) => call.outputs.map((at) => layers[at]));
    try {
      const tensors = this.model.layers(this.fed, [...wanted, ...outputs]);
      this.run.watch();
      this.differ ??= disagreement(this.run.prediction, tensors.slice(wanted.length).map(plain), this.run.names);
      return tensors;
    } catch (error) {
      if (error instanceof ExactError && error.code === "memory" && calls.length > 1) return null;
      throw failureOf(error);
    }
  }

  /** @returns {Check} */
  check() {
    const same = "the model's outputs have the same bits with and without capture";
    const detail = this.differ === null ? same : `with and without capture differ: ${this.differ}`;
    return check("capture", this.differ === null, detail);
  }
}

/** @param {ExactTensor} tensor @returns {Plain} */
function plain({ data, shape, dtype }) {
  return { dtype, shape, values: data };
}

/** @param {ExactModel} model @returns {Predictor} */
function predictorOf(model) {
  return {
    inputs: model.inputs.map(({ shape, dtype }) => ({ shape, dtype })),
    inputNames: model.inputs.map(({ name }) => name),
    outputNames: model.outputs,
    stateful: false,
    predict: (inputs) => predicted(model, inputs),
    resetStates: () => {},
    dispose: () => model.dispose(),
  };
}

/** @param {ExactModel} model @param {any[]} inputs @returns {Tensor[]} */
function predicted(model, inputs) {
  try {
    const made = model.predict(inputs.map(({ values, shape }) => ({ data: values, shape })));
    return [made].flat().map(({ data, shape, dtype }) => tensor(data, shape, dtype));
  } catch (error) {
    throw failureOf(error);
  }
}
