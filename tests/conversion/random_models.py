"""Random small models of the layers that Keras has: a hypothesis strategy that knows how many axes a tensor has.

A model grows from its inputs: at each step one tensor is taken, and a layer that can take it, now and then one that
was used before or a whole model, is put on it. A layer that Keras itself refuses there is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

__all__ = ["models"]

Draw = Callable[[st.SearchStrategy[Any]], Any]
Make = Callable[[Draw, Any], Any]

ACTIVATIONS = ("relu", "gelu", "tanh", "sigmoid", "elu", "selu", "softplus", "silu", "hard_sigmoid", "relu6", "softmax")
ACTIVATIONS += ("leaky_relu", "mish", "softsign", "hard_silu", "linear", "log_softmax", "exponential")
INPUTS = ((6,), (5, 4), (6, 5, 3), (4, 5, 4, 2))
_MERGES = ("Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract", "Concatenate")
STEPS = 6
LARGEST = 4000  # elements of one example


@st.composite
def models(draw: Draw) -> Any:
    """A live Functional model of one to three inputs and as many outputs as it has loose ends."""
    import keras

    keras.backend.clear_session()
    growth = _Growth(draw)
    for at in range(draw(st.integers(1, 3))):
        growth.begin(f"input_{at}")
    for _ in range(draw(st.integers(1, STEPS))):
        growth.step()
    return keras.Model(growth.entries, growth.loose() or [growth.tensors[-1]])


@dataclass
class _Growth:
    """A model in the making. ``used`` are the layers so far, which may be called again."""

    draw: Draw
    entries: list[Any] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)
    read: set[int] = field(default_factory=set)
    used: list[Any] = field(default_factory=list)

    def begin(self, name: str) -> None:
        import keras
        from keras import layers

        if self.draw(st.integers(0, 4)) == 0:
            entry = keras.Input((5,), dtype="int32", name=name)
            tensor = layers.Embedding(6, 4, mask_zero=self.draw(st.booleans()))(entry)
        else:
            tensor = entry = keras.Input(self.draw(st.sampled_from(INPUTS)), name=name)
        self.entries.append(entry)
        self.tensors.append(tensor)

    def step(self) -> None:
        kind = self.draw(st.integers(0, 9))
        x = self.draw(st.sampled_from(self.tensors))
        if kind == 0:
            self.put(lambda: self.merged(x), x)
        elif kind == 1 and self.used:
            again = self.draw(st.sampled_from(self.used))
            self.put(lambda: again(x), x)
        elif kind == 2:
            self.put(lambda: self.nested(x), x)
        elif kind == 3:
            make = self.draw(st.sampled_from(_OPERATIONS))
            self.put(lambda: make(self.draw, x), x)
        else:
            self.put(lambda: self.layered(x), x)

    def put(self, make: Callable[[], Any], x: Any) -> None:
        """The result of ``make`` among the tensors, if Keras agrees and it is no giant."""
        try:
            made = make()
        except (ValueError, TypeError, AttributeError, ZeroDivisionError):
            return
        for tensor in made if isinstance(made, list | tuple) else [made]:
            if _elements(tensor) <= LARGEST and len(tensor.shape) <= 5:
                self.tensors.append(tensor)
        self.read.add(id(x))

    def layered(self, x: Any) -> Any:
        layer = self.draw(st.sampled_from(_layers_for(x)))(self.draw, x)
        made = layer(x) if not isinstance(layer, tuple) else layer[0](*layer[1], **layer[2])
        if not isinstance(layer, tuple):
            self.used.append(layer)
        return made

    def merged(self, x: Any) -> Any:
        from keras import layers

        alike = [y for y in self.tensors if len(y.shape) == len(x.shape)]
        y = self.draw(st.sampled_from(alike))
        name = self.draw(
            st.sampled_from(("Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract", "Concatenate"))
        )
        self.read.add(id(y))
        return getattr(layers, name)()([x, y])

    def nested(self, x: Any) -> Any:
        """A model of its own around one or two layers, called once or twice."""
        import keras

        inside = _Growth(self.draw)
        entry = keras.Input(x.shape[1:])
        inside.tensors.append(entry)
        for _ in range(self.draw(st.integers(1, 2))):
            tensor = inside.tensors[-1]
            inside.put(lambda tensor=tensor: inside.layered(tensor), tensor)
        if len(inside.tensors) == 1:
            raise ValueError("nothing inside")
        model = keras.Model(entry, inside.tensors[-1])
        self.used.append(model)
        return model(x)

    def loose(self) -> list[Any]:
        """What nothing has been put on, inputs apart."""
        entries = {id(entry) for entry in self.entries}
        return [tensor for tensor in self.tensors if id(tensor) not in self.read | entries]


def _elements(tensor: Any) -> int:
    product = 1
    for size in tensor.shape[1:]:
        product *= size or 5
    return product


def _layers_for(x: Any) -> Sequence[Make]:
    return _ANY + {2: _VECTORS, 3: _SEQUENCES, 4: _IMAGES, 5: _VOLUMES}[len(x.shape)]


def _of(name: str, **options: st.SearchStrategy[Any]) -> Make:
    """Makes a layer of that name, its options drawn."""

    def make(draw: Draw, x: Any) -> Any:
        from keras import layers

        return getattr(layers, name)(**{key: draw(strategy) for key, strategy in options.items()})

    return make


def _wrapped(name: str, inner: Make, **options: st.SearchStrategy[Any]) -> Make:
    def make(draw: Draw, x: Any) -> Any:
        from keras import layers

        return getattr(layers, name)(inner(draw, x), **{key: draw(strategy) for key, strategy in options.items()})

    return make


def _heads(draw: Draw, x: Any) -> Any:
    from keras import layers

    bias = draw(st.booleans())
    layer = layers.MultiHeadAttention(draw(_SMALL), draw(_SMALL), use_bias=bias)
    return layer, (x, x), {"use_causal_mask": draw(st.booleans())}


def _attention(draw: Draw, x: Any) -> Any:
    from keras import layers

    kind = draw(st.sampled_from((layers.Attention, layers.AdditiveAttention)))
    return kind(use_scale=draw(st.booleans())), ([x, x],), {"use_causal_mask": draw(st.booleans())}


def _groups(draw: Draw, x: Any) -> Any:
    from keras import layers

    divisors = [n for n in range(1, x.shape[-1] + 1) if x.shape[-1] % n == 0]
    return layers.GroupNormalization(draw(st.sampled_from(divisors)))


def _reshape(draw: Draw, x: Any) -> Any:
    from keras import layers

    sizes = list(x.shape[1:])
    whole = _elements(x)
    last = draw(st.sampled_from([n for n in range(1, 9) if whole % n == 0]))
    return layers.Reshape(draw(st.sampled_from(([-1], [-1, last], [1, *sizes][:4], [last, -1, 1]))))


def _permute(draw: Draw, x: Any) -> Any:
    from keras import layers

    return layers.Permute(draw(st.permutations(range(1, len(x.shape)))))


def _convolution(name: str, **options: st.SearchStrategy[Any]) -> Make:
    common = {
        "kernel_size": st.integers(1, 3),
        "padding": _PADDING,
        "activation": _ACTIVATION,
        "use_bias": st.booleans(),
    }
    return _of(name, **common, **options)


_SMALL = st.integers(1, 3)
_UNITS = st.integers(1, 7)
_ACTIVATION = st.sampled_from(ACTIVATIONS)
_PADDING = st.sampled_from(("valid", "same"))
_STRIDES = st.integers(1, 2)
_DILATION = st.sampled_from((1, 1, 2))
_RUNNING = {
    "units": _SMALL,
    "return_sequences": st.booleans(),
    "go_backwards": st.booleans(),
    "use_bias": st.booleans(),
}
_FORWARDS = {"units": _SMALL, "return_sequences": st.booleans()}
_POOL = {"pool_size": st.integers(1, 3), "strides": st.sampled_from((None, 1, 2)), "padding": _PADDING}
_KEEP = {"keepdims": st.booleans()}
_EPSILON = st.sampled_from((1e-3, 1e-6))

_ANY: tuple[Make, ...] = (
    _of("Dense", units=_UNITS, activation=_ACTIVATION, use_bias=st.booleans()),
    _of("Activation", activation=_ACTIVATION),
    _of("BatchNormalization", epsilon=_EPSILON, center=st.booleans(), scale=st.booleans()),
    _of("LayerNormalization", epsilon=_EPSILON, center=st.booleans(), scale=st.booleans()),
    _of("RMSNormalization"),
    _of("UnitNormalization"),
    _of("LeakyReLU", negative_slope=st.sampled_from((0.1, 0.3))),
    _of("ReLU", max_value=st.sampled_from((None, 1.0)), threshold=st.sampled_from((0.0, 0.2))),
    _of("ELU", alpha=st.sampled_from((1.0, 0.5))),
    _of("PReLU"),
    _of("Softmax"),
    _of("Dropout", rate=st.just(0.3)),
    _of("GaussianNoise", stddev=st.just(0.3)),
    _of("Rescaling", scale=st.sampled_from((0.5, 1 / 255)), offset=st.sampled_from((0.0, -1.0))),
    _of("Flatten"),
    _of("Identity"),
    _reshape,
    _permute,
)
_VECTORS: tuple[Make, ...] = (
    _of("RepeatVector", n=_SMALL),
    _of("EinsumDense", equation=st.just("ab,bc->ac"), output_shape=_SMALL),
)
_SEQUENCES: tuple[Make, ...] = (
    _convolution("Conv1D", filters=_UNITS, strides=_STRIDES),
    _of("Conv1D", filters=_UNITS, kernel_size=_SMALL, padding=st.just("causal"), dilation_rate=_DILATION),
    _convolution("SeparableConv1D", filters=_UNITS, depth_multiplier=_STRIDES),
    _convolution("DepthwiseConv1D", depth_multiplier=_STRIDES, strides=_STRIDES),
    _convolution("Conv1DTranspose", filters=_UNITS, strides=_STRIDES),
    _of("MaxPooling1D", **_POOL),
    _of("AveragePooling1D", **_POOL),
    _of("GlobalMaxPooling1D", **_KEEP),
    _of("GlobalAveragePooling1D", **_KEEP),
    _of("LSTM", **_RUNNING, recurrent_activation=st.sampled_from(("sigmoid", "hard_sigmoid"))),
    _of("GRU", **_RUNNING, reset_after=st.booleans()),
    _of("SimpleRNN", **_RUNNING, activation=st.sampled_from(("tanh", "relu"))),
    _wrapped("Bidirectional", _of("LSTM", **_FORWARDS), merge_mode=st.sampled_from(("concat", "sum", "ave", "mul"))),
    _wrapped("Bidirectional", _of("GRU", **_FORWARDS)),
    _wrapped("TimeDistributed", _of("Dense", units=_SMALL, activation=_ACTIVATION)),
    _of("ZeroPadding1D", padding=st.sampled_from((1, (0, 2)))),
    _of("Cropping1D", cropping=st.sampled_from((1, (0, 1)))),
    _of("UpSampling1D", size=_SMALL),
    _of("SpatialDropout1D", rate=st.just(0.2)),
    _of("Masking"),
    _heads,
    _heads,
    _attention,
    _groups,
)
_IMAGES: tuple[Make, ...] = (
    _convolution("Conv2D", filters=_UNITS, strides=_STRIDES),
    _convolution("Conv2D", filters=_UNITS, dilation_rate=_DILATION),
    _convolution("DepthwiseConv2D", depth_multiplier=_STRIDES, strides=_STRIDES),
    _convolution("DepthwiseConv2D", dilation_rate=_DILATION),
    _convolution("SeparableConv2D", filters=_UNITS, strides=_STRIDES, depth_multiplier=_STRIDES),
    _convolution("Conv2DTranspose", filters=_UNITS, strides=_STRIDES),
    _of("MaxPooling2D", **_POOL),
    _of("AveragePooling2D", **_POOL),
    _of("GlobalMaxPooling2D", **_KEEP),
    _of("GlobalAveragePooling2D", **_KEEP),
    _of("ZeroPadding2D", padding=st.sampled_from((1, ((0, 1), (2, 0))))),
    _of("Cropping2D", cropping=st.sampled_from((1, ((0, 1), (1, 0))))),
    _of("UpSampling2D", size=_STRIDES, interpolation=st.sampled_from(("nearest", "bilinear"))),
    _of("SpatialDropout2D", rate=st.just(0.2)),
    _wrapped("TimeDistributed", _convolution("Conv1D", filters=_SMALL)),
    _wrapped("TimeDistributed", _of("LSTM", **_FORWARDS)),
    _groups,
)
_VOLUMES: tuple[Make, ...] = (
    _convolution("Conv3D", filters=_UNITS, strides=_STRIDES),
    _of("MaxPooling3D", **_POOL),
    _of("AveragePooling3D", **_POOL),
    _of("GlobalMaxPooling3D", **_KEEP),
    _of("GlobalAveragePooling3D", **_KEEP),
    _of("ZeroPadding3D", padding=st.just(1)),
    _of("Cropping3D", cropping=st.just(1)),
    _of("UpSampling3D", size=st.just(2)),
    _groups,
)


def _operation(name: str) -> Make:
    def make(draw: Draw, x: Any) -> Any:
        import keras

        return getattr(keras.ops, name)(x)

    return make


_OPERATIONS: tuple[Make, ...] = (
    *(_operation(name) for name in ("abs", "square", "tanh", "negative", "sigmoid")),
    lambda draw, x: x * draw(st.sampled_from((0.5, -2.0))) + 1.0,
    lambda draw, x: x[:, draw(st.integers(0, x.shape[1] - 1))] if len(x.shape) > 2 else x[:, :-1],
    lambda draw, x: x[:, ::-1],
    lambda draw, x: _keras_ops().mean(x, axis=draw(st.integers(1, len(x.shape) - 1)), keepdims=draw(st.booleans())),
    lambda draw, x: _keras_ops().max(x, axis=-1, keepdims=True),
    lambda draw, x: _keras_ops().expand_dims(x, draw(st.integers(1, len(x.shape)))),
    lambda draw, x: _keras_ops().concatenate([x, x], axis=draw(st.integers(1, len(x.shape) - 1))),
)


def _keras_ops() -> Any:
    import keras

    return keras.ops
