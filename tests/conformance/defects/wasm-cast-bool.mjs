// A fraction is true: the wasm backend drops the fraction first.
export const right = "cpu";
export const wrong = "wasm";
export const compute = (tf) => tf.cast(tf.tensor1d([0.5, 0, -0.25, 2]), "bool");
