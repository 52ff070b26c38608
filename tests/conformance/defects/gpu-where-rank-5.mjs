// A choice between tensors of five axes: webgl and webgpu say that they have none.
export const right = "cpu";
export const wrong = "webgpu";
const x = (tf) => tf.range(1, 33).reshape([2, 2, 2, 2, 2]);
export const compute = (tf) => tf.where(tf.greater(x(tf), 7), x(tf), tf.neg(x(tf)));
