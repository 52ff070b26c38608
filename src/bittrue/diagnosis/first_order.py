"""To first order, how far rounding may move a decision's margin m: Σ |∂m/∂v| · bound over all values v of all layers.

The error e that an operation makes in a value v changes the margin by ∂m/∂v · e and by terms of second order in all
errors, which are left out: S. Linnainmaa, *Taylor expansion of the accumulated rounding error* (BIT 16, 1976), which is
reverse-mode differentiation. With |e| at most the operation's own rigorous bound, the sum bounds what is left. It is no
proof. Values are those of the operations that layers consist of: an output's error is what they add up to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from bittrue.errors import BittrueError, ModelError
from bittrue.graph.examples import Cut, cut_of
from bittrue.graph.model import Graph
from bittrue.graph.tape import Pulled, Tape
from bittrue.ops import Axioms, TensorSpec
from bittrue.traces import Array, Key, Trace

from .axioms import arithmetic_of, in_dtype
from .margins import Margin, nearest_margins, rows_of
from .result import FirstOrder, LayerShare, NearRow
from .wiring import Wired, load, wire

__all__ = ["FirstOrders", "first_order"]

FirstOrders = Mapping[tuple[Key, str], FirstOrder]
"""By the output and the decision's kind."""

_MOST_DECISIONS = 8
"""Decisions that are followed back at once, each with its own gradients; a model may have any number of outputs."""

_MOST_ROWS = 8
"""Rows of a decision that are followed back."""

_FAR = 16.0
"""Times its bound that the least margin has to be, so that no other row is looked at: their bounds are much alike."""

_SHOWN = 3
"""Layers named that add most."""


def first_order(reference: Trace, candidates: Mapping[str, Trace], graph: Graph) -> dict[str, FirstOrders]:
    """For each target, the first-order bound of each decision in the row where the reference's margin is least.

    Where that margin is not far beyond its bound, the next rows are followed back as well. Layers are evaluated in
    float64 on the inputs that the reference's records hold, the last first; one is held at a time, beside the gradients
    of what it reads, and where examples do not meet only the one that the row is of. Whatever stands in the way is the
    obstacle of the decisions that hang on it. Raises ModelError for a graph that is not connected.
    """
    decided = nearest_margins(reference, graph, _MOST_ROWS)[:_MOST_DECISIONS] if candidates else ()
    traces = {_REFERENCE: reference, **candidates}
    least = _followed([margins[0] for margins in decided], traces, graph)
    close = [margins[1:] for margins in decided if any(_is_close(least.found(margins[0], each)) for each in candidates)]
    further = [margin for margins in close for margin in margins]
    rest = _followed(further, traces, graph)

    def found(margins: Sequence[Margin], target: str) -> FirstOrder:
        near = (rest.near(margin, target) for margin in margins[1:] if margin in further)
        return replace(least.found(margins[0], target), nearest=(least.near(margins[0], target), *near))

    return {target: {(m[0].key, m[0].kind.name): found(m, target) for m in decided} for target in candidates}


def _followed(margins: Sequence[Margin], traces: Mapping[str, Trace], graph: Graph) -> _Adjoint:
    """One reverse pass for all of ``margins``."""
    adjoint = _Adjoint(traces, margins)
    for wired in reversed(wire(graph)) if margins else ():
        adjoint.visit(wired)
    adjoint.finish({spec.ref.layer for spec in graph.inputs})
    return adjoint


def _is_close(found: FirstOrder) -> bool:
    return found.bound is not None and found.margin <= _FAR * found.bound


_REFERENCE = ""  # no target has an empty name


