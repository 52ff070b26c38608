"""Which decisions hang on the difference: the largest of a row, the top five, a threshold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bittrue.graph.model import Graph
from bittrue.traces import Array, Key, Trace

from .composed import Composed
from .result import Decision

__all__ = ["decisions"]

_TOP = 5
_BINARY = frozenset({"sigmoid", "hard_sigmoid"})


def decisions(reference: Trace, candidate: Trace, graph: Graph, composed: Composed | None = None) -> Iterator[Decision]:
    """The decisions that the model's outputs allow: argmax and top 5 of rows of two or more, 0.5 for a sigmoid.

    A decision's margin is the distance of the least of what is chosen from the best of what is not (of a threshold:
    from it). Two values cannot change places unless the margin is at most twice the largest difference.
    """
    for ref in dict.fromkeys(graph.outputs):
        key = Key("output", ref.layer, ref.call, ref.output)
        if key not in reference.records or key not in candidate.records:
            continue
        y_r, y_c = reference[key].load(), candidate[key].load()
        if y_r.shape != y_c.shape or y_r.dtype.kind != "f" or y_r.ndim < 2 or y_r.size == 0:
            continue
        y_r, y_c = (array.astype(np.float64).reshape(-1, array.shape[-1]) for array in (y_r, y_c))
        if np.isfinite(y_r).all() and np.isfinite(y_c).all():
            yield from _of_rows(key, y_r, y_c, graph, composed)


def _of_rows(key: Key, y_r: Array, y_c: Array, graph: Graph, composed: Composed | None) -> Iterator[Decision]:
    columns = y_r.shape[-1]
    if columns == 1:
        if graph.layer(key.layer).config.get("activation") in _BINARY:
            yield _threshold(key, y_r, y_c, composed)
        return
    yield _top(key, y_r, y_c, 1, composed)
    if columns > 2 * _TOP:
        yield _top(key, y_r, y_c, _TOP, composed)


def _top(key: Key, y_r: Array, y_c: Array, count: int, composed: Composed | None) -> Decision:
    order = np.argsort(-y_r, axis=-1, kind="stable")
    chosen = [set(row) for row in order[:, :count]]
    other = [set(row) for row in np.argsort(-y_c, axis=-1, kind="stable")[:, :count]]
    ranked = np.take_along_axis(y_r, order, axis=-1)
    margin = ranked[:, count - 1] - ranked[:, count]
    difference = np.max(np.abs(y_c - y_r), axis=-1)
    kind = "argmax" if count == 1 else f"top-{count}"
    bound = composed.of(key) if composed else None
    safe = None if bound is None else _safe(bound[0].reshape(y_r.shape), bound[1].reshape(y_r.shape), count)
    return Decision(
        key,
        kind,
        len(y_r),
        sum(mine != theirs for mine, theirs in zip(chosen, other, strict=True)),
        int(np.count_nonzero(margin <= 2 * difference)),
        float(margin.min()),
        float(difference.max()),
        None if bound is None else float(bound[1].max()),
        safe,
    )


def _safe(exact: Array, bound: Array, count: int) -> int:
    """In how many rows no computation within ``bound`` of ``exact`` can choose otherwise."""
    order = np.argsort(-exact, axis=-1, kind="stable")
    low = np.take_along_axis(exact - bound, order[:, :count], axis=-1).min(axis=-1)
    high = np.take_along_axis(exact + bound, order[:, count:], axis=-1).max(axis=-1)
    return int(np.count_nonzero(low > high))


def _threshold(key: Key, y_r: Array, y_c: Array, composed: Composed | None) -> Decision:
    margin, difference = np.abs(y_r - 0.5), np.abs(y_c - y_r)
    bound = composed.of(key) if composed else None
    safe = None if bound is None else int(np.count_nonzero(np.abs(bound[0] - 0.5) > bound[1]))
    return Decision(
        key,
        "threshold 0.5",
        y_r.size,
        int(np.count_nonzero((y_r > 0.5) != (y_c > 0.5))),
        int(np.count_nonzero(margin <= difference)),
        float(margin.min()),
        float(difference.max()),
        None if bound is None else float(bound[1].max()),
        safe,
    )
