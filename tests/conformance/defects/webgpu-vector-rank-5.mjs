// A vector added to a tensor of five axes: the shader indexes a type that it cannot index, and zeros are left.
export const right = "webgl";
export const wrong = "webgpu";
export const compute = (tf) => tf.add(tf.range(0, 32).reshape([2, 2, 2, 2, 2]), tf.tensor1d([100, 200]));
