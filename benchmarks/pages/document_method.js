/**
 * The document's own method: every layer's output by one model of many outputs, `arraySync` into nested arrays,
 * `JSON.stringify`, a Blob and a click that downloads it. Weights, which the document sends along, are left out.
 */

import { openControl } from "./control.js";

const tf = globalThis.tf;
const control = await openControl();
tf.wasm.setWasmPaths("/tfjs/");
if (!(await tf.setBackend("wasm"))) throw new Error("no wasm backend");
await tf.ready();
const model = await tf.loadLayersModel("/model/model.json");
const layers = model.layers.slice(1);
const everything = tf.model({ inputs: model.inputs, outputs: layers.map((layer) => layer.output) });
const shape = (await (await fetch("/data/input.json")).json()).shape;
const input = tf.tensor(new Float32Array(await (await fetch("/data/input.bin")).arrayBuffer()), shape);
control.tell({ type: "ready" });
await control.next("go");

const times = [performance.now()];
const lap = () => times.push(performance.now()) && times.at(-1) - times.at(-2);
const outputs = everything.predict(input);
const predict = lap();
const yhat = outputs.map((tensor) => tensor.arraySync());
const arrays = lap();
const vals = {};
layers.forEach((layer, i) => {
  vals[layer.name + "_output"] = yhat[i];
});
const text = JSON.stringify(vals);
const stringify = lap();
const a = document.createElement("a");
const file = new Blob([text], { type: "text/plain" });
a.href = URL.createObjectURL(file);
a.download = "keras_model_tfjs_output.json";
a.click();
const blob = lap();
control.tell({ type: "done", predict, arrays, stringify, blob, characters: text.length, backend: tf.getBackend() });
