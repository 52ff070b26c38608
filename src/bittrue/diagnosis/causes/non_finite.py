"""NaN and infinities born at a layer, by an intermediate result that is too large for its format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

import numpy as np

from bittrue.graph.evaluate import evaluate_layer
from bittrue.graph.expansion import OpNode, Ref
from bittrue.ops import Op, Softmax
from bittrue.traces import Array

from ..evidence import Evidence, Reproduction
from ..experiments import fits
from ..judging import outside
from ..result import Finding
from .reduced_precision import to_bits
from .registry import cause

__all__ = ["Overflow"]

Rounded = Callable[[Array], Array]


def _single(array: Array) -> Array:
    return to_bits(array, 24, 2.0**-126, float(np.finfo(np.float32).max))


def _half(array: Array) -> Array:
    return to_bits(array, 11, 2.0**-14, 65504.0)


@cause
class Overflow:
    """The layer step by step in a format of limited range must make the same values non-finite, and no others."""

    name: ClassVar[str] = "overflow"
    order: ClassVar[int] = 2

    def test(self, evidence: Evidence) -> Finding | None:
        if not any(error.non_finite for error in evidence.side.errors):
            return None
        for words, rounded, plain in (
            ("an intermediate result beyond float32", _single, False),
            ("exp(x) without the maximum taken off first, beyond float32", _single, True),
            ("an intermediate result beyond half precision (65504)", _half, False),
            ("exp(x) without the maximum taken off first, beyond half precision", _half, True),
        ):
            values = fits(partial(_computed, evidence, rounded, plain))
            found = None if values is None else _alike(evidence, values)
            if found is not None and found.proven:
                sentence = f"NaN or infinity is born in the {evidence.side.name} by {words}"
                return found.finding(self.name, sentence, _FIX)
        return None


_FIX = "keep the values in range: normalise before this layer, or scale its inputs down and its outputs up"


def _computed(evidence: Evidence, rounded: Rounded, plain: bool) -> tuple[Array, ...]:
    def leaf(ref: Ref, value: Array) -> Array:
        return rounded(value) if value.dtype.kind == "f" else value

    def step(node: OpNode, operands: Sequence[Array]) -> Array:
        if plain and isinstance(node.op, Softmax):
            return _naive(node.op, operands[0], rounded)
        result = node.op.evaluate(*operands)[0]
        return rounded(result) if result.dtype.kind == "f" else result

    return evaluate_layer(evidence.layer, evidence.side.inputs, evidence.node, leaf, step)


def _naive(op: Op, x: Array, rounded: Rounded) -> Array:
    assert isinstance(op, Softmax)
    e = rounded(np.exp(x))
    return rounded(e / rounded(e.sum(axis=op.axis, keepdims=True)))


def _alike(evidence: Evidence, values: Sequence[Array]) -> Reproduction:
    """How many values are non-finite in the same way, or finite and within the bound of the layer."""
    inside = without = of = 0
    for y, value, exact, error in zip(
        evidence.side.outputs, values, evidence.side.rounding, evidence.side.errors, strict=False
    ):
        strange = ~np.isfinite(y)
        same = (np.isnan(y) & np.isnan(value)) | (y == value)
        plain = ~strange & np.isfinite(value) & ~outside(y, exact.value, exact.bound)
        inside += int(np.count_nonzero(np.where(strange, same, plain)))
        without += y.size - error.outside
        of += y.size
    return Reproduction(0, of, inside, without)
