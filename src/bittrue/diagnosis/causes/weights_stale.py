"""Weights of another layer, or of another place in the same layer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import ClassVar

import numpy as np

from bittrue.graph.model import LayerNode
from bittrue.traces import Array

from ..evidence import Evidence, Reproduction
from ..experiments import attempt, first_proven, same_bits, with_weights
from ..result import Finding
from ..weight_alterations import FIX
from .registry import cause

__all__ = ["WeightsStale"]

_MOST = 24  # other layers of the same shapes that are tried where nobody saw the runtime's weights


@cause
class WeightsStale:
    """The layer with weights that the model has elsewhere must give what came out."""

    name: ClassVar[str] = "weights-of-another"
    order: ClassVar[int] = 5

    def test(self, evidence: Evidence) -> Finding | None:
        seen = self._seen(evidence)
        found = seen if seen is not None else first_proven(evidence, _swapped(evidence, self._differs(evidence)))
        if found is None or not found[1].proven:
            return None
        words, reproduction = found
        return reproduction.finding(self.name, f"the {evidence.side.name} computed with {words}", FIX)

    def _differs(self, evidence: Evidence) -> bool:
        pairs = zip(evidence.layer.weights, evidence.side.weights, strict=False)
        return any(not same_bits(weight.value, value) for weight, value in pairs)

    def _seen(self, evidence: Evidence) -> tuple[str, Reproduction] | None:
        """Where the runtime's own weights were seen to differ: whose they are, to the bit."""
        layer, held = evidence.layer, evidence.side.weights
        if len(held) != len(layer.weights):
            return None
        words = []
        for weight, value in zip(layer.weights, held, strict=True):
            if same_bits(weight.value, value):
                continue
            owner = _owner(evidence, weight.name, value)
            if owner is None:
                return None
            words.append(f"{owner} in the place of {weight.name!r}")
        if not words:
            return None
        found = attempt(evidence, with_weights(layer, held))
        return None if found is None else (" and ".join(words), found)


def _owner(evidence: Evidence, name: str, value: Array) -> str | None:
    constant = value.size > 1 and not np.any(value != value.reshape(-1)[:1])
    for path, layer in evidence.graph.walk():
        own = "/".join(path) == evidence.call.name
        if constant and not own:
            continue  # constants belong to everybody
        for weight in layer.weights:
            if same_bits(weight.value, value) and not (own and weight.name == name):
                return f"{weight.name!r}" + ("" if own else f" of {'/'.join(path)!r}")
    return None


def _swapped(evidence: Evidence, differs: bool) -> Iterator[tuple[str, LayerNode, None]]:
    """Two weights of the layer for one another, and all of another layer's, where nobody saw what is held."""
    if differs:
        return
    layer = evidence.layer
    for i, one in enumerate(layer.weights):
        for j, other in enumerate(layer.weights[:i]):
            if one.value.shape == other.value.shape and not same_bits(one.value, other.value):
                values: list[Array | None] = [None] * len(layer.weights)
                values[i], values[j] = other.value, one.value
                yield f"{other.name!r} and {one.name!r} in each other's place", with_weights(layer, values), None
    yield from islice(_whole(evidence), _MOST)


def _whole(evidence: Evidence) -> Iterator[tuple[str, LayerNode, None]]:
    layer = evidence.layer
    shapes = [weight.value.shape for weight in layer.weights]
    for path, other in evidence.graph.walk():
        alike = shapes and other is not layer and [weight.value.shape for weight in other.weights] == shapes
        if alike and "/".join(path) != evidence.call.name:
            held = [weight.value for weight in other.weights]
            yield f"the weights of {'/'.join(path)!r}", with_weights(layer, held), None
