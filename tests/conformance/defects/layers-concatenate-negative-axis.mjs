// A layer that joins along the last axis but one: all backends join along the last one.
export const right = "tf.concat";
export const wrong = "cpu";
const parts = (tf) => [tf.zeros([1, 2, 2]), tf.ones([1, 2, 2])];
export const compute = (tf) => tf.layers.concatenate({ axis: -2 }).apply(parts(tf));
export const repeated = (tf) => tf.concat(parts(tf), -2);
