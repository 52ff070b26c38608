/** Code and function of each operation by its name: operations.json of the Python package, which a test compares. */

/** @type {Readonly<{[name: string]: readonly [code: number, function: number]}>} */
export const OPERATIONS = Object.freeze({
  abs: [0, 0], ceil: [0, 1], cos: [0, 2], erf: [0, 3], exp: [0, 4], expm1: [0, 5], floor: [0, 6], log: [0, 7],
  log1p: [0, 8], negative: [0, 9], relu: [0, 10], round: [0, 11], rsqrt: [0, 12], sigmoid: [0, 13], sign: [0, 14],
  sin: [0, 15], softplus: [0, 16], sqrt: [0, 17], square: [0, 18], tanh: [0, 19], add: [1, 0], divide: [1, 1],
  maximum: [1, 2], minimum: [1, 3], multiply: [1, 4], power: [1, 5], subtract: [1, 6], equal: [2, 0],
  greater: [2, 1], greater_equal: [2, 2], less: [2, 3], less_equal: [2, 4], not_equal: [2, 5], and: [3, 0],
  not: [3, 1], or: [3, 2], xor: [3, 3], select: [4, 0], cast_float32: [5, 0], cast_int32: [5, 1], cast_bool: [5, 2],
  affine: [6, 0], normalize: [7, 0], matmul: [8, 0], conv: [9, 0], conv_transpose: [10, 0], pool_max: [11, 0],
  pool_average: [11, 1], reduce_all: [12, 0], reduce_any: [12, 1], reduce_max: [12, 2], reduce_mean: [12, 3],
  reduce_min: [12, 4], reduce_sum: [12, 5], argmax: [13, 0], softmax: [14, 0], reshape: [15, 0], transpose: [16, 0],
  slice: [17, 0], concat: [18, 0], pad: [19, 0], gather: [20, 0], repeat: [21, 0], broadcast: [22, 0],
  position: [23, 0], resize_linear: [24, 0], resize_nearest: [24, 1], scan: [25, 0],
});
