"""One layer's evidence, from files alone: a result's JSON, or a trace beside its reference and its graph."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from bittrue.comparison import compare
from bittrue.diagnosis import diagnose_all
from bittrue.errors import TraceError, UsageError
from bittrue.graph.model import Graph
from bittrue.graph.stored import read_graph
from bittrue.tracefile import load
from bittrue.traces import Array, Trace

from .data import ReferenceOutcome, ReportData, TargetOutcome
from .json import as_data
from .text import short

__all__ = ["GRAPH", "REFERENCE_TRACE", "evidence_of", "graph_beside", "print_evidence", "result_of"]

GRAPH = "graph.json"
REFERENCE_TRACE = "reference.safetensors"
"""What stands beside a saved trace."""


def evidence_of(path: Path, layer: str, *, against: Path | None = None, graph: Graph | None = None) -> list[Any]:
    """The entries of ``layer`` (``name``, ``name#call``) in a result or trace: ``{"target": …, "layer": {…}}`` each.

    For a trace, ``against`` is the reference's (default: ``reference.safetensors`` beside it) and ``graph`` the model
    (default: ``graph.json`` beside it). Raises TraceError for files that are missing or no such, UsageError for a
    layer that is not there.
    """
    data = _read_result(path) if path.suffix == ".json" else _diagnosed(path, layer, against, graph)
    name, _, call = layer.partition("#")
    number = int(call) if call.isdigit() else 0
    found = [
        {"target": target["target"], "headline": target.get("headline"), "layer": entry}
        for target in data["targets"]
        for entry in target["layers"]
        if (entry["name"], entry["call"]) == (name, number)
    ]
    if not found:
        names = sorted({entry["name"] for target in data["targets"] for entry in target["layers"]})
        raise UsageError(f"{path} has no layer {layer!r}; it has {', '.join(names[:20]) or 'none'}")
    return found


def result_of(reference: Trace, candidate: Trace, graph: Graph, *, only: Collection[str] | None = None) -> ReportData:
    """The report of two saved runs of one model, explained; of ``only`` these layers, if given."""
    outcome = TargetOutcome(
        candidate.provenance.target, candidate.provenance, candidate.checks, compare(reference, candidate)
    )
    found = diagnose_all(reference, {outcome.target: candidate}, graph, only=only)[outcome.target]
    known = ReferenceOutcome(reference.provenance, reference.checks, None)
    return ReportData("compare", None, (), "as traced", known, (replace(outcome, diagnosis=found),))


def graph_beside(path: Path, reference: Trace) -> Graph:
    """The graph that was saved with a trace, its weights those of ``reference``. Raises TraceError."""
    held: dict[str, list[Any]] = {}
    for record in sorted(reference.of_kind("weight"), key=lambda found: found.key):
        held.setdefault(record.key.layer, []).append(record)

    def weights(name: str) -> Sequence[Array]:
        return [record.load() for record in held.get(name, [])]

    return read_graph(path.parent / GRAPH, weights)


def _diagnosed(path: Path, layer: str, against: Path | None, graph: Graph | None) -> Mapping[str, Any]:
    beside = against or path.parent / REFERENCE_TRACE
    if beside.resolve() == path.resolve():
        raise UsageError(f"{path} is the reference itself; give the trace of a target beside it")
    reference, candidate = load(beside), load(path)
    known = graph or graph_beside(beside, reference)
    return as_data(result_of(reference, candidate, known, only={layer.partition("#")[0]}))


def _read_result(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise TraceError(f"cannot read {path}: {error.strerror or error}; give a result or a trace") from error
    except ValueError as error:
        raise TraceError(f"{path} is no JSON ({error}); give a result written with --json, or a trace") from error
    if not isinstance(data, dict) or data.get("schema") != "bittrue/result/1":
        raise TraceError(f"{path} is not a result of bittrue; give one written with --json, or a trace", path=str(path))
    return data


def print_evidence(found: Sequence[Mapping[str, Any]], out: IO[str]) -> None:
    """Write the entries for people, verdict first."""
    console = Console(file=out, width=None if out.isatty() else 110, highlight=False)
    for entry in found:
        for line in _lines(entry["target"], entry["layer"]):
            console.print(line, markup=False)


def _lines(target: str, layer: Mapping[str, Any]) -> list[str]:
    name = layer["name"] + (f"#{layer['call']}" if layer["call"] else "") + _output(layer)
    lines = [f"{name} ({layer['class']}) on {target}: {layer.get('verdict') or 'not explained'}"]
    lines += [f"  {layer[key]}" for key in ("sentence",) if layer.get(key)]
    lines += [f"  no truth: {layer['no_truth']}"] if layer.get("no_truth") else []
    evidence = layer.get("evidence")
    if evidence:
        lines += _decomposition(evidence)
        lines += _side("own error", evidence["own_error"]) + _side("reference's error", evidence["reference_error"])
        lines += _amplification(evidence["amplification"])
    lines += [
        f"  cause{' (proven)' if c['proven'] else ' (consistent with)'}: {c['sentence']}; {c['proof']}"
        + (f". To fix it: {c['fix']}" if c["fix"] else "")
        for c in layer.get("causes", [])
    ]
    return lines + [f"  assuming {text}" for text in layer.get("assumes", [])]


def _output(layer: Mapping[str, Any]) -> str:
    return f"[{layer['index']}]" if layer["index"] else ""


def _decomposition(evidence: Mapping[str, Any]) -> list[str]:
    parts = (
        ("y_c - y_r", "total", "the difference"),
        ("y_c - f(x_c)", "own_error", "the candidate's own error"),
        ("f(x_c) - f(x_r)", "inherited", "inherited with the inputs"),
        ("f(x_r) - y_r", "reference_error", "the reference's own error, negated"),
    )
    return [
        f"  {formula:<16} largest {short(evidence[key]['max_abs']):>9}, rms {short(evidence[key]['rms']):>9}   {words}"
        for formula, key, words in parts
    ]


def _side(words: str, error: Mapping[str, Any]) -> list[str]:
    share = "outside of it" if error["bound_share"] is None else f"{short(error['bound_share'])} of the rigorous bound"
    outside = f", {error['outside']} values outside" if error["outside"] else ""
    lines = [f"  {words}: at most {short(error['max_ulp'])} ULP of the exact value, {share}{outside}"]
    if error["expectation"] is not None and error["limit"] is not None:
        ratio, limit = error["expectation"] ** 0.5, error["limit"] ** 0.5
        lines.append(f"    {short(ratio)} times what rounding is expected to do (estimate; limit {short(limit)})")
    worst = error["worst"]
    if worst:
        lines.append(
            f"    worst at {worst['index']}: {_figure(worst['value'])} ({worst['bits']}), exactly "
            f"{_figure(worst['truth'])} ± {short(worst['bound'])}"
        )
    return lines


def _figure(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.9g}"


def _amplification(found: Mapping[str, Any]) -> list[str]:
    if found["absolute"] is None:
        return []
    return [
        f"  enlarges a difference {short(found['absolute'])} times (rms), relative to the values "
        f"{short(found['relative'])} times; the values grow {short(found['growth'])} times"
    ]
