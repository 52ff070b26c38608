/** Loaded after TensorFlow.js: makes the layers named in FAULTS compute something else. For the benchmark alone. */
(() => {
  const tf = typeof require === "function" ? require("@tensorflow/tfjs") : globalThis.tf;
  const FAULTS = /* FAULTS */ {};

  /** To the nearest half-precision number, ties to even. */
  function half(value) {
    if (!Number.isFinite(value) || value === 0) return value;
    const step = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(value))), -14) - 10);
    const scaled = value / step;
    let whole = Math.round(scaled);
    if (Math.abs(scaled - Math.trunc(scaled)) === 0.5 && whole % 2) whole -= 1;
    return Math.abs(whole * step) > 65504 ? Math.sign(value) * Infinity : whole * step;
  }

  const mapped = (x, change) => tf.tensor(Float32Array.from(x.dataSync(), change), x.shape);
  const first = (x) => (Array.isArray(x) ? x[0] : x);
  const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const activated = (layer, y) => (layer.activation ? layer.activation.apply(y) : y);

  function shifted(y, axis) {
    const size = y.shape[axis];
    const [head, tail] = tf.split(y, [size - 1, 1], axis);
    return tf.concat([tail, head], axis);
  }

  /** "same" padding of an image, its odd element at the front. */
  function padded(x, kernel, strides) {
    const amounts = [1, 2].map((axis) => {
      const size = x.shape[axis], stride = strides[axis - 1];
      const total = Math.max((Math.ceil(size / stride) - 1) * stride + kernel[axis - 1] - size, 0);
      return [Math.ceil(total / 2), Math.floor(total / 2)];
    });
    return tf.pad(x, [[0, 0], ...amounts, [0, 0]]);
  }

  const kinds = {
    reversed: (call, x) => call(x).reverse(-1),
    shifted: (call, x) => { const y = call(x); return shifted(y, y.rank - 1); },
    permuted: (call, x, layer, { order }) => tf.gather(call(x), tf.tensor1d(order, "int32"), -1),
    half: (call, x) => mapped(call(x), half),
    halfInputs: (call, x) => call(Array.isArray(x) ? x.map((one) => mapped(one, half)) : mapped(x, half)),
    zeros: (call, x) => tf.zerosLike(call(x)),
    skipped: (call, x) => tf.clone(first(x)),
    nan: (call, x, layer, { at }) => mapped(call(x), (value, index) => (index === at ? NaN : value)),
    element: (call, x, layer, { at }) => {
      const y = call(x), most = largest(y.dataSync());
      return mapped(y, (value, index) => (index === at ? value + 1e-2 * most : value));
    },
    scaled: (call, x, layer, { factor }) => tf.mul(call(x), factor),
    lastRow: (call, x) => {
      const y = call(x), values = Float32Array.from(y.dataSync()), from = values.length - values.length / y.shape[0];
      return tf.tensor(values.map((value, index) => (index >= from ? value * 1.01 : value)), y.shape);
    },
    noisy: (call, x) => {
      const y = call(x), most = largest(y.dataSync());
      return mapped(y, (value) => value + 1e-3 * most * (Math.random() - 0.5));
    },
    approximate: (call, x) => {
      const y = call(x), most = largest(y.dataSync());
      return mapped(y, (value) => value + 1e-3 * most * Math.sin((50 * value) / most));
    },
    ceiling: (call, x) => { const y = call(x), most = largest(y.dataSync()); return tf.minimum(y, most / 2); },
    training: (call, x, layer) => call(x, { training: true }),
    swapped: (call, x) => call([...x].reverse()),
    transposed: (call, x) => call(first(x).transpose([0, 2, 1, ...first(x).shape.slice(3).map((_, at) => at + 3)])),
    otherPadding: (call, x, layer) => {
      const kernel = layer.kernel.read();
      let y = tf.conv2d(padded(first(x), kernel.shape, layer.strides), kernel, layer.strides, "valid");
      if (layer.bias) y = tf.add(y, layer.bias.read());
      return activated(layer, y);
    },
    corners: (call, x) => {
      const image = first(x), [height, width] = call(x).shape.slice(1);
      return tf.image.resizeBilinear(image, [height, width], false, false);
    },
    aligned: (call, x) => {
      const image = first(x), [height, width] = call(x).shape.slice(1);
      return tf.image.resizeBilinear(image, [height, width], true, false);
    },
    counted: (call, x, layer) => {
      const size = layer.poolSize, strides = layer.strides, image = first(x);
      const amounts = [1, 2].map((axis) => {
        const n = image.shape[axis], stride = strides[axis - 1];
        const total = Math.max((Math.ceil(n / stride) - 1) * stride + size[axis - 1] - n, 0);
        return [Math.floor(total / 2), Math.ceil(total / 2)];
      });
      return tf.avgPool(tf.pad(image, [[0, 0], ...amounts, [0, 0]]), size, strides, "valid");
    },
  };

  function spoil(layer) {
    const fault = FAULTS[layer.name];
    if (!fault || layer.isSpoilt) return;
    layer.isSpoilt = true;
    const call = layer.call;
    layer.call = function (x, kwargs) {
      const plain = (inputs, more) => first(call.call(this, inputs, { ...kwargs, ...more }));
      return tf.tidy(() => kinds[fault.kind](plain, x, this, fault));
    };
  }

  const layer = Object.getPrototypeOf(tf.layers.dense({ units: 1 }).constructor.prototype);
  const apply = layer.apply;
  layer.apply = function (inputs, kwargs) {
    spoil(this);
    return apply.call(this, inputs, kwargs);
  };
})();
