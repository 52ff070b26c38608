"""Numbers below the smallest normal one, taken for zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from bittrue.graph.model import LayerNode
from bittrue.traces import Array

from ..evidence import Evidence
from ..experiments import first_proven, with_weights
from ..result import Finding, Verdict
from .registry import cause

__all__ = ["SubnormalsFlushed"]

_SMALLEST = (("subnormals", 2.0**-126), ("numbers below the smallest half-precision one", 2.0**-24))


@cause
class SubnormalsFlushed:
    """The layer on inputs and weights whose smallest numbers are zero must give what came out."""

    name: ClassVar[str] = "subnormals-flushed"
    order: ClassVar[int] = 0

    def test(self, evidence: Evidence) -> Finding | None:
        found = first_proven(evidence, _flushed(evidence))
        if found is None:
            return None
        words, reproduction = found
        fix = "scale the values up: a factor into the layer before, its inverse into this one"
        sentence = f"the {evidence.side.name} took {words} for zero"
        return reproduction.finding(self.name, sentence, fix, Verdict.PRECISION)


def _flushed(evidence: Evidence) -> Iterator[tuple[str, LayerNode, Sequence[Array]]]:
    layer, given = evidence.layer, evidence.side.inputs
    for words, smallest in _SMALLEST:
        inputs = [_without_small(x, smallest) for x in given]
        held = [_without_small(weight.value, smallest) for weight in layer.weights]
        if any(not np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(inputs, given, strict=True)):
            yield f"{words} among its inputs", layer, inputs
        if any(np.any(a != weight.value) for a, weight in zip(held, layer.weights, strict=True)):
            yield f"{words} among its weights", with_weights(layer, held), given


def _without_small(array: Array, smallest: float) -> Array:
    if array.dtype.kind != "f":
        return array
    return np.where(np.abs(array) < smallest, np.zeros((), array.dtype), array)
