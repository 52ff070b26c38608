// Every second one of whole numbers: the wasm backend reads them as if they were of type float32.
export const right = "cpu";
export const wrong = "wasm";
export const compute = (tf) => tf.stridedSlice(tf.tensor1d([1, 2, 3, 4, 5, 6], "int32"), [5], [0], [-2]);
