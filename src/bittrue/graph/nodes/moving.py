"""Nodes that take tensors apart, put them together, or fill the space around them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from bittrue.ops import Concat, Gather, Pad

from ..formula import Value
from .table import Given, OwnSize, node

__all__ = ["strided"]

_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


@node("ConcatV2", known=(-1,))
def concatenate(given: Given) -> Value:
    """Tensors along an axis."""
    values = given.tensors
    axis = given.axis(given.whole(len(given) - 1), values[0].rank)
    return given.apply(Concat(axis), *values)


@node("Pack", reads=("axis",))
def stack(given: Given) -> Value:
    """Tensors along a new axis."""
    values = given.tensors
    place = given.axis(given.integer("axis"), values[0].rank + 1)
    return given.apply(Concat(place), *(value.expanded(place) for value in values))


@node("Unpack", reads=("axis", "num"))
def unstack(given: Given) -> tuple[Value, ...]:
    """The slices of an axis, which goes."""
    x = given[0]
    axis = given.axis(given.integer("axis"), x.rank)
    return tuple(x.sliced(axis, at, at + 1).squeezed(axis) for at in range(given.integer("num")))


@node("Split", known=(0,), reads=("num_split",))
def split(given: Given) -> tuple[Value, ...]:
    """Equal stretches of an axis."""
    x, count = given[1], given.integer("num_split")
    axis = given.axis(given.whole(0), x.rank)
    size = x.size(axis)
    if size is None or count < 1 or size % count:
        raise given.refused(f"it splits an axis of size {size} into {count} equal parts")
    return _parts(x, axis, [size // count] * count)


@node("SplitV", known=(1, 2), reads=("num_split",))
def split_by_sizes(given: Given) -> tuple[Value, ...]:
    """Stretches of an axis, of the sizes given; one may be what is left."""
    x, sizes = given[0], given.wholes(1)
    given.integer("num_split")
    axis = given.axis(given.whole(2), x.rank)
    if -1 in sizes:
        whole = x.size(axis)
        if whole is None:
            raise given.refused("it splits an axis of unknown size")
        left = whole - sum(size for size in sizes if size != -1)
        sizes = [left if size == -1 else size for size in sizes]
    return _parts(x, axis, sizes)


def _parts(x: Value, axis: int, sizes: Sequence[int]) -> tuple[Value, ...]:
    ends = [0, *accumulate(sizes)]
    return tuple(x.sliced(axis, start, stop) for start, stop in pairwise(ends))


@node("Slice", known=(1, 2))
def cut(given: Given) -> Value:
    """A block: where it begins on each axis and how far it goes, -1 for all the rest."""
    y, begin, sizes = given[0], given.wholes(1), given.sizes(2)
    for axis, (start, size) in enumerate(zip(begin, sizes, strict=True)):
        whole = size == -1 or (start == 0 and size == OwnSize(axis))
        if not whole and not isinstance(size, int):
            raise given.refused(f"how much it takes of axis {axis} is known only as the model runs")
        stop = None if whole or not isinstance(size, int) else start + size
        y = y if start == 0 and stop is None else y.sliced(axis, start, stop)
    return y


@node("StridedSlice", known=(1, 2, 3), reads=_MASKS)
def strided_slice(given: Given) -> Value:
    """x[key], the key made of numbers, slices, ``...`` and new axes."""
    masks = {name: given.integer(name) for name in _MASKS}
    y = given[0]
    axis = 0
    for item in strided(given, y.rank, [given.sizes(place) for place in (1, 2, 3)], masks):
        if item is None:
            y = y.expanded(axis)
        elif isinstance(item, int):
            y = y.sliced(axis, item, item + 1 or None).squeezed(axis)
            continue
        else:
            y = y if item == slice(None, None, 1) else y.sliced(axis, item.start, item.stop, item.step)
        axis += 1
    return y


def strided(
    given: Given, rank: int, bounds: Sequence[Sequence[int | OwnSize | None]], masks: dict[str, int]
) -> list[int | slice | None]:
    """The key in Python's terms: a number, a slice, or None for a new axis."""
    begin, end, step = bounds
    key: list[int | slice | None] = []
    behind = 0
    for at in range(len(begin)):
        bit = 1 << at
        if masks["ellipsis_mask"] & bit:
            later = sum(not masks["new_axis_mask"] & (1 << n) for n in range(at + 1, len(begin)))
            skipped = rank - behind - later
            key += [slice(None, None, 1)] * skipped
            behind += skipped
        elif masks["new_axis_mask"] & bit:
            key.append(None)
        else:
            key.append(_item(given, begin[at], end[at], step[at], masks, bit, behind))
            behind += 1
    return key


