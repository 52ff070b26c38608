/** A TensorFlow.js artifact: read, verified against the host's hashes and its own manifest, and handed to the loader. */

import { Failure, messageOf } from "./failure.js";

/**
 * @typedef {import("./types.js").Job} Job
 * @typedef {import("./types.js").Platform} Platform
 */

/**
 * @typedef {object} WeightSpec  one entry of a weights manifest
 * @property {string} name
 * @property {number[]} shape
 * @property {string} dtype
 * @property {{dtype: string}} [quantization]
 */

/**
 * @typedef {object} Artifact  what TensorFlow.js asks of an IOHandler, in every version
 * @property {any} modelTopology
 * @property {any} [signature]  of a graph-model
 * @property {any} [userDefinedMetadata]
 * @property {WeightSpec[]} weightSpecs
 * @property {ArrayBuffer} weightData
 */

const MODEL = "model.json";
const FORMATS = ["layers-model", "graph-model"];

/** @type {{[dtype: string]: number}} bytes of one element in a shard */
const STORED_SIZE = { float32: 4, int32: 4, bool: 1, uint8: 1, uint16: 2, float16: 2, complex64: 8 };

/**
 * Read an artifact. Every file that has a hash is read once and checked before anything is made of it.
 *
 * @param {Job["artifact"]} artifact
 * @param {Job["hashes"]} hashes
 * @param {Platform} platform
 * @returns {Promise<Artifact>}
 * @throws {Failure} artifact
 */
export async function loadArtifact(artifact, hashes, platform) {
  if (!FORMATS.includes(artifact.format)) {
    throw new Failure("artifact", `the artifact is a ${artifact.format}: this agent runs ${FORMATS.join("s and ")}s`);
  }
  const document = artifact.document ?? MODEL;
  if (!(document in hashes)) throw new Failure("artifact", `the artifact has no ${document}`);
  const files = await readArtifactFiles(artifact, hashes, platform);
  const { weightsManifest, ...model } = parseModel(/** @type {Uint8Array} */ (files.get(document)));
  return { ...model, ...joinWeights(weightsManifest, files) };
}

/**
 * Every file that has a hash, read and checked.
 *
 * @param {Job["artifact"]} artifact
 * @param {Job["hashes"]} hashes
 * @param {Platform} platform
 * @returns {Promise<Map<string, Uint8Array>>}
 * @throws {Failure} artifact
 */
export async function readArtifactFiles(artifact, hashes, platform) {
  /** @type {Map<string, Uint8Array>} */
  const files = new Map();
  for (const [path, hash] of Object.entries(hashes)) files.set(path, await readChecked(artifact, path, hash, platform));
  return files;
}

/**
 * @param {Job["artifact"]} artifact
 * @param {string} path
 * @param {string} hash
 * @param {Platform} platform
 */
async function readChecked(artifact, path, hash, platform) {
  if (!isPlainPath(path)) throw new Failure("artifact", `the artifact names the file ${path}, which is outside of it`);
  let bytes;
  try {
    bytes = await platform.read(artifact.base, path);
  } catch (error) {
    throw new Failure("artifact", `the artifact's file ${path} cannot be read: ${messageOf(error)}`);
  }
  if ((await platform.sha256(bytes)) !== hash.toLowerCase()) {
    throw new Failure("artifact", `the artifact's file ${path} is not the one that was written (its SHA-256 is another)`);
  }
  return bytes;
}

/**
 * Whether a path names a file below the artifact's folder on every system: no address, drive, root or "..".
 *
 * @param {string} path
 */
export function isPlainPath(path) {
  return /^[^\\:\u0000-\u001f]+$/.test(path) && path.split("/").every((part) => !["", ".", ".."].includes(part));
}

/** @param {Uint8Array} bytes @returns {{modelTopology: any, signature?: any, userDefinedMetadata?: any, weightsManifest: any[]}} */
function parseModel(bytes) {
  let model;
  try {
    model = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new Failure("artifact", `${MODEL} is not JSON: ${messageOf(error)}`);
  }
  if (typeof model?.modelTopology !== "object" || model.modelTopology === null) {
    throw new Failure("artifact", `${MODEL} has no modelTopology: it is not a TensorFlow.js model`);
  }
  const { modelTopology, signature, userDefinedMetadata, weightsManifest = [] } = model;
  if (!Array.isArray(weightsManifest)) throw new Failure("artifact", `${MODEL} has a weightsManifest that is no list`);
  return { modelTopology, weightsManifest, ...(modelTopology.node ? { signature, userDefinedMetadata } : {}) };
}

/**
 * All shards one after the other, each group checked to be as long as its weights.
 *
 * @param {any[]} manifest
 * @param {Map<string, Uint8Array>} files
 */
export function joinWeights(manifest, files) {
  /** @type {WeightSpec[]} */
  const weightSpecs = [];
  /** @type {Uint8Array[]} */
  const shards = [];
  for (const group of manifest) {
    const own = group.paths.map((/** @type {string} */ path) => shard(path, files));
    const there = own.reduce((/** @type {number} */ sum, /** @type {Uint8Array} */ bytes) => sum + bytes.length, 0);
    const wanted = group.weights.reduce((/** @type {number} */ sum, /** @type {WeightSpec} */ w) => sum + storedSize(w), 0);
    if (there !== wanted) {
      throw new Failure("artifact", `${group.paths.join(", ")} hold ${there} bytes where the weights need ${wanted}`);
    }
    weightSpecs.push(...group.weights);
    shards.push(...own);
  }
  refuseRepeated(weightSpecs);
  return { weightSpecs, weightData: concatenate(shards) };
}

/** @param {string} path @param {Map<string, Uint8Array>} files */
function shard(path, files) {
  const bytes = files.get(String(path).replace(/^(\.\/)+/, ""));
  if (bytes === undefined) throw new Failure("artifact", `${MODEL} names ${path}, which is not a file of the artifact`);
  return bytes;
}

/** @param {WeightSpec} weight @returns {number} bytes in the shards */
function storedSize({ name, shape, dtype, quantization }) {
  const size = STORED_SIZE[quantization?.dtype ?? dtype];
  if (size === undefined) throw new Failure("artifact", `the weight ${name} is of dtype ${dtype}, which has no fixed size`);
  return shape.reduce((product, dimension) => product * dimension, size);
}

/** @param {WeightSpec[]} specs */
function refuseRepeated(specs) {
  const names = new Set();
  for (const { name } of specs) {
    if (names.has(name)) throw new Failure("artifact", `the weight ${name} is in the artifact twice`);
    names.add(name);
  }
}

/** @param {Uint8Array[]} parts @returns {ArrayBuffer} */
function concatenate(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all.buffer;
}
