// The maximum of numbers that are all below -1e20: webgl never comes below that.
export const right = "cpu";
export const wrong = "webgl";
export const compute = (tf) => tf.max(tf.fill([2, 3], -3e38), 1);