@dataclass(frozen=True)
class _Gradient:
    """With respect to a tensor: to all of it, or to the examples from ``first`` on, all others having none."""

    array: Array
    first: int | None = None

    def among(self, span: _Span | None, shape: tuple[int, ...]) -> Array:
        """With respect to the examples of ``span`` (None: all), those of this gradient among them; of ``shape``."""
        if self.first is None:
            return self.array
        found = np.zeros(shape)
        start = self.first - (span[0] if span is not None else 0)
        if found[start : start + len(self.array)].shape != self.array.shape:
            raise ModelError(_OTHER_SHAPE)
        found[start : start + len(self.array)] = self.array
        return found

    def __add__(self, other: _Gradient) -> _Gradient:
        if self.first is None and other.first is None:
            return _Gradient(self.array + other.array)
        whole = next((one.array.shape for one in (self, other) if one.first is None), None)
        span = _span([self, other])
        shape = whole if span is None or whole is not None else (span[1] - span[0], *self.array.shape[1:])
        assert shape is not None
        return _Gradient(self.among(span, shape) + other.among(span, shape), None if span is None else span[0])


_Span = tuple[int, int]
"""The first example and the one after the last."""

_OTHER_SHAPE = "the reference's record has another shape than its inputs give"


def _span(gradients: Iterable[_Gradient]) -> _Span | None:
    """The examples of all of ``gradients``, None where one of them is with respect to all."""
    known = [(one.first, one.first + len(one.array)) if one.first is not None else None for one in gradients]
    spans = [span for span in known if span is not None]
    if len(spans) < len(known):
        return None
    return min(first for first, _ in spans), max(stop for _, stop in spans)


