// The maximum of negative numbers over three axes: the wasm backend never comes below the smallest positive number.
export const right = "cpu";
export const wrong = "wasm";
export const compute = (tf) => tf.maxPool3d(tf.fill([1, 2, 2, 2, 1], -1), 2, 2, "valid");
