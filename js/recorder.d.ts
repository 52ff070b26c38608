/** A tensor of TensorFlow.js, as far as the recorder looks at it. */
export interface Tensor {
  readonly dtype: string;
  readonly shape: number[];
  readonly size: number;
  data(): Promise<ArrayLike<number>>;
}

export interface Options {
  /** Calls to keep at most; the first ones. Default 8. */
  calls?: number;
  /** Keep only every n-th call. Default 1. */
  every?: number;
  /** Bytes of tensors to keep at most; a call that does not fit is left out. Default 64 MiB. */
  bytes?: number;
  /** The `tf` object, to note its backend and version. Default: the global `tf`, if there is one. */
  tf?: unknown;
}

export interface Entry {
  kind: "input" | "prediction";
  name: string;
  call: number;
  index: number;
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

export interface Reading {
  kind: "input" | "prediction";
  name: string;
  index: number;
  dtype: string;
  shape: number[];
  size: number;
  data: Promise<ArrayLike<number>>;
}

/** Record the calls of a LayersModel or GraphModel from now on. Throws where it is no model. */
export function record(model: object, options?: Options): Recorder;

export class Recorder {
  constructor(model: object, options?: Options);
  /** Calls seen, kept, and left out because they would have exceeded the limit of bytes. */
  readonly seen: number;
  readonly recorded: number;
  readonly skipped: number;
  /** Bytes kept. */
  readonly bytes: number;
  /** Record no more; the model is as it was. */
  stop(): void;
  /** The trace so far, as the bytes of a safetensors file that `bittrue compare` reads. */
  file(): Promise<Uint8Array<ArrayBuffer>>;
  /** Offer the trace as a download. */
  download(name?: string): Promise<void>;
  /** Send the trace to the address that `bittrue listen` prints. Throws if it is not taken. */
  post(url: string): Promise<void>;
}
