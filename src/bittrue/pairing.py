"""Two models side by side: which inputs of one are which of the other, and what is said of how they were aligned."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bittrue.errors import UsageError
from bittrue.graph.model import Graph
from bittrue.runtimes.base import Inputs
from bittrue.traces import Array

if TYPE_CHECKING:
    from bittrue.report.data import ReportData, TargetOutcome

__all__ = ["alignment_notes", "fed_to", "weight_notes"]

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


def weight_notes(reference: Graph, candidate: Graph) -> tuple[str, ...]:
    """How many of the candidate's weights the reference has bit for bit, whatever they are called.

    Axes of size 1 do not count: a graph-model keeps kernels of one spatial axis with a second one. Single numbers
    are no weights.
    """
    own = Counter(print_ for _, print_, _ in _weights(reference))
    found = list(_weights(candidate))
    strange = []
    for name, print_, _ in found:
        own[print_] -= 1
        if own[print_] < 0:
            strange.append(name)
    if not found:
        return ()
    sizes = {name: size for name, _, size in found}
    total, lost = sum(sizes.values()), sum(sizes[name] for name in strange)
    same = f"same weights: {len(found) - len(strange)} of {len(found)} tensors bit-identical"
    note = f"{same} ({total - lost:,} of {total:,} numbers)"
    return (note, f"only in the candidate: the weights {_listed(strange)}") if strange else (note,)


def _weights(graph: Graph) -> Iterator[tuple[str, tuple[object, ...], int]]:
    """Every floating-point weight once: what it is called, what tells its bits from others, and how many numbers."""
    seen: set[int] = set()
    for path, layer in graph.walk():
        for at, weight in enumerate(layer.weights):
            value = weight.value
            if value.dtype.kind != "f" or value.ndim == 0 or id(value) in seen:
                continue
            seen.add(id(value))
            shape = tuple(size for size in value.shape if size != 1)
            bits = hashlib.sha256(np.ascontiguousarray(value).data).hexdigest()
            yield f"{'/'.join(path)}[{at}] {weight.name}", (value.dtype.str, shape, bits), value.size


def _notes(outcome: TargetOutcome) -> Iterator[str]:
    from bittrue.comparison import stem

    assert outcome.comparison is not None
    pairs = [(pair.key.layer, pair.candidate.key.layer) for pair in outcome.outputs]
    named = list(dict.fromkeys(left for left, right in pairs if left == right))
    moved = list(dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]))
    yield f"aligned by name: {_listed(named)}"
    numbered = [(left, right) for left, right in moved if stem(right) in (stem(left), f"{stem(left)}/{_last(right)}")]
    placed = [pair for pair in moved if pair not in numbered]
    if numbered:
        yield f"aligned by name but for numbers: {_listed([f'{left} = {right}' for left, right in numbered])}"
    if placed:
        yield f"aligned by order and shape: {_listed([f'{left} = {right}' for left, right in placed])}"
    for side, keys in (
        ("reference", outcome.comparison.unmatched_reference),
        ("candidate", outcome.comparison.unmatched_candidate),
    ):
        alone = list(dict.fromkeys(key.layer for key in keys if key.kind == "output"))
        if alone:
            yield f"only in the {side}: {_listed(alone)}"


def _last(layer: str) -> str:
    from bittrue.comparison import stem

    return stem(layer).rpartition("/")[2]


def _listed(names: list[str]) -> str:
    if not names:
        return "none"
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