class _Adjoint:
    """Gradients on their way from the outputs to the inputs, and what every layer added to the sums."""

    def __init__(self, traces: Mapping[str, Trace], margins: Sequence[Margin]) -> None:
        self._traces = traces
        self._came: dict[tuple[str, int], dict[tuple[int, Margin], _Gradient]] = defaultdict(dict)
        self._obstacles: dict[Margin, str] = {}
        self._sums: dict[Margin, dict[Key, dict[str, float]]] = {margin: {} for margin in margins}
        for margin in margins:
            example, gradient = margin.gradient(traces[_REFERENCE][margin.key].shape)
            self._add(margin.key, margin, _Gradient(gradient, example))

    def visit(self, wired: Wired) -> None:
        """Pass on what has come to the outputs of a call."""
        came = self._came.pop((wired.key.layer, wired.key.call), {})
        came = {place: gradient for place, gradient in came.items() if place[1] not in self._obstacles}
        if wired.passes:
            for (at, margin), gradient in came.items():
                self._add(wired.passes[at].keys[0], margin, gradient)
        elif came:
            self._through(wired, came)

    def _through(self, wired: Wired, came: Mapping[tuple[int, Margin], _Gradient]) -> None:
        waiting = dict.fromkeys(margin for _, margin in came)
        try:
            inputs = self._inputs(wired)
            places, axioms = self._axioms(wired)
            cut = self._cut(wired, inputs)
            held: tuple[_Span | None, Tape] | None = None
            for margin in waiting:
                mine = {at: found for (at, one), found in came.items() if one == margin}
                span = _span(mine.values()) if cut is not None else None
                if held is None or held[0] != span:
                    given = inputs if cut is None or span is None else cut.of(inputs, slice(*span))
                    held = span, Tape(wired.call.layer, given, axioms, wired.call.nodes[-1])
                pulled = held[1].pullback(_fitting(held[1].outputs, mine, span))
                marks = cut.inputs if cut is not None and span is not None else (False,) * len(inputs)
                firsts = [span[0] if mark and span is not None else None for mark in marks]
                self._take(wired, margin, places, pulled, firsts)
        except BittrueError as error:
            self._stop(waiting, wired, str(error))

    def _take(
        self,
        wired: Wired,
        margin: Margin,
        axioms: Mapping[str, int],
        pulled: Pulled,
        firsts: Sequence[int | None],
    ) -> None:
        if not all(map(isfinite, pulled.moved)):
            self._stop([margin], wired, "nothing is promised of its values")
            return
        self._sums[margin][wired.key] = {side: pulled.moved[at] for side, at in axioms.items()}
        for source, gradient, first in zip(wired.operands, pulled.inputs, firsts, strict=True):
            if gradient is not None:
                self._add(source.keys[0], margin, _Gradient(gradient, first))

    def _inputs(self, wired: Wired) -> tuple[Array, ...]:
        """What the reference made the call on."""
        if wired.obstacle is not None:
            raise ModelError(wired.obstacle)
        try:
            return tuple(load(source, self._traces[_REFERENCE]) for source in wired.operands)
        except KeyError as missing:
            raise ModelError(f"the reference has no record of {missing.args[0]}, which it was made from") from None

    def _cut(self, wired: Wired, inputs: Sequence[Array]) -> Cut | None:
        """How the call is cut into examples, None where it is not."""
        record = self._traces[_REFERENCE].records.get(wired.key)
        if record is None or not record.shape:
            return None
        return cut_of(wired.call.layer, tuple(map(TensorSpec.of, inputs)), wired.call.nodes[-1], record.shape[0])

    def _axioms(self, wired: Wired) -> tuple[Mapping[str, int], Sequence[Axioms]]:
        """The axioms of all sides, each once, and for every side which are its own."""
        known: list[Axioms] = []
        places = {}
        for side, trace in self._traces.items():
            record = trace.records.get(wired.key) or self._traces[_REFERENCE].records.get(wired.key)
            arithmetic = arithmetic_of(trace.provenance)
            axioms = (in_dtype(arithmetic, record.dtype) if record is not None else arithmetic).axioms
            if axioms not in known:
                known.append(axioms)
            places[side] = known.index(axioms)
        return places, known

    def _add(self, key: Key, margin: Margin, gradient: _Gradient) -> None:
        came, place = self._came[key.layer, key.call], (key.index, margin)
        came[place] = came[place] + gradient if place in came else gradient

    def finish(self, inputs: Collection[str]) -> None:
        """All calls have been visited: gradients may be left at ``inputs``, the model's input layers, alone."""
        for (layer, _), came in self._came.items():
            for _, margin in came if layer not in inputs else ():
                self._obstacles.setdefault(margin, f"nothing is known of how {layer!r} was made")

    def _stop(self, margins: Iterable[Margin], wired: Wired, because: str) -> None:
        where = f"the reverse pass ends at the layer {wired.call.name!r} ({wired.call.layer.class_name})"
        for margin in margins:
            self._obstacles.setdefault(margin, f"{where}: {because}")

    def near(self, margin: Margin, target: str) -> NearRow:
        """The margin's row with its bound."""
        found = self.found(margin, target)
        return NearRow(found.row, found.margin, found.bound)

    def found(self, margin: Margin, target: str) -> FirstOrder:
        """The bound for ``target`` and the reference."""
        rows = rows_of(self._traces[_REFERENCE][margin.key])
        assert rows is not None  # or it would have no margin
        least = margin.of(rows)
        other = self._traces[target].records.get(margin.key)
        theirs = rows_of(other) if other is not None else None
        change = None if theirs is None or theirs.shape != rows.shape else abs(margin.of(theirs) - least)
        if margin in self._obstacles:
            return FirstOrder(margin.row, least, change, obstacle=self._obstacles[margin])
        sums = self._sums[margin]
        ours, others = (sum(found[side] for found in sums.values()) for side in (_REFERENCE, target))
        added = {key: found[_REFERENCE] + found[target] for key, found in sums.items()}
        most = sorted(added, key=lambda key: -added[key])[:_SHOWN] if ours + others > 0 else []
        shares = tuple(LayerShare(key, added[key] / (ours + others)) for key in most if added[key] > 0)
        return FirstOrder(margin.row, least, change, ours, others, shares)


def _fitting(outputs: Sequence[Array], came: Mapping[int, _Gradient], span: _Span | None) -> list[Array | None]:
    """The gradients of ``outputs``, which are those of the examples of ``span``, in their order."""
    if any(at >= len(outputs) for at in came):
        raise ModelError(_OTHER_SHAPE)
    found = {at: gradient.among(span, outputs[at].shape) for at, gradient in came.items()}
    if any(outputs[at].shape != gradient.shape for at, gradient in found.items()):
        raise ModelError(_OTHER_SHAPE)
    return [found.get(at) for at in range(len(outputs))]
