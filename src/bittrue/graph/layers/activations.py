"""Keras 3's activations by name, and the layers that are one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

from ..formula import Formula, Value
from ..options import Options
from .registry import expands

__all__ = ["ACTIVATIONS", "activated"]

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def relu(x: Value, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Value:
    """x above ``threshold``, at most ``max_value``; below it negative_slope · (x - threshold)."""
    y = (x > threshold).where(x, 0.0) if threshold else x.function("relu")
    if max_value is not None:
        y = y.clipped(0.0, max_value) if threshold else y.minimum(max_value)
    if negative_slope:
        y = y - (-x + threshold if threshold else -x).function("relu") * negative_slope
    return y


def leaky_relu(x: Value, negative_slope: float = 0.2) -> Value:
    """x, or negative_slope · x where x is not positive."""
    return (x > 0.0).where(x, x * negative_slope)


def elu(x: Value, alpha: float = 1.0) -> Value:
    """x, or alpha · (exp(x) - 1) where x is not positive."""
    negative = x.minimum(0.0).function("expm1")
    return (x > 0.0).where(x, negative if alpha == 1.0 else negative * alpha)


def selu(x: Value) -> Value:
    """Scaled exponential linear unit, with the constants of Klambauer et al. 2017."""
    return (x > 0.0).where(x * _SELU_SCALE, x.minimum(0.0).function("expm1") * (_SELU_SCALE * _SELU_ALPHA))


def celu(x: Value, alpha: float = 1.0) -> Value:
    """max(x, 0) + alpha · (exp(min(x, 0) / alpha) - 1)."""
    return x.function("relu") + (x.minimum(0.0) / alpha).function("expm1") * alpha


def gelu(x: Value, approximate: bool = False) -> Value:
    """x · Φ(x), or its approximation by tanh."""
    if approximate:
        cube = x * x * x
        return x * ((((cube * 0.044715) + x) * math.sqrt(2 / math.pi)).function("tanh") + 1.0) * 0.5
    return x * ((x * (1 / math.sqrt(2))).function("erf") + 1.0) * 0.5


def hard_sigmoid(x: Value) -> Value:
    """relu6(x + 3) / 6."""
    return (x + 3.0).clipped(0.0, 6.0) / 6.0


def softplus(x: Value) -> Value:
    """log(exp(x) + 1)."""
    return x.function("softplus")


def softsign(x: Value) -> Value:
    """x / (abs(x) + 1)."""
    return x / (x.function("abs") + 1.0)


def softmax(x: Value, axis: int = -1) -> Value:
    """Softmax along ``axis``."""
    return x.softmax(axis)


def log_softmax(x: Value, axis: int = -1) -> Value:
    """x - max - log Σ exp(x - max) along ``axis``."""
    shifted = x - x.reduced("max", [axis])
    return shifted - shifted.function("exp").reduced("sum", [axis]).function("log")


def glu(x: Value, axis: int = -1) -> Value:
    """The first half of ``axis`` times the sigmoid of the second."""
    last, keep = x.moved(axis, -1), x.rank - 1
    halves = last.reshaped((2, -1), keep=keep)
    a, b = (halves.sliced(-2, at, at + 1).reshaped((-1,), keep=keep) for at in (0, 1))
    return (a * b.function("sigmoid")).moved(-1, axis)


def hard_shrink(x: Value, threshold: float = 0.5) -> Value:
    """x where abs(x) is above ``threshold``, else 0."""
    return (x.function("abs") > threshold).where(x, 0.0)


def soft_shrink(x: Value, threshold: float = 0.5) -> Value:
    """x moved towards 0 by ``threshold``, not past it."""
    return (x > threshold).where(x - threshold, (x < -threshold).where(x + threshold, 0.0))


def sparse_plus(x: Value) -> Value:
    """0 up to -1, (x + 1)² / 4 up to 1, then x."""
    return (x <= -1.0).where(0.0, (x < 1.0).where((x + 1.0).function("square") * 0.25, x))


def sparse_sigmoid(x: Value) -> Value:
    """0 up to -1, (x + 1) / 2 up to 1, then 1."""
    return (x <= -1.0).where(0.0, (x >= 1.0).where(1.0, (x + 1.0) * 0.5))


def squareplus(x: Value, b: float = 4.0) -> Value:
    """(x + √(x² + b)) / 2."""
    return (x + (x.function("square") + b).function("sqrt")) / 2.0


def threshold(x: Value, threshold: float, default_value: float) -> Value:
    """x where it is above ``threshold``, else ``default_value``."""
    return (x > threshold).where(x, default_value)


ACTIVATIONS: Mapping[str, Callable[[Value], Value]] = {
    "celu": celu,
    "elu": elu,
    "exponential": lambda x: x.function("exp"),
    "gelu": gelu,
    "glu": glu,
    "hard_shrink": hard_shrink,
    "hard_sigmoid": hard_sigmoid,
    "hard_silu": lambda x: x * hard_sigmoid(x),
    "hard_swish": lambda x: x * hard_sigmoid(x),
    "hard_tanh": lambda x: x.clipped(-1.0, 1.0),
    "leaky_relu": leaky_relu,
    "linear": lambda x: x,
    "log_sigmoid": lambda x: -softplus(-x),
    "log_softmax": log_softmax,
    "mish": lambda x: x * softplus(x).function("tanh"),
    "relu": relu,
    "relu6": lambda x: x.clipped(0.0, 6.0),
    "selu": selu,
    "sigmoid": lambda x: x.function("sigmoid"),
    "silu": lambda x: x * x.function("sigmoid"),
    "soft_shrink": soft_shrink,
    "softmax": softmax,
    "softplus": softplus,
    "softsign": softsign,
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid,
    "squareplus": squareplus,
    "swish": lambda x: x * x.function("sigmoid"),
    "tanh": lambda x: x.function("tanh"),
    "tanh_shrink": lambda x: x - x.function("tanh"),
}
"""What an activation given by name computes, with Keras 3's defaults.

