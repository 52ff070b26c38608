"""What the page's script draws: rows of layers, who reads whom, and every figure of every layer on every target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bittrue.errors import TraceError
from bittrue.report.data import LayerRow, ReportData, TargetOutcome
from bittrue.report.elements import difference_map, worst_elements
from bittrue.report.json import as_data
from bittrue.traces import Key

__all__ = ["picture"]

_LEFT_OUT = ("worst", "worst_ulp", "kind", "class", "name", "call", "index")
"""Of a layer's entry in the JSON result: what the page shows from elsewhere."""


def picture(data: ReportData) -> dict[str, Any]:
    """The page's data. ``rows`` are the layers in order; ``targets[].layers`` has an entry for each, or null."""
    whole = as_data(data)
    rows = _rows(data)
    return {
        "rows": [_row(row) for row in rows],
        "edges": _edges(data, rows),
        "targets": [
            _target(data, outcome, entry, rows) for outcome, entry in zip(data.targets, whole["targets"], strict=True)
        ],
    }


def _rows(data: ReportData) -> list[LayerRow]:
    """Every output that any target has, in the order of the first target that has it."""
    found: dict[Key, LayerRow] = {}
    for outcome in data.targets:
        for row in data.rows(outcome):
            found.setdefault(row.key, row)
    return list(found.values())


def _row(row: LayerRow) -> dict[str, Any]:
    return {"name": row.key.layer, "call": row.key.call, "index": row.key.index, "class": row.class_name}


def _edges(data: ReportData, rows: Sequence[LayerRow]) -> list[list[int]]:
    """For each row the earlier rows that it reads; without a model, the one before."""
    if data.model is None:
        return [[at - 1] if at else [] for at in range(len(rows))]
    last: dict[str, int] = {}
    edges = []
    for at, row in enumerate(rows):
        read = {last[path] for path in data.model.reads.get(row.key.layer, ()) if path in last}
        edges.append(sorted(read))
        last[row.key.layer] = at
    return edges


def _target(
    data: ReportData, outcome: TargetOutcome, entry: dict[str, Any], rows: Sequence[LayerRow]
) -> dict[str, Any]:
    layers = {row.key: layer for row, layer in zip(data.rows(outcome), entry["layers"], strict=True)}
    pairs = {row.key: row for row in data.rows(outcome)}
    return {
        "target": outcome.target,
        "status": outcome.status,
        "layers": [
            _layer(data, outcome, pairs[row.key], layers[row.key]) if row.key in layers else None for row in rows
        ]
        if layers
        else [],
    }


def _layer(data: ReportData, outcome: TargetOutcome, row: LayerRow, entry: dict[str, Any]) -> dict[str, Any]:
    facts = {name: value for name, value in entry.items() if name not in _LEFT_OUT}
    facts["map"], facts["elements"] = _closer(data, outcome, row)
    return facts


def _closer(data: ReportData, outcome: TargetOutcome, row: LayerRow) -> tuple[Any, Any]:
    """Map and worst elements, where both tensors are still at hand and can be compared."""
    reference = data.reference.trace
    if reference is None or outcome.trace is None or row.pair.metrics is None or row.pair.metrics.identical:
        return None, []
    try:
        ours, theirs = reference[row.pair.key].load(), outcome.trace[row.pair.candidate.key].load()
    except (KeyError, TraceError):
        return None, []
    return (difference_map(ours, theirs), worst_elements(ours, theirs)) if ours.size else (None, [])
