// Truth values cast to float32, in another order of three axes: the shader still takes them for whole numbers.
export const right = "webgl";
export const wrong = "webgpu";
export const compute = (tf) => tf.transpose(tf.cast(tf.tensor3d([1, 0, 1, 1], [1, 2, 2], "bool"), "float32"), [0, 2, 1]);
