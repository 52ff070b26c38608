// Matrices of which both sides are repeated along another axis: cpu and wasm pair them wrongly.
export const right = "tile";
export const wrong = "cpu";
const a = (tf) => tf.range(0, 4).reshape([2, 1, 1, 2]);
const b = (tf) => tf.range(0, 12).reshape([1, 3, 2, 2]);
export const compute = (tf) => tf.matMul(a(tf), b(tf));
export const repeated = (tf) => tf.matMul(a(tf).tile([1, 3, 1, 1]), b(tf).tile([2, 1, 1, 1]));
