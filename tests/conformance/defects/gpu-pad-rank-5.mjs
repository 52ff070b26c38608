// Zeros around one of five axes: the shader of webgl does not compile, nor does that of webgpu, which leaves zeros.
export const right = "cpu";
export const wrong = "webgpu";
export const compute = (tf) => tf.pad(tf.range(1, 33).reshape([2, 2, 2, 2, 2]), [[0, 0], [1, 1], [0, 0], [0, 0], [0, 0]]);
