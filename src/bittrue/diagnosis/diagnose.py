"""From two traces and the model to what the difference is, whose fault, and what it means."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from bittrue.comparison import Comparison
from bittrue.graph.model import Graph
from bittrue.traces import Key, Record, Trace

from .axioms import arithmetic_of
from .composed import Composed, compose, weakest
from .decisions import decisions
from .effort import Effort
from .examine import CallExamination
from .first_order import first_order
from .headline import headline
from .input_causes import input_causes
from .result import Decision, Diagnosis, LayerDiagnosis, Verdict
from .wiring import wire

__all__ = ["ROOM", "diagnose", "diagnose_all", "traces_of", "undiagnosed"]

ROOM = 64 * 2**20
"""Bytes that exact answers take at a time, about, unless the caller says otherwise: more is no faster."""


def diagnose(reference: Trace, candidate: Trace, graph: Graph) -> Diagnosis:
    """What differs between two runs of the model ``graph``, from their records alone. As `diagnose_all`."""
    return diagnose_all(reference, {candidate.provenance.target: candidate}, graph)[candidate.provenance.target]


def diagnose_all(
    reference: Trace,
    candidates: Mapping[str, Trace],
    graph: Graph,
    *,
    only: Collection[str] | None = None,
    room: int = ROOM,
) -> dict[str, Diagnosis]:
    """`diagnose` for several runs against one reference: f(x_r), and f of inputs that agree, is evaluated once.

    ``only`` are the paths of the layers to look at (None: all); the headline then speaks of these alone.
    One call of one layer is looked at at a time, and of a large batch, where examples do not meet, as many examples as
    take about ``room`` bytes. Whatever cannot be evaluated has the verdict "no truth" with its reason.
    Raises ModelError for a graph that is not connected.
    """
    entries: dict[str, list[LayerDiagnosis]] = {
        target: list(_inputs(reference, trace, graph)) for target, trace in candidates.items()
    }
    effort = Effort()
    for wired in wire(graph):
        if only is not None and wired.call.name not in only:
            continue
        for target, found in CallExamination(graph, wired, reference, candidates, effort, room).examine().items():
            entries[target].append(found)
    composed = _composed(reference, candidates, graph, room) if only is None else None
    bounds = first_order(reference, candidates, graph) if only is None else {}
    return {
        target: _diagnosis(
            target,
            reference,
            trace,
            tuple(entries[target]),
            tuple(decisions(reference, trace, graph, composed, bounds.get(target))),
        )
        for target, trace in candidates.items()
    }


def _composed(reference: Trace, candidates: Mapping[str, Trace], graph: Graph, room: int) -> Composed | None:
    """The rigorous bound of the outputs for all that were run, where a decision hangs on them."""
    if not any(True for trace in candidates.values() for _ in decisions(reference, trace, graph)):
        return None
    keys = {spec.name: Key("input", spec.name) for spec in graph.inputs}
    if any(key not in reference.records for key in keys.values()):
        return None
    known = [arithmetic_of(trace.provenance).axioms for trace in (reference, *candidates.values())]
    return compose(graph, {name: reference[key].load() for name, key in keys.items()}, weakest(known), room)


def traces_of(comparison: Comparison) -> tuple[Trace, Trace]:
    """The two traces as far as a comparison holds them: the records that have a partner."""
    left = Trace.of(comparison.reference, [pair.reference for pair in comparison.pairs])
    right = Trace.of(comparison.candidate, [pair.candidate for pair in comparison.pairs])
    return left, right


def undiagnosed(target: str, comparison: Comparison, reason: str) -> Diagnosis:
    """A diagnosis that has no truth anywhere, for ``reason``: two different models, say."""
    entries = tuple(
        LayerDiagnosis(pair.key, "", Verdict.IDENTICAL if pair.identical else Verdict.NO_TRUTH, reason=reason)
        for pair in comparison.outputs
    )
    verdict = max((entry.verdict for entry in entries), default=Verdict.NO_TRUTH)
    return Diagnosis(target, verdict, f"no truth: {reason}", entries, software=comparison.candidate.software)


def _diagnosis(
    target: str,
    reference: Trace,
    trace: Trace,
    entries: tuple[LayerDiagnosis, ...],
    decided: tuple[Decision, ...],
) -> Diagnosis:
    notes = tuple(f"{check.name}: {check.detail}" for check in trace.checks if check.passed is False)
    verdict = max((_weight(entry) for entry in entries), default=Verdict.NO_TRUTH)
    if any(check.passed is False and check.name in _SERIOUS for check in trace.checks):
        verdict = max(verdict, Verdict.SUSPICIOUS)
    assumes = tuple(dict.fromkeys(text for entry in entries for text in entry.assumes))
    found = Diagnosis(
        target,
        verdict,
        "",
        entries,
        decided,
        assumes,
        notes,
        trace.provenance.software,
    )
    return headline(found, reference.provenance)


_SERIOUS = frozenset({"device", "capture"})
"""Checks whose failure says that the figures themselves are not to be trusted."""


def _weight(entry: LayerDiagnosis) -> Verdict:
    """What an entry adds to the verdict on the model: what nobody is at fault for is no fault."""
    return Verdict.ROUNDING if entry.verdict.is_fault and entry.side is None else entry.verdict


def _inputs(reference: Trace, candidate: Trace, graph: Graph) -> Iterator[LayerDiagnosis]:
    """The inputs that are not the same on both sides, as the model takes them: a fault before any layer."""
    dtypes = {spec.name: spec.dtype for spec in graph.inputs}
    for record in reference.of_kind("input"):
        other = candidate.records.get(record.key)
        if other is not None and not _same(record, other, dtypes.get(record.key.layer, record.dtype)):
            sentence = f"the candidate was fed another tensor as {record.key.layer!r} than the reference"
            causes = input_causes(reference, candidate, record.key)
            yield LayerDiagnosis(record.key, "InputLayer", Verdict.BUG, "candidate", sentence, causes=causes)


def _same(left: Record, right: Record, dtype: np.dtype[Any]) -> bool:
    if left.shape != right.shape:
        return False
    a, b = left.load().astype(dtype), right.load().astype(dtype)
    return bool(np.array_equal(a, b, equal_nan=dtype.kind == "f"))
