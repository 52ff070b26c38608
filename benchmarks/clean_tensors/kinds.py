"""Kinds of layers, each computed in clean float32 by a formula of its own: `KINDS`, by name.

A kind draws a layer and a batch, and computes the layer on the batch. Rows of a batch know nothing of each other, so
that a batch is many tensors of a few rows each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bittrue.graph.model import Call, LayerNode, TensorRef, Weight

from .arithmetic import FUNCTIONS, added, product
from .values import INPUTS, KERNELS

__all__ = ["KINDS", "Computed", "Drawing"]

Array = NDArray[Any]
F = np.float32
DENSE = ("linear", "relu", "tanh", "sigmoid", "elu", "softplus", "gelu", "selu", "silu", "relu6", "leaky_relu")


@dataclass(frozen=True)
class Computed:
    """A layer, what it was given, and what float32 made of it."""

    node: LayerNode
    inputs: list[Array]
    output: Array


@dataclass(frozen=True)
class Drawing:
    """Where a kind draws from: ``batch`` rows; sums in ``order``; ``inputs`` and ``kernel`` name what values are."""

    draw: np.random.Generator
    batch: int
    order: str
    inputs: str
    kernel: str

    def whole(self, low: int, high: int) -> int:
        """A number from ``low`` to ``high``; small ones are more likely."""
        return round(float(low * (high / low) ** self.draw.random()))

    def chance(self) -> bool:
        """Heads or tails."""
        return bool(self.draw.random() < 0.5)

    def x(self, *shape: int) -> Array:
        """An input (batch, …)."""
        return np.ascontiguousarray(INPUTS[self.inputs](self.draw, (self.batch, *shape)), F)

    def weight(self, *shape: int) -> Array:
        """A kernel; all axes but the last are summed over."""
        return np.ascontiguousarray(KERNELS[self.kernel](self.draw, shape), F)

    def vector(self, *shape: int) -> Array:
        """A bias, or another weight of no structure."""
        return np.asarray(self.draw.normal(size=shape), F)

    def function(self, name: str, x: Array) -> Array:
        """The activation ``name`` in one of its forms."""
        forms = FUNCTIONS[name]
        return forms[int(self.draw.integers(len(forms)))](x)

    def times(self, a: Array, b: Array, start: Array | None = None) -> Array:
        """The matrix product over the last axis of ``a``, in the order drawn."""
        found = product(a.reshape(-1, a.shape[-1]), b, self.order, self.draw, start)
        return found.reshape(*a.shape[:-1], b.shape[-1])

    def total(self, terms: Array, axes: int = 1) -> Array:
        """The sum over the last ``axes`` axes, in the order drawn."""
        return added(terms.reshape(*terms.shape[: terms.ndim - axes], -1), self.order, self.draw)


def _node(class_name: str, weights: dict[str, Array], inputs: int = 1, /, **config: Any) -> LayerNode:
    refs = [TensorRef(f"x{at}") for at in range(inputs)]
    call = Call((refs[0] if inputs == 1 else refs,))
    named = tuple(Weight(name.rstrip("_"), value) for name, value in weights.items())
    return LayerNode("layer", class_name, "keras.layers", {"name": "layer", **config}, named, (call,))


def dense(d: Drawing) -> Computed:
    """One sum of products, and an activation."""
    return _dense(d, d.whole(1, 96), d.whole(1, 16))


def deep_sums(d: Drawing) -> Computed:
    """Sums of up to 4096 products."""
    return _dense(d, d.whole(256, 4096), d.whole(1, 6))


def _dense(d: Drawing, terms: int, units: int) -> Computed:
    x, kernel, name = d.x(terms), d.weight(terms, units), str(d.draw.choice(DENSE))
    weights, bias = {"kernel": kernel}, d.vector(units) if d.chance() else None
    if bias is not None:
        weights["bias"] = bias
    y = d.function(name, d.times(x, kernel, bias))
    return Computed(_node("Dense", weights, activation=name, use_bias=bias is not None), [x], y)


def _patches(x: Array, size: tuple[int, ...], strides: int) -> Array:
    """(batch, places …, channels, size …)."""
    axes = tuple(range(1, 1 + len(size)))
    found = np.lib.stride_tricks.sliding_window_view(x, size, axis=axes)
    return np.asarray(found[(slice(None), *(slice(None, None, strides) for _ in size))])


def convolution(d: Drawing) -> Computed:
    """Conv1D or Conv2D, valid, with strides."""
    spatial = int(d.draw.integers(1, 3))
    size = tuple(int(n) for n in d.draw.integers(1, 4, spatial))
    sides, channels, filters = [d.whole(3, 8) for _ in size], d.whole(1, 8), d.whole(1, 6)
    strides = int(d.draw.integers(1, 3))
    x, kernel, bias = d.x(*sides, channels), d.weight(*size, channels, filters), d.vector(filters)
    patches = np.moveaxis(_patches(x, size, strides), 1 + spatial, -1)
    columns = np.ascontiguousarray(patches).reshape(*patches.shape[: 1 + spatial], -1)
    y = np.maximum(d.times(columns, kernel.reshape(-1, filters), bias), F(0))
    node = _node(
        f"Conv{spatial}D",
        {"kernel": kernel, "bias": bias},
        strides=[strides] * spatial,
        padding="valid",
        activation="relu",
    )
    return Computed(node, [x], y)


def depthwise(d: Drawing) -> Computed:
    """DepthwiseConv2D, or the same with a product of its channels behind it."""
    channels, side = d.whole(1, 8), d.whole(3, 8)
    x, kernel, bias = d.x(side, side, channels), d.weight(3, 3, channels, 1), d.vector(channels)
    terms = _patches(x, (3, 3), 1) * np.moveaxis(kernel[..., 0], -1, 0)
    y = d.total(terms, 2)
    if d.chance():
        node = _node("DepthwiseConv2D", {"kernel": kernel, "bias": bias}, padding="valid")
        return Computed(node, [x], y + bias)
    last, filters = d.weight(1, 1, channels, 5), d.vector(5)
    weights = {"depthwise_kernel": kernel, "pointwise_kernel": last, "bias": filters}
    return Computed(_node("SeparableConv2D", weights, padding="valid"), [x], d.times(y, last[0, 0], filters))


def pooling(d: Drawing) -> Computed:
    """Means over windows, or over all places."""
    x = d.x(d.whole(3, 9), d.whole(3, 9), d.whole(1, 8))
    if d.chance():
        y = d.total(np.moveaxis(x, -1, 1), 2)
        return Computed(_node("GlobalAveragePooling2D", {}), [x], _mean(d, y, x.shape[1] * x.shape[2]))
    size = int(d.draw.integers(2, 4))
    total = d.total(_patches(x, (size, size), size), 2)
    return Computed(_node("AveragePooling2D", {}, pool_size=size), [x], _mean(d, total, size * size))


def _mean(d: Drawing, total: Array, count: int) -> Array:
    return total / F(count) if d.chance() else total * F(1 / count)


def batch_normalization(d: Drawing) -> Computed:
    """By learnt statistics: subtracted first, or folded into one product and one sum."""
    channels = d.whole(1, 12)
    x = d.x(d.whole(1, 8), channels)
    gamma, beta, mean = (d.vector(channels) for _ in range(3))
    variance = np.asarray(10.0 ** d.draw.uniform(-3, 2, channels), F)
    scale = gamma / np.sqrt(variance + F(1e-3)) if d.chance() else gamma * (F(1) / np.sqrt(variance + F(1e-3)))
    y = (x - mean) * scale + beta if d.chance() else x * scale + (beta - mean * scale)
    weights = {"gamma": gamma, "beta": beta, "moving_mean": mean, "moving_variance": variance}
    return Computed(_node("BatchNormalization", weights, epsilon=1e-3), [x], y)


def layer_normalization(d: Drawing) -> Computed:
    """By the statistics of each row: LayerNormalization, RMSNormalization, UnitNormalization, GroupNormalization."""
    name = str(d.draw.choice(["LayerNormalization", "RMSNormalization", "UnitNormalization", "GroupNormalization"]))
    groups, places = (int(d.draw.integers(1, 4)), d.whole(1, 6)) if name.startswith("Group") else (1, 1)
    width = groups * d.whole(2, 48)
    x = d.x(places, width)
    gamma, beta = d.vector(width), d.vector(width)
    if name == "UnitNormalization":
        norm = d.total(x * x)[..., None]
        y = x * np.minimum(F(1) / np.sqrt(norm), F(1e12)) if d.chance() else x / np.maximum(np.sqrt(norm), F(1e-12))
        return Computed(_node(name, {}), [x], y)
    if name == "RMSNormalization":
        inverse = F(1) / np.sqrt(_mean(d, d.total(x * x), width) + F(1e-6))
        return Computed(_node(name, {"scale": gamma}, epsilon=1e-6), [x], x * inverse[..., None] * gamma)
    split = x.reshape(len(x), places, groups, -1) if groups * places > 1 else x[:, :, None, :]
    rows = split.swapaxes(1, 2)
    count = rows.shape[2] * rows.shape[3]
    mean = _mean(d, d.total(rows, 2), count)[:, None, :, None]
    spread = split - mean
    inverse = F(1) / np.sqrt(_mean(d, d.total((spread * spread).swapaxes(1, 2), 2), count) + F(1e-3))
    scale, shift = gamma.reshape(groups, -1), beta.reshape(groups, -1)
    factor = inverse[:, None, :, None] * scale
    y = spread * factor + shift if d.chance() else split * factor + (shift - mean * factor)
    config = {"groups": groups} if name.startswith("Group") else {}
    return Computed(_node(name, {"gamma": gamma, "beta": beta}, epsilon=1e-3, **config), [x], y.reshape(x.shape))


def activation(d: Drawing) -> Computed:
    """One elementwise function, or softmax."""
    name, x = str(d.draw.choice(sorted(FUNCTIONS))), d.x(d.whole(1, 6), d.whole(1, 24))
    return Computed(_node("Activation", {}, activation=name), [x], d.function(name, x))


def softmax_of_product(d: Drawing) -> Computed:
    """A classifier's last layer."""
    terms, units = d.whole(2, 96), d.whole(2, 40)
    x, kernel, bias = d.x(terms), d.weight(terms, units), d.vector(units)
    y = d.function("softmax", d.times(x, kernel, bias))
    return Computed(_node("Dense", {"kernel": kernel, "bias": bias}, activation="softmax"), [x], y)


