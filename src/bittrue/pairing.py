"""Two models side by side: which inputs of one are which of the other, and what is said of how they were aligned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bittrue.errors import UsageError
from bittrue.graph.model import Graph
from bittrue.runtimes.base import Inputs
from bittrue.traces import Array

if TYPE_CHECKING:
    from bittrue.report.data import ReportData, TargetOutcome

__all__ = ["alignment_notes", "fed_to"]

_SHOWN = 12
"""Layers named in one note; all are in the JSON."""


def fed_to(graph: Graph, tensors: Inputs) -> Mapping[str, Array]:
    """``tensors``, which another model takes, by the names of the inputs of ``graph``: by name, else by order.

    Raises UsageError where neither names nor numbers agree.
    """
    names = [spec.name for spec in graph.inputs]
    if set(names) == set(tensors):
        return {name: tensors[name] for name in names}
    if len(names) != len(tensors):
        theirs, ours = ", ".join(names), ", ".join(tensors)
        raise UsageError(
            f"the reference takes {len(tensors)} inputs ({ours}), but the candidate {len(names)} ({theirs})"
        )
    return dict(zip(names, tensors.values(), strict=True))


def alignment_notes(data: ReportData, reference: str, candidate: str) -> tuple[str, ...]:
    """Which models were compared, and which layers of the one were taken for which of the other."""
    compared = next((outcome for outcome in data.targets if outcome.comparison is not None), None)
    shown = tuple(_notes(compared)) if compared else ()
    return (f"reference: {reference}; candidate: {candidate}", *shown)


def _notes(outcome: TargetOutcome) -> Iterator[str]:
    assert outcome.comparison is not None
    pairs = [(pair.key.layer, pair.candidate.key.layer) for pair in outcome.outputs]
    named = list(dict.fromkeys(left for left, right in pairs if left == right))
    moved = list(dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]))
    yield f"aligned by name: {_listed(named)}"
    if moved:
        yield f"aligned by order and shape: {_listed([f'{left} = {right}' for left, right in moved])}"
    for side, keys in (
        ("reference", outcome.comparison.unmatched_reference),
        ("candidate", outcome.comparison.unmatched_candidate),
    ):
        alone = list(dict.fromkeys(key.layer for key in keys if key.kind == "output"))
        if alone:
            yield f"only in the {side}: {_listed(alone)}"


def _listed(names: list[str]) -> str:
    if not names:
        return "none"
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
