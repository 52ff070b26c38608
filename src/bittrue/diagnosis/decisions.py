"""Which decisions hang on the difference: the largest of a row, the top five, a threshold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bittrue.graph.model import Graph
from bittrue.traces import Array, Key, Trace

from .composed import Composed
from .first_order import FirstOrders
from .margins import THRESHOLD, Kind, deciding, kinds, rows_of
from .result import Decision, FirstOrder

__all__ = ["decisions"]


def decisions(
    reference: Trace,
    candidate: Trace,
    graph: Graph,
    composed: Composed | None = None,
    first_order: FirstOrders | None = None,
) -> Iterator[Decision]:
    """The decisions that the model's outputs allow: argmax and top 5 of rows of two or more, 0.5 for a sigmoid.

    A decision's margin is the distance of the least of what is chosen from the best of what is not (of a threshold:
    from it). Two values cannot change places unless the margin is at most twice the largest difference. ``composed``
    and ``first_order`` are the bounds for this candidate and the reference, where they are known.
    """
    for key, y_r in deciding(reference, graph):
        y_c = rows_of(candidate[key]) if key in candidate.records else None
        if y_c is None or reference[key].shape != candidate[key].shape:
            continue
        for kind in kinds(graph, key, y_r.shape[-1]):
            bound = first_order.get((key, kind.name)) if first_order else None
            yield (_top if kind.count else _threshold)(key, kind, (y_r, y_c), composed, bound)


def _top(
    key: Key, kind: Kind, outputs: tuple[Array, Array], composed: Composed | None, first_order: FirstOrder | None
) -> Decision:
    (y_r, y_c), count = outputs, kind.count
    order = np.argsort(-y_r, axis=-1, kind="stable")
    chosen = [set(row) for row in order[:, :count]]
    other = [set(row) for row in np.argsort(-y_c, axis=-1, kind="stable")[:, :count]]
    ranked = np.take_along_axis(y_r, order, axis=-1)
    margin = ranked[:, count - 1] - ranked[:, count]
    difference = np.max(np.abs(y_c - y_r), axis=-1)
    bound = composed.of(key) if composed else None
    safe = None if bound is None else _safe(bound[0].reshape(y_r.shape), bound[1].reshape(y_r.shape), count)
    return Decision(
        key,
        kind.name,
        len(y_r),
        sum(mine != theirs for mine, theirs in zip(chosen, other, strict=True)),
        int(np.count_nonzero(margin <= 2 * difference)),
        float(margin.min()),
        float(difference.max()),
        None if bound is None else float(bound[1].max()),
        safe,
        first_order,
    )


def _safe(exact: Array, bound: Array, count: int) -> int:
    """In how many rows no computation within ``bound`` of ``exact`` can choose otherwise."""
    order = np.argsort(-exact, axis=-1, kind="stable")
    low = np.take_along_axis(exact - bound, order[:, :count], axis=-1).min(axis=-1)
    high = np.take_along_axis(exact + bound, order[:, count:], axis=-1).max(axis=-1)
    return int(np.count_nonzero(low > high))


def _threshold(
    key: Key, kind: Kind, outputs: tuple[Array, Array], composed: Composed | None, first_order: FirstOrder | None
) -> Decision:
    y_r, y_c = outputs
    margin, difference = np.abs(y_r - THRESHOLD), np.abs(y_c - y_r)
    bound = composed.of(key) if composed else None
    safe = None if bound is None else int(np.count_nonzero(np.abs(bound[0] - THRESHOLD) > bound[1]))
    return Decision(
        key,
        kind.name,
        y_r.size,
        int(np.count_nonzero((y_r > THRESHOLD) != (y_c > THRESHOLD))),
        int(np.count_nonzero(margin <= difference)),
        float(margin.min()),
        float(difference.max()),
        None if bound is None else float(bound[1].max()),
        safe,
        first_order,
    )
