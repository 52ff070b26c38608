// A transposed convolution over three axes, of a kernel whose taps differ.
export const right = "cpu";
export const wrong = "wasm";
export const compute = (tf) =>
  tf.conv3dTranspose(tf.range(1, 17).reshape([1, 2, 2, 2, 2]), tf.range(1, 49).reshape([2, 2, 2, 3, 2]), [1, 3, 3, 3, 3], 1, "valid");
