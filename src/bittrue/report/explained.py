"""A report with its diagnoses: what every difference is, and whose fault."""

from __future__ import annotations

from dataclasses import replace

from bittrue.diagnosis import diagnose_all, undiagnosed
from bittrue.errors import ModelError
from bittrue.graph.model import Graph
from bittrue.traces import Trace

from .data import ReportData, TargetOutcome

__all__ = ["explained"]

_TWO_MODELS = "two different models were compared, and nobody knows what one of them should make of the other's inputs"


def explained(data: ReportData, graph: Graph, reference: Trace, *, two_models: bool = False) -> ReportData:
    """``data`` with a diagnosis of every target that was compared. ``reference`` is the trace they were compared with.

    With ``two_models`` there is no truth to be had of any layer, and the diagnoses say so.
    """
    traces = {outcome.target: outcome.trace for outcome in data.targets if outcome.trace is not None}
    if two_models:
        return replace(data, targets=tuple(map(_undiagnosed, data.targets)))
    try:
        found = diagnose_all(reference, traces, graph)
    except ModelError as error:
        return replace(data, notes=(*data.notes, f"nothing is explained: {error}"))
    return replace(
        data,
        targets=tuple(replace(outcome, diagnosis=found.get(outcome.target)) for outcome in data.targets),
    )


def _undiagnosed(outcome: TargetOutcome) -> TargetOutcome:
    if outcome.comparison is None:
        return outcome
    return replace(outcome, diagnosis=undiagnosed(outcome.target, outcome.comparison, _TWO_MODELS))
