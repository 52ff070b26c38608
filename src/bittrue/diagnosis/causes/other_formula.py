"""A function under the same name that means something else elsewhere: Keras 2, PyTorch, older papers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from bittrue.graph.formula import Value
from bittrue.graph.layers.activations import elu, gelu, leaky_relu, relu
from bittrue.graph.model import LayerNode
from bittrue.ops import Normalize, Op, Pool, Resize
from bittrue.traces import Array

from ..evidence import Evidence
from ..experiments import first_proven, fits
from ..option_alternatives import with_option
from ..result import Finding
from .registry import cause

__all__ = ["OtherFormula", "OtherKernel"]

Form = Callable[[Value], Value]


def _tanh_gelu(x: Value) -> Value:
    return gelu(x, approximate=True)


def _quick_gelu(x: Value) -> Value:
    return x * (x * 1.702).function("sigmoid")


def _old_hard_sigmoid(x: Value) -> Value:
    return (x * 0.2 + 0.5).clipped(0.0, 1.0)


_FORMS: Mapping[str, tuple[tuple[str, Form], ...]] = {
    "hard_sigmoid": (("Keras 2's, clip(0.2x + 0.5, 0, 1)", _old_hard_sigmoid),),
    "hard_silu": (("x · clip(0.2x + 0.5, 0, 1)", lambda x: x * _old_hard_sigmoid(x)),),
    "hard_swish": (("x · clip(0.2x + 0.5, 0, 1)", lambda x: x * _old_hard_sigmoid(x)),),
    "gelu": (("the approximation by tanh", _tanh_gelu), ("x · sigmoid(1.702x)", _quick_gelu)),
    "leaky_relu": tuple(
        (f"a slope of {slope} instead of 0.2", partial(leaky_relu, negative_slope=slope)) for slope in (0.3, 0.01, 0.1)
    ),
    "elu": tuple((f"alpha={a}", partial(elu, alpha=a)) for a in (0.5, 0.1, 2.0)),
    "sigmoid": (("Keras 2's hard_sigmoid, clip(0.2x + 0.5, 0, 1)", _old_hard_sigmoid),),
    "relu6": (("no ceiling", lambda x: relu(x)),),
    "softsign": (("tanh", lambda x: x.function("tanh")),),
    "softplus": (("no logarithm: exp(x)", lambda x: x.function("exp")),),
}


@cause
class OtherFormula:
    """The layer with another form of its activation must give what came out."""

    name: ClassVar[str] = "other-formula"
    order: ClassVar[int] = 11

    def test(self, evidence: Evidence) -> Finding | None:
        found = first_proven(evidence, ((words, layer, None) for words, layer in _reformed(evidence.layer)))
        if found is None:
            return None
        words, reproduction = found
        sentence = f"the {evidence.side.name} computed {words}"
        fix = "convert again with 'bittrue convert', which writes the function out as Keras 3 means it"
        return reproduction.finding(self.name, sentence, fix)


def _reformed(layer: LayerNode) -> Iterator[tuple[str, LayerNode]]:
    for path, name in _activations(layer.config):
        for words, form in _FORMS.get(name, ()):
            yield f"{name} as {words}", with_option(layer, path, form)


def _activations(config: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in config.items():
        if key.endswith("activation") and isinstance(value, str):
            yield (*above, key), value
        elif isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
            yield from _activations(value["config"], (*above, key, "config"))


@dataclass(frozen=True)
class _EpsilonOutside(Normalize):
    """(x - mean) / (√variance + epsilon) · scale + shift."""

    def _evaluate(self, *arrays: Array) -> Array:
        x, mean, variance, scale, shift = arrays
        return np.asarray((x - mean) * (scale / (np.sqrt(variance) + self.epsilon)) + shift)

    def _inverse(self, variance: Array, error: Array) -> tuple[Array, Array]:
        total = np.sqrt(variance) + self.epsilon
        lowest = np.sqrt(np.maximum(variance - error, 0)) + self.epsilon
        return 1 / total, np.where(error > 0, 1 / lowest - 1 / total, 0.0) + 2.0**-50 / total


@dataclass(frozen=True)
class _PaddingCounted(Pool):
    """Means over whole windows, padding counted as zeros."""

    def _evaluate(self, *arrays: Array) -> Array:
        return np.asarray(self._fold(arrays[0], 0.0) / np.prod(self.size))


@dataclass(frozen=True)
class _ResizedFrom(Resize):
    """A resize by another convention of where pixels lie: by their "centres", their "corners" or "aligned"."""

    convention: str = "corners"

    def _evaluate(self, *arrays: Array) -> Array:
        (y,) = arrays
        if self.convention == "centres":
            return super()._evaluate(y)
        for axis, (size, wanted) in enumerate(self._axes(y), 1):
            factor = size / wanted if self.convention == "corners" else (size - 1) / max(wanted - 1, 1)
            place = np.arange(wanted) * factor
            if self.kind == "nearest":
                chosen = np.floor(place) if self.convention == "corners" else np.rint(place)
                y = np.take(y, np.minimum(chosen.astype(np.int64), size - 1), axis=axis)
                continue
            low = np.minimum(np.floor(place).astype(np.int64), size - 1)
            weight = (place - low).reshape(-1, *(1,) * (y.ndim - axis - 1))
            above = np.take(y, np.minimum(low + 1, size - 1), axis=axis)
            y = np.take(y, low, axis=axis) * (1 - weight) + above * weight
        return y

    def _bound(self, axioms: Any, exact: Array, operands: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        """As that of a resize: 2·(4·gamma(1)·(place + 1) + gamma(4)) of the largest value around, here of any."""
        size = max(operands[0].shape[1:-1], default=1)
        largest = np.max(np.abs(operands[0]), initial=0.0) + np.max(errors[0], initial=0.0)
        each = 2 * (4 * axioms.gamma(1) * (size + 1) + axioms.gamma(4)) * largest + 4 * axioms.smallest_normal
        return np.full(exact.shape, len(self._axes(operands[0])) * each + np.max(errors[0], initial=0.0))


_RESIZES: Mapping[str, tuple[str, str]] = {
    "a nearest resize": ("nearest", "centres"),
    "a bilinear resize": ("linear", "centres"),
    "a bilinear resize from the top left corners of pixels (halfPixelCenters=false)": ("linear", "corners"),
    "a bilinear resize with aligned corners (alignCorners=true)": ("linear", "aligned"),
    "a nearest resize from the top left corners of pixels (halfPixelCenters=false)": ("nearest", "corners"),
    "a nearest resize with aligned corners (alignCorners=true)": ("nearest", "aligned"),
}


def _other(op: Op, kind: str) -> Op:
    if kind == "epsilon" and type(op) is Normalize:
        return _EpsilonOutside(op.epsilon)
    if kind == "padding" and type(op) is Pool and op.kind == "average":
        return _PaddingCounted(op.kind, op.size, op.strides, op.padding)
    if type(op) is Resize and kind in _RESIZES:
        filtering, convention = _RESIZES[kind]
        return _ResizedFrom(filtering, op.size, op.factors, convention)
    return op


_KERNELS = (
    ("epsilon", "epsilon added to the deviation instead of the variance"),
    ("padding", "padding counted in the means of a pooling"),
    *((words, words) for words in _RESIZES),
)


@cause
class OtherKernel:
    """The layer with another definition of one of its operations must give what came out."""

    name: ClassVar[str] = "other-definition"
    order: ClassVar[int] = 13

    def test(self, evidence: Evidence) -> Finding | None:
        for kind, words in _KERNELS:
            for tried in _interpolated(evidence):
                if not _concerned(tried, kind):
                    continue
                found = fits(partial(tried.try_ops, partial(_other, kind=kind)))
                if found is not None and found.proven:
                    sentence = f"the {evidence.side.name} computed with {words}"
                    return found.finding(self.name, sentence, _FIX)
        return None


def _interpolated(evidence: Evidence) -> Iterator[Evidence]:
    """The call as it is, and with the other interpolation, where the layer has one: not every kind is a resize."""
    yield evidence
    if evidence.layer.config.get("interpolation") == "nearest":
        layer = with_option(evidence.layer, ("interpolation",), "bilinear")
        yield replace(evidence, call=replace(evidence.call, layer=layer))


_FIX = "convert again with 'bittrue convert', which writes the operation as Keras 3 means it"


def _concerned(evidence: Evidence, kind: str) -> bool:
    from bittrue.graph.layers import expand
    from bittrue.ops import TensorSpec

    ops = list(expand(evidence.layer, tuple(map(TensorSpec.of, evidence.side.inputs)), evidence.node).ops())
    return any(_other(op, kind) is not op for op in ops)
