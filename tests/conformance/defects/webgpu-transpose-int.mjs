// Whole numbers in another order of three axes: the shader does not compile, and zeros are left without a word.
export const right = "webgl";
export const wrong = "webgpu";
export const compute = (tf) => tf.transpose(tf.tensor3d([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2], "int32"), [0, 2, 1]);
