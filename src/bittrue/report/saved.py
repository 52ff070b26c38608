"""A report from what `--save` left: traces, and the graph beside them. Nothing is run."""

from __future__ import annotations

from pathlib import Path

from bittrue.comparison import accuracy, compare
from bittrue.errors import ModelError, TraceError, UsageError
from bittrue.graph.model import Graph
from bittrue.graph.truth import evaluate
from bittrue.tracefile import load
from bittrue.traces import Trace

from .data import InputFacts, ReferenceOutcome, ReportData, TargetOutcome
from .explained import explained
from .facts import model_facts
from .one_layer import GRAPH, REFERENCE_TRACE, graph_beside
from .proof import read_proof

__all__ = ["report_of"]


def report_of(saved: Path) -> ReportData:
    """The report of the runs saved in the folder ``saved``: its reference against every other trace in it.

    Raises UsageError where there is no reference or nothing to compare it with, TraceError for damaged files.
    """
    reference_file = saved / REFERENCE_TRACE
    if not reference_file.is_file():
        raise UsageError(f"{saved} holds no {REFERENCE_TRACE}: give a folder that check --save has filled")
    others = [path for path in sorted(saved.glob("*.safetensors")) if path.name != REFERENCE_TRACE]
    if not others:
        raise UsageError(f"{saved} holds nothing to compare {REFERENCE_TRACE} with: run check --save with a target")
    reference = load(reference_file)
    graph = graph_beside(reference_file, reference) if (saved / GRAPH).is_file() else None
    truth = _truth(graph, reference) if graph is not None else None
    outcomes = tuple(_outcome(path, reference, truth) for path in others)
    fed = tuple(InputFacts(one.key.layer, one.shape, str(one.dtype)) for one in reference.of_kind("input"))
    own = accuracy(truth, reference) if truth is not None else None
    known = ReferenceOutcome(reference.provenance, reference.checks, own, digest=reference.digest(), trace=reference)
    about = model_facts(graph) if graph is not None else None
    proof = read_proof(saved, reference)
    data = ReportData("report", about, fed, "as traced", known, outcomes, exact=proof)
    return explained(data, graph, reference) if graph is not None else data


def _outcome(path: Path, reference: Trace, truth: Trace | None) -> TargetOutcome:
    trace = load(path)
    return TargetOutcome(
        trace.provenance.target,
        trace.provenance,
        trace.checks,
        compare(reference, trace),
        accuracy(truth, trace) if truth is not None else None,
        saved=str(path),
        digest=trace.digest(),
        trace=trace,
    )


def _truth(graph: Graph, reference: Trace) -> Trace | None:
    """The float64 answer on what the reference was fed; None where it cannot be had."""
    try:
        found = evaluate(graph, {record.key.layer: record.load() for record in reference.of_kind("input")})
    except (ModelError, TraceError):
        return None
    return found if found.of_kind("output") else None
