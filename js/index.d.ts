/** float32, int32 or bool; a bool tensor is held as bytes of 0 and 1. */
export type Dtype = "float32" | "int32" | "bool";

/** Row-major numbers and the sizes of the axes. */
export interface Tensor {
  data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;
  shape: number[];
  dtype: Dtype;
}

/** Numbers alone where the shape follows from their count, or with their shape. */
export type Given = ArrayLike<number> | { data: ArrayLike<number>; shape: readonly number[] };

/** What a model is fed: its one input, all of them in order, or by name. */
export type Inputs = Given | Given[] | { [name: string]: Given };

/** An input of a model; null is any size. */
export interface Input {
  name: string;
  shape: (number | null)[];
  dtype: Dtype;
}

/** Bytes, an address, a Request or Response, a Blob; in Node and Deno also a path. */
export type Source = string | URL | Request | Response | Blob | ArrayBuffer | ArrayBufferView;

export interface Options {
  /** The most multiplications and steps of elements that a prediction may take. Default: any number. */
  maxCost?: number;
  /** How many threads share each prediction: the same bits sooner. More than one need a page that is cross-origin isolated. */
  threads?: number;
  /** The WebAssembly module, where `exact.wasm` (with threads `exact-threads.wasm`) does not lie beside the package's code. */
  module?: Source | WebAssembly.Module;
}

export interface ExactModel {
  readonly name: string;
  readonly inputs: Input[];
  /** Names of the outputs, in order. */
  readonly outputs: string[];
  /** SHA-256 (hexadecimal) of the plan and the weights. */
  readonly sha256: string;
  /** Bytes of WebAssembly memory that it holds. */
  readonly bytes: number;
  /** One tensor, or a list of them if the model has several outputs. Throws ExactError; there is no partial output. */
  predict(x: Inputs): Tensor | Tensor[];
  /** What a prediction takes, in multiplications and steps of elements; nothing is computed. */
  cost(x: Inputs): number;
  /** Let go of the memory. */
  dispose(): void;
}

export interface RemoteModel {
  readonly name: string;
  readonly inputs: Input[];
  readonly outputs: string[];
  readonly sha256: string;
  predict(x: Inputs): Promise<Tensor | Tensor[]>;
  cost(x: Inputs): Promise<number>;
  /** End the worker at once, whatever it does; what is being predicted rejects with the code `ended`. */
  terminate(): void;
}

/**
 * `read`: the file cannot be had; `damaged`: cut short, altered, or no exact model; `plan`: malformed or hostile; `version`:
 * made for another version; `input`: wrong names, shapes, dtypes or values; `cost`: more than `maxCost`; `memory`: more than
 * WebAssembly gives; `engine`: no WebAssembly or no SIMD here; `ended`: the worker was terminated, or died.
 */
export type Code = "read" | "damaged" | "plan" | "version" | "input" | "cost" | "memory" | "engine" | "ended";

export class ExactError extends Error {
  constructor(code: Code, message: string);
  readonly code: Code;
}

/** The version of the semantics; a model that names another one is refused. */
export const SEMANTICS: string;

/** Load a model that `bittrue export` wrote. Rejects with an ExactError. */
export function load(source: Source, options?: Options): Promise<ExactModel>;

/** The same in a worker of its own, which `terminate` ends at any time. */
export function loadInWorker(source: Source, options?: Options): Promise<RemoteModel>;
