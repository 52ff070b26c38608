"""Re-computing a call as a cause would have it, and dropping what cannot be it before the bound is worked out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from bittrue.errors import BittrueError
from bittrue.floats import bits
from bittrue.graph.evaluate import layer_truth
from bittrue.graph.model import LayerNode, Weight
from bittrue.traces import Array

from .evidence import Evidence, Reproduction
from .judging import widest

__all__ = ["attempt", "first_proven", "fits", "same_bits", "with_weights"]

_Result = TypeVar("_Result")


def fits(experiment: Callable[[], _Result]) -> _Result | None:
    """What ``experiment`` gives; None where it does not fit the layer: refused, or of other shapes."""
    try:
        with np.errstate(all="ignore"):
            return experiment()
    except (BittrueError, ValueError, IndexError, KeyError, TypeError):
        return None


def attempt(
    evidence: Evidence, layer: LayerNode | None = None, inputs: Sequence[Array] | None = None
) -> Reproduction | None:
    """`Evidence.try_layer`, or None where it does not fit or comes no nearer than the layer as it should be."""
    given = evidence.side.inputs if inputs is None else tuple(inputs)

    def experiment() -> Reproduction | None:
        values = layer_truth(layer or evidence.layer, given, evidence.node)
        return evidence.try_layer(layer, given) if _nearer(evidence, values) else None

    return fits(experiment)


def first_proven(
    evidence: Evidence, alternatives: Iterable[tuple[str, LayerNode, Sequence[Array] | None]]
) -> tuple[str, Reproduction] | None:
    """The first of ``alternatives`` (words, the layer, its inputs or None for its own) that is proven, if any."""
    for words, layer, inputs in alternatives:
        found = attempt(evidence, layer, inputs)
        if found is not None and found.proven:
            return words, found
    return None


def with_weights(layer: LayerNode, values: Sequence[Array | None]) -> LayerNode:
    """``layer`` with ``values`` in the place of its weights; None leaves one as it is."""
    pairs = zip(layer.weights, values, strict=True)
    return replace(layer, weights=tuple(w if value is None else Weight(w.name, value) for w, value in pairs))


def same_bits(one: Array, other: Array) -> bool:
    """Whether two tensors have one dtype, one shape and the same bits."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.dtype.kind not in "fiub":
        return one.tobytes() == other.tobytes()
    return bool(np.array_equal(bits(one), bits(other)))


def _nearer(evidence: Evidence, values: Sequence[Array]) -> bool:
    """Whether, at its worst, what came out lies no farther from ``values`` than from the layer as it should be."""
    side = evidence.side
    for y, value in zip(side.outputs, values, strict=False):
        if y.shape != value.shape:
            return False
    return all(now <= before for now, before in _distances(evidence, values))


def _distances(evidence: Evidence, values: Sequence[Array]) -> Iterator[tuple[float, float]]:
    side = evidence.side
    for y, value, error in zip(side.outputs, values, side.errors, strict=False):
        found = widest(y)
        distance = np.abs(found - value)
        if error.non_finite or not np.isfinite(found).all():
            strange = ~np.isfinite(found)
            yield float(np.count_nonzero(strange != ~np.isfinite(value))), float(error.non_finite)
            continue
        yield float(np.max(distance, initial=0.0)), error.max_abs