def _item(
    given: Given,
    begin: int | OwnSize | None,
    end: int | OwnSize | None,
    step: int | OwnSize | None,
    masks: dict[str, int],
    bit: int,
    axis: int,
) -> int | slice:
    low = None if masks["begin_mask"] & bit else begin
    high = None if masks["end_mask"] & bit or end == OwnSize(axis) else end
    known = (
        isinstance(step, int)
        and (low is not None or bool(masks["begin_mask"] & bit))
        and (high is not None or bool(masks["end_mask"] & bit) or end == OwnSize(axis))
        and not isinstance(low, OwnSize)
        and not isinstance(high, OwnSize)
    )
    if not known or isinstance(low, OwnSize) or isinstance(high, OwnSize) or not isinstance(step, int):
        raise given.refused(f"where it cuts axis {axis} is known only as the model runs")
    if masks["shrink_axis_mask"] & bit:
        return low or 0
    return slice(low, high, step)


@node("Pad", "PadV2", known=(1, 2))
def pad(given: Given) -> Value:
    """A number put around: 0 unless the third operand says otherwise."""
    value = float(given.numbers(2)) if len(given) > 2 else 0.0
    return given.apply(Pad(_widths(given, given[0].rank), value), given[0])


def _widths(given: Given, rank: int) -> tuple[tuple[int, int], ...]:
    found = given.numbers(1)
    array = np.asarray(found, object)
    if array.shape != (rank, 2) or not all(isinstance(item, int) for item in array.ravel()):
        raise given.refused(f"it pads by {found}")
    return tuple((int(low), int(high)) for low, high in found)


@node("MirrorPad", known=(1,), reads=("mode",))
def mirror_pad(given: Given) -> Value:
    """The elements near the ends again, in reverse; the last one itself only in the mode SYMMETRIC."""
    y = given[0]
    once = given.text("mode", "REFLECT", "REFLECT", "SYMMETRIC") == "REFLECT"
    for axis, (low, high) in enumerate(_widths(given, y.rank)):
        pieces = [y]
        first = int(once)
        if low:
            pieces.insert(0, y.sliced(axis, first, low + first).sliced(axis, None, None, -1))
        if high:
            last = -first or None
            pieces.append(y.sliced(axis, -high - first, last).sliced(axis, None, None, -1))
        y = given.apply(Concat(axis), *pieces) if len(pieces) > 1 else y
    return y


@node("Tile", known=(1,))
def tile(given: Given) -> Value:
    """The whole tensor several times along every axis."""
    y = given[0]
    for axis, count in enumerate(given.wholes(1)):
        if count < 1:
            raise given.refused(f"it repeats axis {axis} {count} times")
        y = given.apply(Concat(axis), *([y] * count)) if count > 1 else y
    return y


@node("ReverseV2", known=(1,))
def reverse(given: Given) -> Value:
    """The order along axes reversed."""
    y = given[0]
    for axis in given.wholes(1):
        y = y.sliced(given.axis(axis, y.rank), None, None, -1)
    return y


@node("GatherV2", known=(2,), reads=("batch_dims",))
def gather(given: Given) -> Value:
    """Elements of an axis by their numbers."""
    if given.integer("batch_dims"):
        raise given.refused("it gathers for each example by itself")
    x, index = given[0], given[1]
    axis = given.axis(given.whole(2), x.rank)
    rank, count = index.rank, x.rank - 1
    y = given.apply(Gather(), x.moved(axis, 0), index)
    order = list(range(rank, rank + count))
    order[axis:axis] = range(rank)
    return y.transposed(*order)


@node("OneHot", known=(1, 2, 3), reads=("axis",))
def one_hot(given: Given) -> Value:
    """One number at the place that a whole number names along a new axis, another elsewhere."""
    x, count, axis = given[0], given.whole(1), given.integer("axis", -1)
    on, off = given.numbers(2), given.numbers(3)
    hot = given.constant(np.arange(count, dtype=np.int32)).equals(x.expanded(-1))
    return hot.where(float(on), float(off)).moved(-1, axis)
