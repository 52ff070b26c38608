import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { isPlainPath, joinWeights, loadArtifact } from "../../src/bittrue/web/artifact.js";

const refused = { name: "Failure", code: "artifact" };
const WEIGHTS = [{ name: "k", shape: [2, 2], dtype: "float32" }, { name: "b", shape: [3], dtype: "bool" }];
const shard = Uint8Array.from({ length: 19 }, (_, i) => i);

/** @param {any} model */
function filesOf(model) {
  return { "model.json": Buffer.from(JSON.stringify(model)), "w/one.bin": shard.subarray(0, 10), "two.bin": shard.subarray(10) };
}

const MODEL = { modelTopology: { class_name: "Model" }, weightsManifest: [{ paths: ["w/one.bin", "two.bin"], weights: WEIGHTS }] };

/** @param {{[path: string]: Uint8Array}} files @param {{[path: string]: string}} [other] hashes that are not those of the files
 * @param {{document?: string}} [more] of the artifact */
function load(files, other = {}, more = {}) {
  const hash = async (/** @type {Uint8Array} */ bytes) => createHash("sha256").update(bytes).digest("hex");
  const hashes = Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, createHash("sha256").update(bytes).digest("hex")]));
  const read = async (/** @type {string} */ base, /** @type {string} */ path) => {
    if (!(path in files)) throw new Error("no such file");
    return files[path];
  };
  const platform = /** @type {any} */ ({ read, sha256: hash });
  return loadArtifact({ format: "layers-model", base: "b/", ...more }, { ...hashes, ...other }, platform);
}

test("the shards of an artifact are joined in the manifest's order", async () => {
  const { modelTopology, weightSpecs, weightData } = await load(filesOf(MODEL));
  assert.deepEqual(modelTopology, MODEL.modelTopology);
  assert.deepEqual(weightSpecs, WEIGHTS);
  assert.deepEqual(new Uint8Array(weightData), shard);
});

test("the file that describes the model may have any name, which must be there", async () => {
  const { "model.json": described, ...shards } = filesOf(MODEL);
  const { modelTopology } = await load({ "face.json": described, ...shards }, {}, { document: "face.json" });
  assert.deepEqual(modelTopology, MODEL.modelTopology);
  await assert.rejects(load(filesOf(MODEL), {}, { document: "face.json" }), { ...refused, message: /no face\.json/ });
});

const BAD_MODELS = {
  "a shard that is no file of the artifact": { ...MODEL, weightsManifest: [{ paths: ["three.bin"], weights: WEIGHTS }] },
  "fewer bytes than the weights need": { ...MODEL, weightsManifest: [{ paths: ["two.bin"], weights: WEIGHTS }] },
  "a weight twice": { ...MODEL, weightsManifest: [
    { paths: ["two.bin"], weights: [{ name: "a", shape: [9], dtype: "bool" }] },
    { paths: ["w/one.bin"], weights: [{ name: "a", shape: [10], dtype: "bool" }] },
  ] },
  "a weight of no fixed size": { ...MODEL, weightsManifest: [{ paths: [], weights: [{ name: "s", shape: [], dtype: "string" }] }] },
  "no topology": { weightsManifest: [] },
};
for (const [what, model] of Object.entries(BAD_MODELS)) {
  test(`an artifact with ${what} is refused`, () => assert.rejects(load(filesOf(model)), refused));
}

test("a changed file is refused by name, whichever it is", async () => {
  for (const path of ["model.json", "w/one.bin"]) {
    await assert.rejects(load(filesOf(MODEL), { [path]: "00" }), { ...refused, message: new RegExp(path) });
  }
});

test("a file that cannot be read is refused by name", async () => {
  await assert.rejects(load(filesOf(MODEL), { "gone.bin": "00" }), { ...refused, message: /gone\.bin.*no such file/ });
});

test("a model that is not JSON is refused", async () => {
  await assert.rejects(load({ "model.json": Buffer.from("<html>") }), { ...refused, message: /not JSON/ });
});

test("quantised weights are as long as they are stored", () => {
  const weights = [{ name: "q", shape: [9], dtype: "float32", quantization: { dtype: "uint8" } }];
  const { weightData } = joinWeights([{ paths: ["a"], weights }], new Map([["a", shard.subarray(0, 9)]]));
  assert.equal(weightData.byteLength, 9);
});

for (const path of ["../x", "a/../../x", "/etc/passwd", "C:/x", "http://x/y", "a\\b", "", "a//b", "./a", "a\nb"]) {
  test(`${JSON.stringify(path)} is outside of an artifact`, async () => {
    assert.equal(isPlainPath(path), false);
    await assert.rejects(load({ ...filesOf(MODEL), [path]: shard }), refused);
  });
}

test("names with spaces, dots and letters of any script are inside", () => {
  for (const path of ["model.json", "a b/c.bin", "..a", "gewichte/ß.bin"]) assert.equal(isPlainPath(path), true);
});
