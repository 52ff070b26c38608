"""A report with its diagnoses: what every difference is, and whose fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bittrue.comparison import Comparison
from bittrue.diagnosis import ROOM, diagnose_all, undiagnosed
from bittrue.diagnosis.half import half_sentences
from bittrue.errors import ModelError
from bittrue.graph.model import Graph
from bittrue.traces import Key, Record, Trace

from .data import ReportData, TargetOutcome
from .facts import model_facts

__all__ = ["explained"]

_UNLIKE = (
    "two models were compared of which no layer is joined alike, and nobody knows what one of them should make of the "
    "other's inputs"
)
_SHOWN = 6  # layers named in a note


def explained(
    data: ReportData,
    graph: Graph,
    reference: Trace,
    *,
    other: Graph | None = None,
    other_truth: Trace | None = None,
    room: int = ROOM,
) -> ReportData:
    """``data`` with a diagnosis of every target that was compared. ``reference`` is the trace they were compared with.

    ``other`` is the model that the targets ran, where that is another one: it is then held to what ``graph`` means,
    layer by layer, where the twin of a layer reads the twins of what the layer reads. Of the rest there is no truth,
    and a note names them. ``other_truth`` is its float64 answer, from which is said what halves would do to it.
    ``room``: about how many bytes the exact answers may take at a time.
    """
    try:
        if other is not None:
            return _two_models(data, graph, reference, other, other_truth, room)
        traces = {outcome.target: outcome.trace for outcome in data.targets if outcome.trace is not None}
        found = diagnose_all(reference, traces, graph, room=room)
    except ModelError as error:
        return replace(data, notes=(*data.notes, f"nothing is explained: {error}"))
    return replace(
        data,
        targets=tuple(replace(outcome, diagnosis=found.get(outcome.target)) for outcome in data.targets),
        notes=(*data.notes, *(half_sentences(reference, graph) if any(map(_is_half, data.targets)) else ())),
    )


def _is_half(outcome: TargetOutcome) -> bool:
    """Whether a target keeps its tensors in half-float textures, by itself or because it was told to.

    What TensorFlow.js calls its float precision does not tell: it says 16 bits on some that draw to float32 textures.
    """
    return outcome.provenance is not None and outcome.provenance.details.get("render_float32_enabled") is False


def _two_models(
    data: ReportData, graph: Graph, reference: Trace, other: Graph, other_truth: Trace | None, room: int
) -> ReportData:
    outcomes, notes = [], dict.fromkeys(data.notes)
    for outcome in data.targets:
        if outcome.comparison is None or outcome.trace is None:
            outcomes.append(outcome)
            continue
        alike, unlike = _joined_alike(outcome.comparison, graph, other)
        if not alike:
            outcomes.append(_undiagnosed(outcome, outcome.comparison))
            continue
        trace = _renamed(outcome.comparison, outcome.trace)
        found = diagnose_all(reference, {outcome.target: trace}, graph, only=alike, room=room)[outcome.target]
        outcomes.append(replace(outcome, diagnosis=found))
        if unlike:
            more = f" and {len(unlike) - _SHOWN} more" if len(unlike) > _SHOWN else ""
            notes[f"not judged, because the candidate joins them otherwise: {', '.join(unlike[:_SHOWN])}{more}"] = None
    half = next(filter(_is_half, data.targets), None)
    if half is not None and half.trace is not None and other_truth is not None:
        # Its own answer and not what the target gave: that is in halves already.
        weights = {record.key: record for record in half.trace.of_kind("weight")}
        exact = replace(other_truth, records={**weights, **other_truth.records})
        notes |= dict.fromkeys(f"Candidate: {sentence}" for sentence in half_sentences(exact, other))
    return replace(data, targets=tuple(outcomes), notes=tuple(notes))


def _joined_alike(comparison: Comparison, graph: Graph, other: Graph) -> tuple[set[str], list[str]]:
    """The layers whose twins read the twins of what they read, and those aligned layers whose twins do not."""
    twins = {pair.key.layer: pair.candidate.key.layer for pair in comparison.of_kind("output")}
    fed = {ours.ref.layer: theirs.ref.layer for ours, theirs in zip(graph.inputs, other.inputs, strict=False)}
    ours, theirs = model_facts(graph).reads, model_facts(other).reads
    alike, unlike = set(), []
    for layer, twin in twins.items():
        read = [twins.get(name, fed.get(name)) for name in ours.get(layer, ())]
        if read == list(theirs.get(twin, ())):
            alike.add(layer)
        else:
            unlike.append(layer)
    return alike, unlike


def _renamed(comparison: Comparison, trace: Trace) -> Trace:
    """The candidate's records under the keys that the reference has them by."""
    records: Mapping[Key, Record] = {
        pair.key: Record(pair.key, pair.candidate.dtype, pair.candidate.shape, pair.candidate.load)
        for pair in comparison.pairs
    }
    return replace(trace, records=records)


def _undiagnosed(outcome: TargetOutcome, comparison: Comparison) -> TargetOutcome:
    return replace(outcome, diagnosis=undiagnosed(outcome.target, comparison, _UNLIKE))