``sparsemax`` is missing on purpose: on TensorFlow, Keras 3.15 computes something else than its documentation says
(all zeros for most inputs), so there is no one meaning to be faithful to.
"""


def activated(formula: Formula, x: Value, key: str = "activation", default: str | None = None) -> Value:
    """``x`` through the activation in option ``key``: a name, a serialised function, or a serialised layer."""
    return applied(formula, formula.options.raw(key, default), x, key)


def applied(formula: Formula, activation: Any, x: Value, key: str = "activation") -> Value:
    """``x`` through ``activation`` as Keras serialises it. Raises Unsupported for one that is not known.

    An experiment may put a formula of its own in the place of a name.
    """
    if activation is None:
        return x
    if callable(activation):
        return cast(Value, activation(x))
    if isinstance(activation, Mapping):
        return _from_mapping(formula, activation, x, key)
    if activation not in ACTIVATIONS:
        raise formula.options.refused(key, "is an activation that Bittrue does not know")
    return ACTIVATIONS[activation](x)


def _from_mapping(formula: Formula, activation: Mapping[str, Any], x: Value, key: str) -> Value:
    name, config = activation.get("class_name"), activation.get("config")
    if name == "function" and config in ACTIVATIONS and not activation.get("registered_name", "").count(">"):
        return ACTIVATIONS[str(config)](x)
    apply = _LAYER_ACTIVATIONS.get(str(name))
    if apply is None or str(activation.get("module", "keras")).partition(".")[0] != "keras":
        raise formula.options.refused(key, "is an activation that Bittrue does not know")
    options = Options(formula.layer.name, f"{formula.layer.class_name}, {key} {name}", config or {})
    result = apply(options, x)
    options.finish()
    return result


def _relu_layer(options: Options, x: Value) -> Value:
    slope, floor = options.number("negative_slope", 0.0), options.number("threshold", 0.0)
    ceiling = options.raw("max_value", None)
    return relu(x, slope, None if ceiling is None else options.number("max_value", 0.0), floor)


def _softmax_layer(options: Options, x: Value) -> Value:
    axes = options.wholes("axis", -1)
    if len(axes) == 1:
        return x.softmax(axes[0])
    e = (x - x.reduced("max", axes)).function("exp")
    return e / e.reduced("sum", axes)


_LAYER_ACTIVATIONS: Mapping[str, Callable[[Options, Value], Value]] = {
    "ELU": lambda options, x: elu(x, options.number("alpha", 1.0)),
    "LeakyReLU": lambda options, x: leaky_relu(x, options.number("negative_slope", 0.3)),
    "ReLU": _relu_layer,
    "Softmax": _softmax_layer,
}


@expands(*_LAYER_ACTIVATIONS)
def activation_layer(formula: Formula) -> Value:
    """ELU, LeakyReLU, ReLU and Softmax, which leaves out what a mask leaves out."""
    name, x = formula.layer.class_name, formula.x
    mask = formula.mask() if name == "Softmax" else None
    if mask is None:
        return _LAYER_ACTIVATIONS[name](formula.options, x)
    kept = mask if formula.spec(mask.ref).dtype.kind == "b" else mask > 0.5
    return kept.where(_softmax_layer(formula.options, kept.where(x, -1e9)), 0.0)


@expands("Activation")
def activation(formula: Formula) -> Value:
    """An activation by name."""
    return activated(formula, formula.x)


@expands("PReLU")
def prelu(formula: Formula) -> Value:
    """max(x, 0) - alpha · max(-x, 0), alpha learnt for each element but those along ``shared_axes``."""
    formula.options.inert("shared_axes")
    x = formula.x
    return x.function("relu") - formula.weight("alpha") * (-x).function("relu")