def merging(d: Drawing) -> Computed:
    """Sums, products and means of several tensors; products over an axis of two."""
    name = str(d.draw.choice(["Add", "Subtract", "Multiply", "Average", "Dot"]))
    count = 2 if name in ("Subtract", "Dot") else int(d.draw.integers(2, 5))
    shape = d.whole(1, 24), d.whole(1, 12)
    xs = [d.x(*shape) for _ in range(count)]
    if name == "Dot":
        terms = xs[0][:, :, None, :] * xs[1][:, None, :, :]
        return Computed(_node(name, {}, count, axes=2), xs, d.total(terms))
    y = xs[0]
    for x in xs[1:]:
        y = {"Subtract": np.subtract, "Multiply": np.multiply}.get(name, np.add)(y, x)
    y = _mean(d, y, count) if name == "Average" else y
    return Computed(_node(name, {}, count), xs, y)


def scaling(d: Drawing) -> Computed:
    """Rescaling, and Normalization with statistics in its configuration."""
    x = d.x(d.whole(1, 8), d.whole(1, 8))
    if d.chance():
        scale, offset = float(d.draw.normal()), float(d.draw.normal())
        return Computed(_node("Rescaling", {}, scale=scale, offset=offset), [x], x * F(scale) + F(offset))
    mean, variance = d.vector(x.shape[-1]).tolist(), np.abs(d.vector(x.shape[-1])).tolist()
    y = (x - np.asarray(mean, F)) / np.maximum(np.sqrt(np.asarray(variance, F)), F(1e-7))
    return Computed(_node("Normalization", {}, axis=-1, mean=mean, variance=variance), [x], y)


