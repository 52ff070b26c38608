/**
 * What a production page really feeds to its model, and what it gets: a sample of calls, in memory, as a trace file that
 * `bittrue compare` reads. Nothing is sent anywhere unless `post` is called.
 */

/** @typedef {import("./recorder.js").Tensor} Tensor */

const TRACE_VERSION = "1";
const ALIGNMENT = 64; // of the first tensor in the file
const METHODS = ["predict", "predictAsync", "execute", "executeAsync"];

/** @type {{[dtype: string]: {name: string, from: (values: any) => Uint8Array}}} */
const DTYPES = {
  float32: { name: "F32", from: (values) => bytesOf(Float32Array.from(values)) },
  int32: { name: "I32", from: (values) => bytesOf(Int32Array.from(values)) },
  bool: { name: "BOOL", from: (values) => Uint8Array.from(values, (/** @type {any} */ value) => (value ? 1 : 0)) },
};

/**
 * Record the calls of `model` (a LayersModel or GraphModel) from now on.
 *
 * @param {any} model
 * @param {import("./recorder.js").Options} [options]
 * @returns {Recorder}
 */
export function record(model, options = {}) {
  return new Recorder(model, options);
}

export class Recorder {
  /** @param {any} model @param {import("./recorder.js").Options} [options] */
  constructor(model, { calls = 8, every = 1, bytes = 64 * 2 ** 20, tf = null } = {}) {
    for (const [name, value] of Object.entries({ calls, every, bytes })) {
      if (!(value >= 1)) throw new RangeError(`${name} is ${value}: give a number of at least 1`);
    }
    this.limits = { calls, every, bytes };
    this.model = model;
    this.tf = tf;
    /** Calls seen, recorded, and left out because they would have exceeded the limit of bytes. */
    this.seen = 0;
    this.recorded = 0;
    this.skipped = 0;
    this.bytes = 0;
    /** @type {Promise<import("./recorder.js").Entry[]>[]} */
    this.pending = [];
    this.inside = false;
    /** @type {string[]} */
    this.hooked = METHODS.filter((name) => typeof model[name] === "function");
    if (this.hooked.length === 0) throw new TypeError("record takes a model of TensorFlow.js: this has no predict");
    for (const name of this.hooked) this.#hook(name);
  }

  /** Record no more; the model is as it was. */
  stop() {
    for (const name of this.hooked) delete this.model[name];
    this.hooked = [];
  }

