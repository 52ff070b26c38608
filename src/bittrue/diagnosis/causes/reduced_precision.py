"""Tensors held in fewer bits than float32: half-float textures, TF32, bfloat16 policies, quantised weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np

from bittrue.graph.evaluate import layer_bound
from bittrue.graph.layers import expand
from bittrue.ops import TensorSpec
from bittrue.traces import Array

from ..axioms import in_format
from ..evidence import Evidence, Reproduction
from ..judging import outside, widest
from ..result import Finding, Verdict
from .registry import cause

__all__ = ["ReducedPrecision", "to_bits"]


def to_bits(array: Array, bits: int, smallest: float, largest: float) -> Array:
    """``array`` to ``bits`` significant bits, nearest even; below ``smallest`` fewer, past ``largest`` infinite."""
    wide = array.astype(np.float64)
    _, exponent = np.frexp(wide)
    step = np.ldexp(1.0, np.maximum(exponent, np.frexp(smallest)[1]) - bits)
    with np.errstate(all="ignore"):
        rounded = np.where(np.isfinite(wide), np.rint(wide / step) * step, wide)
        return np.where(np.abs(rounded) > largest, np.sign(rounded) * np.inf, rounded)


_FORMATS: tuple[tuple[str, str, Callable[[Array], Array]], ...] = (
    ("half precision", "float16", lambda array: to_bits(array, 11, 2.0**-14, 65504.0)),
    ("bfloat16", "bfloat16", lambda array: to_bits(array, 8, 2.0**-126, 3.4e38)),
    ("TF32", "", lambda array: to_bits(array, 11, 2.0**-126, 3.4e38)),
)


@cause
class ReducedPrecision:
    """The layer on rounded inputs or weights must give what came out; or what came out is rounded itself."""

    name: ClassVar[str] = "reduced-precision"
    order: ClassVar[int] = 1

    def test(self, evidence: Evidence) -> Finding | None:
        if all(output.dtype.kind in "iub" for output in evidence.side.outputs):
            return None
        for words, found in _experiments(evidence):
            if found.proven:
                sentence = f"the {evidence.side.name} computed with {words}"
                return found.finding(self.name, sentence, _FIX, verdict=Verdict.PRECISION)
        return None


_FIX = "run where float32 is kept: a device with float32 textures, TF32 off, a float32 policy, weights not quantised"


def _experiments(evidence: Evidence) -> Iterator[tuple[str, Reproduction]]:
    layer, inputs = evidence.layer, evidence.side.inputs
    for words, dtype, rounded in _FORMATS:
        coarse = tuple(_floats(rounded, array) for array in inputs)
        weights = tuple(replace(weight, value=_floats(rounded, weight.value)) for weight in layer.weights)
        yield f"inputs in {words}", evidence.try_layer(inputs=coarse)
        if weights:
            yield f"weights in {words}", evidence.try_layer(replace(layer, weights=weights))
            yield f"inputs and weights in {words}", evidence.try_layer(replace(layer, weights=weights), coarse)
        if dtype:
            yield f"tensors in {words}", _held(evidence, dtype, rounded)


def _floats(rounded: Callable[[Array], Array], array: Array) -> Array:
    return array if array.dtype.kind in "iub" else rounded(array)


def _held(evidence: Evidence, dtype: str, rounded: Callable[[Array], Array]) -> Reproduction:
    """Every value that came out fits the narrow format, and lies within the bound of an arithmetic in it."""
    side = evidence.side
    fits = [np.array_equal(widest(y), rounded(y), equal_nan=True) for y in side.outputs]
    size = sum(y.size for y in side.outputs)
    without = size - sum(error.outside for error in side.errors)
    if not all(fits) or not _close(evidence, dtype):
        return Reproduction(0, size, 0, without)
    inside = max(_inside(evidence, dtype, rounded, both) for both in (False, True))
    return Reproduction(0, size, inside, without)


def _inside(evidence: Evidence, dtype: str, rounded: Callable[[Array], Array], operands: bool) -> int:
    """How many values lie in the bound of an arithmetic in the format, whose ``operands`` were put into it before."""
    side, layer = evidence.side, evidence.layer
    inputs = [_floats(rounded, array) if operands else array for array in side.inputs]
    if operands:
        layer = replace(layer, weights=tuple(replace(w, value=_floats(rounded, w.value)) for w in layer.weights))
    found = layer_bound(layer, inputs, in_format(side.arithmetic, dtype).axioms, evidence.node)
    return sum(
        int(y.size - np.count_nonzero(outside(y, *exact))) for y, exact in zip(side.outputs, found, strict=False)
    )


def _close(evidence: Evidence, dtype: str) -> bool:
    """Whether the error is what a few roundings of whole tensors make; the format's own bound allows more."""
    side = evidence.side
    specs = tuple(map(TensorSpec.of, side.inputs))
    roundings = 2 + len(expand(evidence.layer, specs, evidence.node).nodes)
    unit = in_format(side.arithmetic, dtype).axioms.unit_roundoff
    return all(
        error.rms <= roundings * unit * float(np.sqrt(np.mean(np.square(widest(found.value)))))
        for error, found in zip(side.errors, side.rounding, strict=False)
        if found.value.size
    )
