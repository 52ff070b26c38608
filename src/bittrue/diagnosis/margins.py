"""What outputs decide, and by how much: the largest of a row, the top five, a sigmoid on one side of its threshold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from bittrue.graph.model import Graph
from bittrue.traces import Array, Key, Record, Trace

__all__ = ["THRESHOLD", "Kind", "Margin", "deciding", "kinds", "nearest_margins", "rows_of"]

THRESHOLD = 0.5

_TOP = 5
_BINARY = frozenset({"sigmoid", "hard_sigmoid"})


@dataclass(frozen=True)
class Kind:
    """What is decided of each row: which are the ``count`` largest, or (0) on which side of `THRESHOLD` it lies."""

    count: int

    @property
    def name(self) -> str:
        """As results have it: ``argmax``, ``top-5``, ``threshold 0.5``."""
        if not self.count:
            return f"threshold {THRESHOLD}"
        return "argmax" if self.count == 1 else f"top-{self.count}"


@dataclass(frozen=True)
class Margin:
    """The margin of one decision of ``kind`` on the output ``key``: Σ factor · y[``row``, column] + ``offset``.

    For the largest of a row, of the least of what is chosen over the best of what is not; of a threshold, the distance
    from it. Zero is where the decision tips.
    """

    key: Key
    kind: Kind
    row: int
    factors: tuple[tuple[int, float], ...]
    offset: float = 0.0

    def of(self, rows: Array) -> float:
        """The margin for outputs of (rows, columns)."""
        return float(sum(factor * rows[self.row, column] for column, factor in self.factors)) + self.offset

    def gradient(self, shape: tuple[int, ...]) -> tuple[int, Array]:
        """The example that the row is of, and the margin's derivative with respect to that example of an output.

        ``shape`` is the output's; the derivative is float64, of one example, and zero for all others.
        """
        found = np.zeros((1, *shape[1:]))
        example, row = divmod(self.row, prod(shape[1:-1]))
        for column, factor in self.factors:
            found.reshape(-1, shape[-1])[row, column] = factor
        return example, found


def rows_of(record: Record) -> Array | None:
    """The output as (rows, columns) in float64; None where it decides nothing: no floats, no rows, not all finite."""
    array = record.load()
    if array.dtype.kind != "f" or array.ndim < 2 or array.size == 0:
        return None
    rows = array.astype(np.float64).reshape(-1, array.shape[-1])
    return rows if np.isfinite(rows).all() else None


def deciding(trace: Trace, graph: Graph) -> Iterator[tuple[Key, Array]]:
    """The outputs of the model that may decide something, each once, as (rows, columns)."""
    for ref in dict.fromkeys(graph.outputs):
        key = Key("output", ref.layer, ref.call, ref.output)
        rows = rows_of(trace[key]) if key in trace.records else None
        if rows is not None:
            yield key, rows


def kinds(graph: Graph, key: Key, columns: int) -> tuple[Kind, ...]:
    """What an output with so many columns decides."""
    if columns == 1:
        return (Kind(0),) if graph.layer(key.layer).config.get("activation") in _BINARY else ()
    return (Kind(1), Kind(_TOP)) if columns > 2 * _TOP else (Kind(1),)


def nearest_margins(trace: Trace, graph: Graph, most: int) -> tuple[tuple[Margin, ...], ...]:
    """Of each decision that the outputs allow, the margins of up to ``most`` rows in which they are least, in order."""
    return tuple(
        _nearest(key, kind, rows, most)
        for key, rows in deciding(trace, graph)
        for kind in kinds(graph, key, rows.shape[-1])
    )


def _nearest(key: Key, kind: Kind, rows: Array, most: int) -> tuple[Margin, ...]:
    if not kind.count:
        above = rows[:, 0] - THRESHOLD
        sides = np.where(above > 0, 1.0, -1.0)
        near = np.argsort(np.abs(above), kind="stable")[:most]
        return tuple(Margin(key, kind, int(row), ((0, sides[row]),), -sides[row] * THRESHOLD) for row in near)
    order = np.argsort(-rows, axis=-1, kind="stable")
    ranked = np.take_along_axis(rows, order, axis=-1)
    near = np.argsort(ranked[:, kind.count - 1] - ranked[:, kind.count], kind="stable")[:most]
    pairs = ((int(row), int(order[row, kind.count - 1]), int(order[row, kind.count])) for row in near)
    return tuple(Margin(key, kind, row, ((chosen, 1.0), (other, -1.0))) for row, chosen, other in pairs)
