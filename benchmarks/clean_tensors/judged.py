"""Batches of clean tensors through the judgement that `bittrue check` uses: `judged`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bittrue.diagnosis.judging import judge
from bittrue.diagnosis.result import OwnError
from bittrue.graph.rounding import Rounding, layer_rounding
from bittrue.ops import Axioms

from .arithmetic import ORDERS
from .kinds import KINDS, Computed, Drawing
from .values import INPUTS, KERNELS, REPEATING

__all__ = ["TOGETHER", "Batch", "drawn", "judged", "one_by_one"]

TOGETHER = 256
"""Tensors of a batch; `_ALONE` where each costs more: values that repeat, and long sums."""
_ALONE = 32
_ORDERS = (*ORDERS, "blas", "fused")


@dataclass(frozen=True)
class Batch:
    """Tensors of ``rows`` rows each of one kind, and what they were drawn from."""

    kind: str
    rows: int
    drawing: Drawing
    computed: Computed

    def __len__(self) -> int:
        return len(self.computed.output) // self.rows

    def part(self, at: int) -> slice:
        """The rows of the ``at``-th tensor."""
        return slice(at * self.rows, (at + 1) * self.rows)


def drawn(seed: tuple[int, ...], kind: str | None = None, at_most: int = TOGETHER) -> Batch:
    """The batch of ``seed``: its kind (unless given), values, order and size are drawn from it."""
    draw = np.random.default_rng(seed)
    shares = np.array([share for share, _ in KINDS.values()], float)
    name = kind or str(draw.choice(list(KINDS), p=shares / shares.sum()))
    rows, inputs, kernel = int(draw.integers(1, 4)), str(draw.choice(list(INPUTS))), str(draw.choice(list(KERNELS)))
    count = min(at_most, _ALONE if inputs in REPEATING or name == "deep sums" else TOGETHER)
    drawing = Drawing(draw, count * rows, str(draw.choice(_ORDERS)), inputs, kernel)
    with np.errstate(all="ignore"):
        return Batch(name, rows, drawing, KINDS[name][1](drawing))


def judged(batch: Batch) -> Iterator[OwnError]:
    """What `judge` says of each tensor of ``batch``, as if it were alone.

    Bounds and expectations are those of a row, whatever stands beside it; what a whole tensor has (how many of its
    roundings are independent, whether few values repeat) is taken from the first one by itself. Where the last one by
    itself is another than in the batch, and for values that repeat, every tensor is evaluated by itself.
    """
    if batch.drawing.inputs in REPEATING:
        yield from one_by_one(batch)
        return
    computed = batch.computed
    (whole,) = layer_rounding(computed.node, computed.inputs, Axioms())
    first, last = _alone(batch, 0), _alone(batch, len(batch) - 1)
    if not (_alike(first, _part(whole, batch, 0)) and _alike(last, _part(whole, batch, len(batch) - 1))):
        yield from one_by_one(batch)
        return
    for at in range(len(batch)):
        exact = replace(_part(whole, batch, at), independent=first.independent, in_order=partial(_in_order, batch, at))
        yield judge(computed.output[batch.part(at)], exact)


def one_by_one(batch: Batch) -> Iterator[OwnError]:
    """The same with every tensor's exact answer evaluated by itself."""
    for at in range(len(batch)):
        yield judge(batch.computed.output[batch.part(at)], _alone(batch, at))


def _alone(batch: Batch, at: int) -> Rounding:
    inputs = [x[batch.part(at)] for x in batch.computed.inputs]
    (found,) = layer_rounding(batch.computed.node, inputs, Axioms())
    return found


def _in_order(batch: Batch, at: int) -> NDArray[np.float64]:
    again = _alone(batch, at).in_order
    assert again is not None
    return again()


def _part(whole: Rounding, batch: Batch, at: int) -> Rounding:
    part, shape = batch.part(at), whole.value.shape
    bound, variance = np.broadcast_to(whole.bound, shape), np.broadcast_to(whole.variance, shape)
    return Rounding(whole.value[part], bound[part], variance[part], 0.0)


def _alike(alone: Rounding, among: Rounding) -> bool:
    """The same bounds and expectations, but for the last digits of float64."""
    pairs = (alone.bound, among.bound), (alone.variance, among.variance)
    return all(np.allclose(a, b, rtol=1e-6, atol=0, equal_nan=True) for a, b in pairs)
