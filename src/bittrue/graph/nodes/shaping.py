"""Nodes that lay the same elements out otherwise, and sizes as tensors."""

from __future__ import annotations

from math import prod

import numpy as np

from bittrue.ops import Broadcast

from ..formula import Value
from .table import Given, OwnSize, node


@node("Reshape", known=(1,))
def reshape(given: Given) -> Value:
    """The elements, row-major, in another shape. Leading sizes that are the operand's own are kept as they are."""
    x, target = given[0], given.sizes(1)
    keep = 0
    while keep < min(len(target), x.rank) and target[keep] == OwnSize(keep):
        keep += 1
    while keep > 0 and _same(target[keep:], x, keep) is None:
        keep -= 1
    rest = _same(target[keep:], x, keep)
    if rest is None:
        raise given.refused("more than one size of its shape is known only as the model runs")
    return x.reshaped(rest, keep)


def _same(rest: list[int | OwnSize | None], x: Value, keep: int) -> list[int] | None:
    """Sizes with at most one left open (-1), None if more are."""
    known = [x.size(item.axis) if isinstance(item, OwnSize) and item.axis < x.rank else item for item in rest]
    sizes = [item if isinstance(item, int) else -1 for item in known]
    if sizes.count(-1) > 1:
        return None
    behind = [x.size(axis) for axis in range(keep, x.rank)]
    if -1 in sizes and 0 in sizes:
        return None
    if -1 in sizes and None not in behind and prod(size or 0 for size in behind) == 0:
        return None
    return sizes


@node("Squeeze", reads=("squeeze_dims", "axis"))
def squeeze(given: Given) -> Value:
    """Without the axes named, or without all that are of size 1."""
    x = given[0]
    axes = given.whole_numbers("squeeze_dims") or given.whole_numbers("axis")
    if not axes and any(x.size(axis) is None for axis in range(x.rank)):
        raise given.refused("it takes away the axes of size 1, and not all sizes are known beforehand")
    gone = [given.axis(axis, x.rank) for axis in axes] or [axis for axis in range(x.rank) if x.size(axis) == 1]
    return x.squeezed(*gone)


@node("ExpandDims", known=(1,))
def expand_dims(given: Given) -> Value:
    """A new axis of size 1."""
    return given[0].expanded(given.axis(given.whole(1), given[0].rank + 1))


@node("Transpose", known=(1,), inert=("conjugate",))
def transpose(given: Given) -> Value:
    """The axes in another order."""
    x = given[0]
    order = [given.axis(axis, x.rank) for axis in given.wholes(1)]
    if sorted(order) != list(range(x.rank)):
        raise given.refused(f"{order} is no order of {x.rank} axes")
    return x.transposed(*order)


@node("BroadcastTo", known=(1,))
def broadcast_to(given: Given) -> Value:
    """Repeated until it has the shape given."""
    return given.apply(Broadcast(tuple(given.wholes(1))), given[0])


@node("Fill", known=(0,), measures=True)
def fill(given: Given) -> Value:
    """The second operand throughout. One size may be that of a tensor, which is then the third."""
    sizes, value = given.sizes(0), given[1]
    left = [at for at, size in enumerate(sizes) if not isinstance(size, int)]
    full = given.apply(Broadcast(tuple(size if isinstance(size, int) else 1 for size in sizes)), value)
    if not left:
        return full
    (at, *others), own = left, sizes[left[0]]
    if others or not isinstance(own, OwnSize):
        raise given.refused(f"{len(left)} of its sizes are known only as the model runs")
    x = given[2].moved(own.axis, 0)
    for axis in range(1, x.rank):
        x = x.sliced(axis, 0, 1)
    column = x.reshaped([1] * (len(sizes) - 1)).moved(0, at)
    return column.equals(column).where(full, full)


@node("ZerosLike", "OnesLike")
def like(given: Given) -> Value:
    """As many zeros or ones."""
    x = given[0]
    if not given.formula.spec(x.ref).is_floating:
        raise given.refused("it makes whole numbers or truth values")
    # Not x · 0, which is no zero where x is infinite.
    number = 1.0 if given.node.op == "OnesLike" else 0.0
    return x.equals(x).where(number, number)


@node("MatrixBandPart", known=(1, 2))
def band(given: Given) -> Value:
    """The diagonals of matrices that are no further below and above the main one than said, 0 elsewhere."""
    x, lower, upper = given[0], given.whole(1), given.whole(2)
    rows, columns = x.size(-2), x.size(-1)
    if rows is None or columns is None:
        raise given.refused("it needs matrices of sizes that are known beforehand")
    above = np.arange(columns) - np.arange(rows)[:, np.newaxis]
    kept = given.constant(((above >= -lower) | (lower < 0)) & ((above <= upper) | (upper < 0)))
    return x & kept if given.formula.spec(x.ref).dtype.kind == "b" else kept.where(x, 0.0)


@node("DepthToSpace", reads=("block_size", "data_format"))
def depth_to_space(given: Given) -> Value:
    """Blocks of channels beside one another."""
    given.text("data_format", "NHWC", "NHWC")
    x, block = given[0], given.integer("block_size")
    _, rows, columns, channels = _image(given, x)
    deep = channels // (block * block)
    y = x.reshaped((rows, columns, block, block, deep)).transposed(0, 1, 3, 2, 4, 5)
    return y.reshaped((rows * block, columns * block, deep))


@node("SpaceToDepth", reads=("block_size", "data_format"))
def space_to_depth(given: Given) -> Value:
    """Blocks of the image as channels."""
    given.text("data_format", "NHWC", "NHWC")
    x, block = given[0], given.integer("block_size")
    _, rows, columns, channels = _image(given, x)
    y = x.reshaped((rows // block, block, columns // block, block, channels)).transposed(0, 1, 3, 2, 4, 5)
    return y.reshaped((rows // block, columns // block, block * block * channels))


def _image(given: Given, x: Value) -> tuple[int | None, int, int, int]:
    sizes = [x.size(axis) for axis in range(x.rank)]
    if len(sizes) != 4 or None in sizes[1:]:
        raise given.refused("it needs an image of sizes that are known beforehand")
    batch, *others = sizes
    rows, columns, channels = (size or 0 for size in others)
    return batch, rows, columns, channels