def recurrent(d: Drawing) -> Computed:
    """LSTM, GRU (which resets before or after its product) or SimpleRNN, over a few steps."""
    name = str(d.draw.choice(["LSTM", "GRU", "SimpleRNN"]))
    gates = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}[name]
    steps, width, units, after = d.whole(1, 6), d.whole(1, 12), d.whole(1, 8), d.chance()
    x, kernel, inner = d.x(steps, width), d.weight(width, gates * units), d.weight(units, gates * units)
    bias = d.vector(*((2,) if name == "GRU" and after else ()), gates * units)
    h, c, made = np.zeros((d.batch, units), F), np.zeros((d.batch, units), F), []
    for at in range(steps):
        of_x = d.times(x[:, at], kernel, bias[0] if bias.ndim > 1 else bias)
        if name == "GRU":
            h = _gru(d, of_x, h, inner, bias[1] if bias.ndim > 1 else None)
        elif name == "LSTM":
            i, f, g, o = np.split(of_x + d.times(h, inner), 4, axis=-1)
            c = d.function("sigmoid", f) * c + d.function("sigmoid", i) * d.function("tanh", g)
            h = d.function("sigmoid", o) * d.function("tanh", c)
        else:
            h = d.function("tanh", of_x + d.times(h, inner))
        made.append(h)
    config = {"units": units, "return_sequences": True} | ({"reset_after": after} if name == "GRU" else {})
    weights = {"kernel": kernel, "recurrent_kernel": inner, "bias": bias}
    return Computed(_node(name, weights, **config), [x], np.stack(made, axis=1))


