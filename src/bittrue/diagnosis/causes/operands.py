"""The right tensors in the wrong places: operands swapped, an input or an output in another order, a layer left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, permutations
from typing import ClassVar

import numpy as np

from bittrue.traces import Array

from ..evidence import Evidence, Reproduction
from ..experiments import first_proven
from ..judging import outside
from ..result import Finding
from .registry import cause

__all__ = ["InputRearranged", "LayerSkipped", "OperandsSwapped", "OutputRearranged"]

_MOST = 24


@cause
class OperandsSwapped:
    """The layer called on its tensors in another order."""

    name: ClassVar[str] = "operands-swapped"
    order: ClassVar[int] = 7

    def test(self, evidence: Evidence) -> Finding | None:
        inputs = evidence.side.inputs
        orders = islice(permutations(range(len(inputs))), 1, _MOST) if len(inputs) > 1 else ()
        tries = ((f"in the order {list(order)}", evidence.layer, [inputs[at] for at in order]) for order in orders)
        found = first_proven(evidence, tries)
        if found is None:
            return None
        words, reproduction = found
        sentence = f"the {evidence.side.name} called this layer on its {len(inputs)} tensors {words}"
        return reproduction.finding(
            self.name, sentence, "connect the layer's inputs in the model's order in model.json"
        )


@cause
class LayerSkipped:
    """What came out is what went in, to the bit."""

    name: ClassVar[str] = "layer-skipped"
    order: ClassVar[int] = 2

    def test(self, evidence: Evidence) -> Finding | None:
        side = evidence.side
        for at, x in enumerate(side.inputs):
            if len(side.outputs) == 1 and x.size == side.outputs[0].size and x.size > 1:
                found = evidence.try_values([x.reshape(side.outputs[0].shape)])
                if found.proven:
                    which = f"input {at}" if len(side.inputs) > 1 else "its input"
                    sentence = f"the {side.name} handed {which} through as this layer's output"
                    return found.finding(self.name, sentence, "make sure that the layer is run, and not replaced")
        return None


@cause
class InputRearranged:
    """The layer on an input with its axes in another order, mirrored, or shifted along an axis."""

    name: ClassVar[str] = "input-rearranged"
    order: ClassVar[int] = 14

    def test(self, evidence: Evidence) -> Finding | None:
        inputs = evidence.side.inputs
        tries = (
            (f"on its input {at} {words}", evidence.layer, [*inputs[:at], made, *inputs[at + 1 :]])
            for at, x in enumerate(inputs)
            for words, made in _arranged(x)
        )
        found = first_proven(evidence, tries)
        if found is None:
            return None
        words, reproduction = found
        sentence = f"the {evidence.side.name} computed this layer {words}"
        return reproduction.finding(self.name, sentence, "keep the layout that the model was built for: channels last")


def _arranged(x: Array) -> Iterator[tuple[str, Array]]:
    """``x`` in other orders of its axes and along them, the batch apart."""
    for order in permutations(range(1, x.ndim)):
        moved = np.transpose(x, (0, *order))
        if list(order) != sorted(order):
            words = f"with its axes in the order {[0, *order]}"
            yield (
                (words, moved)
                if moved.shape == x.shape
                else (f"{words}, read in the old shape", moved.reshape(x.shape))
            )
    for axis in range(x.ndim):
        if x.shape[axis] > 1:
            yield f"reversed along axis {axis}", np.flip(x, axis)
            yield f"shifted by one along axis {axis}", np.roll(x, 1, axis)
            yield f"shifted back by one along axis {axis}", np.roll(x, -1, axis)


@cause
class OutputRearranged:
    """The exact answer, in other places: axes exchanged, or the slices along one axis permuted."""

    name: ClassVar[str] = "output-rearranged"
    order: ClassVar[int] = 15

    def test(self, evidence: Evidence) -> Finding | None:
        side = evidence.side
        if len(side.outputs) != 1 or not side.rounding or not np.isfinite(side.outputs[0]).all():
            return None
        exact, y = side.rounding[0], side.outputs[0]
        value, bound = exact.value, np.broadcast_to(exact.bound, exact.value.shape)
        if value.shape != y.shape:
            return None
        for words, (moved, allowed) in _moves(value, bound, y):
            inside = int(y.size - np.count_nonzero(outside(y, moved, allowed)))
            found = Reproduction(0, y.size, inside, y.size - side.errors[0].outside)
            if found.proven:
                sentence = f"the {side.name} returned the right values in other places: {words}"
                return found.finding(self.name, sentence, "keep the layout that the model was built for")
        return None


def _moves(value: Array, bound: Array, y: Array) -> Iterator[tuple[str, tuple[Array, Array]]]:
    for (words, moved), (_, allowed) in zip(_arranged(value), _arranged(bound), strict=True):
        yield words, (moved, allowed)
    for axis in range(value.ndim):
        order = _order(value, y, axis)
        if order is not None:
            shown = ", ".join(map(str, order[:8])) + (", …" if len(order) > 8 else "")
            yield f"axis {axis} in the order {shown}", (np.take(value, order, axis), np.take(bound, order, axis))


def _order(value: Array, y: Array, axis: int) -> Sequence[int] | None:
    """Which slice of ``value`` along ``axis`` each slice of ``y`` is nearest to, if that is a permutation."""
    mine, theirs = (np.moveaxis(a, axis, 0).reshape(a.shape[axis], -1).astype(np.float64) for a in (value, y))
    if not 1 < len(mine) <= 4096 or not np.isfinite(mine).all():
        return None
    squares = np.square(mine).sum(axis=1)[None, :] - 2 * theirs @ mine.T
    order = squares.argmin(axis=1).tolist()
    return order if sorted(order) == list(range(len(order))) and order != sorted(order) else None
