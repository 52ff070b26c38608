"""Fewer axes for what the kernels of some backends do with four axes at most: neighbours made one, and parted again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from bittrue.ops import Shape
from bittrue.ops.base import broadcast

from .nodes import Tensor
from .scope import Scope

__all__ = ["MOST", "folded", "one_axis"]

MOST = 4  # axes that every kernel of every backend takes


def folded(scope: Scope, tensors: Sequence[Tensor]) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
    """``tensors``, which are broadcast together, with neighbouring axes joined that all treat alike; and the way back.

    As they are where they have four axes or less, or where more than one size is unknown.
    """
    whole = broadcast(*(tensor.spec.shape for tensor in tensors))
    assert whole is not None
    if len(whole) <= MOST or whole.count(None) > 1:
        return list(tensors), lambda made: made
    shapes = [(1,) * (len(whole) - x.spec.rank) + x.spec.shape for x in tensors]
    groups = _alike(whole, shapes)
    flat = [
        scope.reshape(x, [_size([shape[axis] for axis in group]) for group in groups])
        for x, shape in zip(tensors, shapes, strict=True)
    ]
    target = [-1 if size is None else size for size in whole]
    return flat, lambda made: scope.reshape(made, target)


def _alike(whole: Shape, shapes: Sequence[Shape]) -> list[list[int]]:
    """Runs of axes along which each of ``shapes`` is repeated, or none; an axis of size 1 goes with any."""
    groups: list[list[int]] = []
    before: tuple[bool, ...] | None = None
    for axis, size in enumerate(whole):
        repeated = tuple(shape[axis] == 1 for shape in shapes)
        if groups and (size == 1 or before is None or repeated == before):
            groups[-1].append(axis)
        else:
            groups.append([axis])
        before = before if size == 1 else repeated
    return groups


def _size(sizes: Sequence[int | None]) -> int:
    return -1 if None in sizes else prod(size or 0 for size in sizes)


def one_axis(scope: Scope, x: Tensor, axis: int, compute: Callable[[Tensor], Tensor], size: int | None) -> Tensor:
    """What ``compute`` makes of ``axis``, then of ``size``, as the second of three: its neighbours are joined."""
    before, own, behind = x.spec.shape[:axis], x.spec.shape[axis], x.spec.shape[axis + 1 :]
    made = compute(scope.reshape(x, [_size(before), -1 if own is None else own, _size(behind)]))
    target = [*before, size, *behind]
    return scope.reshape(made, [-1 if part is None else part for part in target])
