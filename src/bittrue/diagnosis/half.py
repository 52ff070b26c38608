"""What half-float textures would do to a model: phones whose graphics processor draws to no other keep tensors in them.

A half (IEEE 754 binary16) holds 11 significant bits, nothing beyond 65504, nothing below 2^-24 and fewer bits below
2^-14. TensorFlow.js rounds what it uploads and what every kernel returns; in between, shaders compute as they
do otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bittrue.errors import ModelError
from bittrue.graph.evaluate import layer_truth
from bittrue.graph.explicit_masks import with_masks
from bittrue.graph.model import Graph, LayerCall, LayerNode
from bittrue.graph.traversal import traverse
from bittrue.graph.truth import unseen_mask
from bittrue.ops.base import widened
from bittrue.traces import Array, Key, Provenance, Record, Trace

from .decisions import decisions

__all__ = ["LARGEST", "HalfRange", "Lost", "half_ranges", "half_sentences", "lost_prediction"]

LARGEST = 65504.0
_LEAST = 2.0**-24  # the least above zero
_NORMAL = 2.0**-14  # the least that has all 11 bits
_SHOWN = 6  # layers that a sentence names


@dataclass(frozen=True)
class HalfRange:
    """How many of the ``size`` values of one tensor leave the range of half-floats: in a trace, not in a simulation.

    ``overflowing`` are those above 65504 in magnitude, ``vanishing`` those above zero and below 2^-24, ``subnormal``
    those from there to 2^-14, which have fewer bits or none; ``largest`` is the largest finite magnitude.
    """

    key: Key
    size: int
    overflowing: int
    vanishing: int
    subnormal: int
    largest: float


@dataclass(frozen=True)
class Lost:
    """A decision of the model that another choice takes the place of, in ``rows`` of ``total`` rows.

    ``layer`` is the call with which it is lost: with it and everything before it in halves it is, with everything
    before it alone it is not.
    """

    kind: str
    rows: int
    total: int
    layer: str


def half_ranges(trace: Trace) -> tuple[HalfRange, ...]:
    """The inputs, weights and layer outputs of ``trace`` that have values out of the range, in its order."""
    found = (_range(record) for record in trace if record.key.kind in ("input", "weight", "output"))
    return tuple(one for one in found if one is not None and one.overflowing + one.vanishing + one.subnormal)


def _range(record: Record) -> HalfRange | None:
    if record.dtype.kind != "f" or not record.size:
        return None
    sizes = np.abs(record.load())
    finite = sizes[np.isfinite(sizes)]
    vanishing = np.count_nonzero((finite > 0) & (finite < _LEAST))
    return HalfRange(
        record.key,
        record.size,
        int(np.count_nonzero(finite > LARGEST)),
        int(vanishing),
        int(np.count_nonzero((finite > 0) & (finite < _NORMAL)) - vanishing),
        float(finite.max(initial=0.0)),
    )


def lost_prediction(reference: Trace, graph: Graph) -> Lost | None:
    """The first decision of the model's that halves change, or None if they change none.

    The model is evaluated in float64 on the inputs of ``reference``, with the inputs, the weights and the output of
    every call rounded to halves, and its decisions compared with those of ``reference``. Raises ModelError (or
    Unsupported) where it cannot be evaluated, KeyError for a trace without the inputs.
    """
    calls = len(graph.calls())
    found = _changed(reference, graph, calls)
    if found is None:
        return None
    low, high = -1, calls  # of so many calls rounded, `low` keep the decision and `high` lose it
    while high - low > 1:
        middle = (low + high) // 2
        changed = _changed(reference, graph, middle)
        low, high, found = (low, middle, changed) if changed is not None else (middle, high, found)
    kind, rows, total, names = found
    return Lost(kind, rows, total, names[high - 1] if high else "the inputs")


def _changed(reference: Trace, graph: Graph, rounded: int) -> tuple[str, int, int, list[str]] | None:
    """The first decision that changes with so many calls rounded: kind, rows, rows in all, and the calls' names."""
    evaluation = _Halves(rounded)
    inputs = [reference[Key("input", spec.name)].load().astype(spec.dtype) for spec in graph.inputs]
    feeds = [widened(_half(array)) for array in inputs]
    with np.errstate(all="ignore"):
        outputs = traverse(with_masks(graph), feeds, evaluation)
    keys = [Key("output", ref.layer, ref.call, ref.output) for ref in graph.outputs]
    provenance = Provenance("half", "bittrue", "float64", "1")
    arrays = dict(zip(keys, outputs, strict=True))
    for key, array in arrays.items():
        if key in reference.records and np.isfinite(reference[key].load()).all() and not np.isfinite(array).all():
            rows = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
            return "finite", int(rows.sum()), len(rows), evaluation.names
    trace = Trace.of(provenance, [Record.of(key, array) for key, array in arrays.items()])
    for one in decisions(reference, trace, graph):
        if one.changed:
            return one.kind, one.changed, one.rows, evaluation.names
    return None


