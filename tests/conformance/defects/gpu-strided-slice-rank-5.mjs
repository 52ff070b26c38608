// One of five axes in the opposite order: as with padding.
export const right = "cpu";
export const wrong = "webgpu";
export const compute = (tf) =>
  tf.stridedSlice(tf.range(1, 33).reshape([2, 2, 2, 2, 2]), [1, 0, 0, 0, 0], [0, 2, 2, 2, 2], [-1, 1, 1, 1, 1], 1, 1);