  /**
   * The trace so far, as the bytes of a safetensors file.
   *
   * @returns {Promise<Uint8Array<ArrayBuffer>>}
   */
  async file() {
    const entries = (await Promise.all(this.pending)).flat();
    return encode(entries, this.#provenance());
  }

  /** Offer the trace as a download. @param {string} [name] */
  async download(name = "recorded.safetensors") {
    const url = URL.createObjectURL(new Blob([await this.file()], { type: "application/octet-stream" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  /**
   * Send the trace to the address that `bittrue listen` prints.
   *
   * @param {string} url
   */
  async post(url) {
    const response = await fetch(url, { method: "POST", body: await this.file(), credentials: "omit" });
    if (!response.ok) throw new Error(`bittrue listen answered ${response.status}: ${await response.text()}`);
  }

  /** @param {string} name of a method */
  #hook(name) {
    const original = this.model[name];
    const recorder = this;
    this.model[name] = function (/** @type {any[]} */ ...args) {
      if (recorder.inside || !recorder.#wanted()) return original.apply(this, args);
      recorder.inside = true; // predict calls execute: the outermost call is the page's own
      let result;
      try {
        result = original.apply(this, args);
      } finally {
        recorder.inside = false;
      }
      if (typeof result?.then !== "function") {
        recorder.#take(args[0], result, args[1]);
        return result;
      }
      const inputs = recorder.#read("input", args[0]);
      return result.then((/** @type {any} */ outputs) => {
        recorder.#keep([...inputs, ...recorder.#read("prediction", outputs, args[1])]);
        return outputs;
      });
    };
  }

  #wanted() {
    const turn = this.seen++ % this.limits.every === 0;
    return turn && this.recorded + this.skipped < this.limits.calls;
  }

  /** @param {any} inputs @param {any} outputs @param {any} asked */
  #take(inputs, outputs, asked) {
    this.#keep([...this.#read("input", inputs), ...this.#read("prediction", outputs, asked)]);
  }

  /**
   * The tensors of one side, their values on the way. Reading begins at once: the page may dispose of them afterwards.
   *
   * @param {"input" | "prediction"} kind
   * @param {any} value a tensor, a list or a map of tensors
   * @param {any} [asked] names of outputs that `execute` was asked for
   * @returns {import("./recorder.js").Reading[]}
   */
  #read(kind, value, asked) {
    const known = kind === "input" ? this.model.inputNames : typeof asked === "string" ? [asked] : Array.isArray(asked) ? asked : this.model.outputNames;
    const found = named(value, known ?? this.model[kind === "input" ? "inputs" : "outputs"]?.map((/** @type {any} */ { name }) => name) ?? []);
    return found
      .filter(([, tensor]) => tensor?.dtype in DTYPES && typeof tensor.data === "function")
      .map(([name, tensor], at) => {
        const index = kind === "input" ? 0 : at;
        return { kind, name, index, dtype: tensor.dtype, shape: [...tensor.shape], size: sizeOf(tensor), data: tensor.data() };
      });
  }

  /** @param {import("./recorder.js").Reading[]} readings of one call */
  #keep(readings) {
    const size = readings.reduce((sum, reading) => sum + reading.size, 0);
    if (this.bytes + size > this.limits.bytes) {
      this.skipped++;
      for (const { data } of readings) data.catch(() => {});
      return;
    }
    this.bytes += size;
    const call = this.recorded++;
    const whole = Promise.all(readings.map(async ({ data, ...about }) => {
      return { ...about, call, bytes: DTYPES[about.dtype].from(await data) };
    }));
    whole.catch(() => {}); // told by `file`
    this.pending.push(whole);
  }

  #provenance() {
    const tf = this.tf ?? /** @type {any} */ (globalThis).tf;
    const backend = tf?.getBackend?.() ?? "unknown";
    const { seen, recorded, skipped } = this;
    return {
      target: `app:${backend}`,
      runtime: "tfjs",
      backend,
      version: tf?.version?.tfjs ?? tf?.version_core ?? "unknown",
      adapter: null,
      software: null,
      details: { user_agent: globalThis.navigator?.userAgent ?? "unknown", recorder: { seen, recorded, skipped } },
    };
  }
}

/** @param {any} value @param {string[]} names @returns {[string, Tensor][]} */
function named(value, names) {
  if (Array.isArray(value)) return value.map((tensor, i) => [plain(names[i] ?? `tensor_${i}`), tensor]);
  if (value && typeof value.data === "function") return [[plain(names[0] ?? "tensor_0"), value]];
  return Object.entries(value ?? {}).map(([name, tensor]) => [plain(name), tensor]);
}

/** A name without the output's number that graph-models put behind it. @param {string} name */
function plain(name) {
  return name.replace(/:0$/, "");
}

/** @param {Tensor} tensor */
function sizeOf({ dtype, size }) {
  return size * (dtype === "bool" ? 1 : 4);
}

/** @param {{buffer: ArrayBufferLike, byteOffset: number, byteLength: number}} values */
function bytesOf({ buffer, byteOffset, byteLength }) {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/**
 * A safetensors file: the length of its header, the header, the tensors.
 *
 * @param {import("./recorder.js").Entry[]} entries
 * @param {object} provenance
 * @returns {Uint8Array<ArrayBuffer>}
 */
function encode(entries, provenance) {
  /** @type {{[key: string]: any}} */
  const header = {
    __metadata__: {
      "bittrue.trace": TRACE_VERSION,
      "bittrue.provenance": JSON.stringify(provenance),
      "bittrue.checks": "[]",
      "bittrue.complete": "true",
    },
  };
  let end = 0;
  for (const { kind, name, call, index, dtype, shape, bytes } of entries) {
    header[`${kind}:${name}:${call}:${index}`] = { dtype: DTYPES[dtype].name, shape, data_offsets: [end, end + bytes.length] };
    end += bytes.length;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = Math.ceil((8 + text.length) / ALIGNMENT) * ALIGNMENT;
  const file = new Uint8Array(start + end).fill(0x20, 0, start);
  new DataView(file.buffer).setBigUint64(0, BigInt(start - 8), true);
  file.set(text, 8);
  let at = start;
  for (const { bytes } of entries) {
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}