class _Halves:
    """Evaluates one call after the other, the first ``rounded`` of them with weights and results in halves."""

    def __init__(self, rounded: int) -> None:
        self.names: list[str] = []
        self._rounded = rounded

    def visit(self, call: LayerCall, operands: Sequence[Array]) -> Sequence[Array]:
        reason = unseen_mask(call, False)
        if reason is not None:
            raise ModelError(f"layer {call.name!r}: {reason}")
        inside = len(self.names) < self._rounded
        self.names.append(call.name)
        layer = _halved(call.layer) if inside else call.layer
        results = layer_truth(layer, operands, call.nodes[-1])
        return [_half(array) for array in results] if inside else results

    def entered(self, call: LayerCall, operands: Sequence[Array], masks: Sequence[Array]) -> Sequence[Array]:
        if masks:
            raise ModelError(f"layer {call.name!r} is called with a mask, which is not followed here")
        return operands

    def missing(self, call: LayerCall, operands: Sequence[Array]) -> Array:
        raise ModelError(f"layer {call.name!r} did not deliver all of its outputs")

    def made(self, call: LayerCall, results: Sequence[Array]) -> None: ...


def _halved(layer: LayerNode) -> LayerNode:
    weights = tuple(replace(weight, value=_half(weight.value)) for weight in layer.weights)
    return replace(layer, weights=weights)


def _half(array: Array) -> Array:
    """Rounded to the nearest half, in the dtype that it has."""
    if array.dtype.kind != "f":
        return array
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(array.dtype)


def half_sentences(reference: Trace, graph: Graph) -> tuple[str, ...]:
    """What half-float textures would do to the model on these inputs, as sentences; one where they would do nothing."""
    ranges = half_ranges(reference)
    said = list(_of_ranges(ranges))
    try:
        lost = lost_prediction(reference, graph)
    except (ModelError, KeyError) as error:
        return (*said, f"In half precision: whether the prediction survives is not known, because {error}.")
    return (*said, f"In half precision: {_prediction(lost)}.")


def _prediction(lost: Lost | None) -> str:
    if lost is None:
        return "with inputs, weights and every layer's output rounded to halves, the prediction's decisions stay"
    what = "the outputs are no longer finite" if lost.kind == "finite" else f"the {lost.kind} changes"
    rows = f"in {lost.rows} of {lost.total} rows" if lost.total > 1 else "for this input"
    return f"the prediction is lost with {lost.layer}, rounded to halves like all before it: {what} {rows}"


def _of_ranges(ranges: Sequence[HalfRange]) -> Iterator[str]:
    counts: tuple[tuple[str, Callable[[HalfRange], int]], ...] = (
        ("overflow (|value| above 65504; TensorFlow.js reads NaN or infinity there)", lambda one: one.overflowing),
        ("have values that become zero (below 2^-24)", lambda one: one.vanishing),
        ("have values with fewer bits, which some devices take for zero (below 2^-14)", lambda one: one.subnormal),
    )
    for what, count in counts:
        found = [(_label(one), count(one), one) for one in ranges if count(one)]
        if found:
            named = ", ".join(f"{label} ({number:,} of {one.size:,})" for label, number, one in found[:_SHOWN])
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            yield f"In half precision these {what}: {named}{more}."


def _label(one: HalfRange) -> str:
    key = one.key
    call = f"#{key.call}" if key.call else ""
    index = f"[{key.index}]" if key.index and key.kind == "output" else ""
    return f"{key.layer}{call}{index}" if key.kind == "output" else f"{key.kind} {key.index} of {key.layer}"
