"""To first order, how far rounding may move a decision's margin m: Σ |∂m/∂v| · bound over all values v of all layers.

The error e that an operation makes in a value v changes the margin by ∂m/∂v · e and by terms of second order in all
errors, which are left out: S. Linnainmaa, *Taylor expansion of the accumulated rounding error* (BIT 16, 1976), which is
reverse-mode differentiation. With |e| at most the operation's own rigorous bound, the sum bounds what is left. It is no
proof. Values are those of the operations that layers consist of: an output's error is what they add up to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import isfinite

from bittrue.errors import BittrueError, ModelError
from bittrue.graph.model import Graph
from bittrue.graph.tape import Pulled, Tape
from bittrue.ops import Axioms
from bittrue.traces import Array, Key, Trace

from .axioms import arithmetic_of, in_dtype
from .margins import Margin, least_margins, rows_of
from .result import FirstOrder, LayerShare
from .wiring import Wired, load, wire

__all__ = ["FirstOrders", "first_order"]

FirstOrders = Mapping[tuple[Key, str], FirstOrder]
"""By the output and the decision's kind."""

_MOST_DECISIONS = 8
"""Decisions that are followed back at once, each with its own gradients; a model may have any number of outputs."""

_SHOWN = 3
"""Layers named that add most."""


def first_order(reference: Trace, candidates: Mapping[str, Trace], graph: Graph) -> dict[str, FirstOrders]:
    """For each target, the first-order bound of each decision in the row where the reference's margin is least.

    Layers are evaluated in float64 on the inputs that the reference's records hold, the last first; one is held at a
    time, beside the gradients of what it reads. Whatever stands in the way is the obstacle of the decisions that hang
    on it. Raises ModelError for a graph that is not connected.
    """
    margins = least_margins(reference, graph)[:_MOST_DECISIONS] if candidates else ()
    adjoint = _Adjoint({_REFERENCE: reference, **candidates}, margins)
    for wired in reversed(wire(graph)):
        adjoint.visit(wired)
    adjoint.finish({spec.ref.layer for spec in graph.inputs})
    return {target: {(m.key, m.kind.name): adjoint.found(m, target) for m in margins} for target in candidates}


_REFERENCE = ""  # no target has an empty name


class _Adjoint:
    """Gradients on their way from the outputs to the inputs, and what every layer added to the sums."""

    def __init__(self, traces: Mapping[str, Trace], margins: Sequence[Margin]) -> None:
        self._traces = traces
        self._came: dict[tuple[str, int], dict[tuple[int, Margin], Array]] = defaultdict(dict)
        self._obstacles: dict[Margin, str] = {}
        self._sums: dict[Margin, dict[Key, dict[str, float]]] = {margin: {} for margin in margins}
        for margin in margins:
            self._add(margin.key, margin, margin.gradient(traces[_REFERENCE][margin.key].shape))

    def visit(self, wired: Wired) -> None:
        """Pass on what has come to the outputs of a call."""
        came = self._came.pop((wired.key.layer, wired.key.call), {})
        came = {place: gradient for place, gradient in came.items() if place[1] not in self._obstacles}
        if wired.passes:
            for (at, margin), gradient in came.items():
                self._add(wired.passes[at].keys[0], margin, gradient)
        elif came:
            self._through(wired, came)

    def _through(self, wired: Wired, came: Mapping[tuple[int, Margin], Array]) -> None:
        waiting = dict.fromkeys(margin for _, margin in came)
        try:
            axioms, tape = self._tape(wired)
            for margin in waiting:
                gradients = _fitting(tape.outputs, {at: found for (at, one), found in came.items() if one == margin})
                self._take(wired, margin, axioms, tape.pullback(gradients))
        except BittrueError as error:
            self._stop(waiting, wired, str(error))

    def _take(self, wired: Wired, margin: Margin, axioms: Mapping[str, int], pulled: Pulled) -> None:
        if not all(map(isfinite, pulled.moved)):
            self._stop([margin], wired, "nothing is promised of its values")
            return
        self._sums[margin][wired.key] = {side: pulled.moved[at] for side, at in axioms.items()}
        for source, gradient in zip(wired.operands, pulled.inputs, strict=True):
            if gradient is not None:
                self._add(source.keys[0], margin, gradient)

    def _tape(self, wired: Wired) -> tuple[Mapping[str, int], Tape]:
        """The call as the reference made it, and for each side which of the tape's axioms are its own."""
        if wired.obstacle is not None:
            raise ModelError(wired.obstacle)
        reference = self._traces[_REFERENCE]
        try:
            inputs = [load(source, reference) for source in wired.operands]
        except KeyError as missing:
            raise ModelError(f"the reference has no record of {missing.args[0]}, which it was made from") from None
        known: list[Axioms] = []
        places = {}
        for side, trace in self._traces.items():
            record = trace.records.get(wired.key) or reference.records.get(wired.key)
            arithmetic = arithmetic_of(trace.provenance)
            axioms = (in_dtype(arithmetic, record.dtype) if record is not None else arithmetic).axioms
            if axioms not in known:
                known.append(axioms)
            places[side] = known.index(axioms)
        return places, Tape(wired.call.layer, inputs, known, wired.call.nodes[-1])

    def _add(self, key: Key, margin: Margin, gradient: Array) -> None:
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


def _fitting(outputs: Sequence[Array], came: Mapping[int, Array]) -> list[Array | None]:
    """The gradients of ``outputs`` in their order."""
    if any(at >= len(outputs) or outputs[at].shape != gradient.shape for at, gradient in came.items()):
        raise ModelError("the reference's record has another shape than its inputs give")
    return [came.get(at) for at in range(len(outputs))]