def _gru(d: Drawing, of_x: Array, h: Array, inner: Array, after: Array | None) -> Array:
    units = h.shape[-1]
    of_h = d.times(h, inner[:, : 2 * units] if after is None else inner, after)
    z = d.function("sigmoid", of_x[:, :units] + of_h[:, :units])
    r = d.function("sigmoid", of_x[:, units : 2 * units] + of_h[:, units : 2 * units])
    reset = d.times(r * h, inner[:, 2 * units :]) if after is None else r * of_h[:, 2 * units :]
    return z * h + (F(1) - z) * d.function("tanh", of_x[:, 2 * units :] + reset)


def attention(d: Drawing) -> Computed:
    """Attention by products, or of several heads with their projections."""
    places, width = d.whole(1, 6), 2 * d.whole(1, 8)
    if d.chance():
        query, value = d.x(places, width), d.x(places, width)
        weights = d.function("softmax", d.total(query[:, :, None, :] * value[:, None, :, :]))
        y = d.total(weights[:, :, None, :] * value.swapaxes(1, 2)[:, None])
        return Computed(_node("Attention", {}, 2), [query, value], y)
    return _heads(d, places, width, 2, d.whole(1, 6))


def _heads(d: Drawing, places: int, width: int, heads: int, size: int) -> Computed:
    x = d.x(places, width)
    kernels = [d.weight(width, heads * size) for _ in range(3)]
    biases = [d.vector(heads * size) for _ in range(3)]
    last, shift = d.weight(heads * size, width), d.vector(width)
    shape = (d.batch, places, heads, size)
    q, k, v = (d.times(x, *pair).reshape(shape).swapaxes(1, 2) for pair in zip(kernels, biases, strict=True))
    logits = d.total(q[:, :, :, None, :] * k[:, :, None, :, :]) * F(size**-0.5)
    mixed = d.total(d.function("softmax", logits)[:, :, :, None, :] * v.swapaxes(2, 3)[:, :, None])
    y = d.times(np.ascontiguousarray(mixed.swapaxes(1, 2)).reshape(d.batch, places, -1), last, shift)
    made = [Weight("kernel", kernel.reshape(width, heads, size)) for kernel in kernels] + [
        Weight("kernel", last.reshape(heads, size, width))
    ]
    added_up = [Weight("bias", bias.reshape(heads, size)) for bias in biases] + [Weight("bias", shift)]
    weights = tuple(item for pair in zip(made, added_up, strict=True) for item in pair)
    config = {"name": "layer", "num_heads": heads, "key_dim": size}
    call = Call((TensorRef("x"), TensorRef("x")))
    return Computed(LayerNode("layer", "MultiHeadAttention", "keras.layers", config, weights, (call,)), [x, x], y)


KINDS: Mapping[str, tuple[int, Callable[[Drawing], Computed]]] = MappingProxyType(
    {
        "dense": (20, dense),
        "deep sums": (2, deep_sums),
        "softmax of a product": (8, softmax_of_product),
        "convolution": (12, convolution),
        "depthwise convolution": (6, depthwise),
        "pooling": (8, pooling),
        "batch normalization": (6, batch_normalization),
        "other normalizations": (8, layer_normalization),
        "activation": (10, activation),
        "merging": (8, merging),
        "scaling": (4, scaling),
        "recurrent": (4, recurrent),
        "attention": (4, attention),
    }
)
"""By name: how many of a hundred tensors are of the kind, and how they are drawn and computed."""
