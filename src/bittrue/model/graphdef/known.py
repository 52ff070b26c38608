"""Whole numbers that can be followed through a graph: shapes in the making, of which some sizes are known beforehand.

TensorFlow writes a reshape to (batch, 10) as Shape, StridedSlice, Pack and Reshape. What these nodes hand on is worked
out here, so that the reshape has its sizes and the nodes before it are no layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bittrue.errors import ModelError
from bittrue.graph.nodegraph import Node, Source, attribute
from bittrue.ops import TensorSpec
from bittrue.traces import Array

__all__ = ["Numbers", "SizeOf", "follow"]

Numbers = NDArray[Any]
"""An array of objects: an int, a `SizeOf`, or None for a number that is known only as the model runs."""

_MOST = 4096  # elements; shapes have a few


@dataclass(frozen=True)
class SizeOf:
    """The size of ``axis`` of a tensor."""

    source: Source
    axis: int


def follow(
    node: Node, operands: Sequence[Numbers | None], specs: Mapping[Source, TensorSpec]
) -> tuple[Numbers, ...] | None:
    """What ``node`` returns as `Numbers`, None where it is none of those that can be followed."""
    if node.op in ("Shape", "Size", "Rank"):
        return _of_shape(node, specs)
    rule = _RULES.get(node.op)
    given = [item for item in operands if item is not None]
    if rule is None or len(given) != len(operands):
        return None
    try:
        made = rule(node, given)
    except (ModelError, IndexError, TypeError, ValueError, AttributeError):
        return None  # it may be sound all the same, but cannot be followed
    if made is None:
        return None
    results = made if isinstance(made, tuple) else (made,)
    return results if all(result.size <= _MOST for result in results) else None


def numbers_of(array: Array) -> Numbers | None:
    """A constant of whole numbers, None for other constants."""
    if array.dtype.kind not in "iub" or array.size > _MOST:
        return None
    return _objects([int(item) for item in array.ravel()], array.shape)


def _objects(items: Sequence[Any], shape: tuple[int, ...]) -> Numbers:
    made = np.empty(len(items), object)
    for at, item in enumerate(items):
        made[at] = item
    return made.reshape(shape)


def _of_shape(node: Node, specs: Mapping[Source, TensorSpec]) -> tuple[Numbers, ...] | None:
    source = node.inputs[0] if node.inputs else ("", 0)
    if source not in specs:
        return None
    shape = specs[source].shape
    if node.op == "Rank":
        return (_objects([len(shape)], ()),)
    sizes = [SizeOf(source, axis) if size is None else size for axis, size in enumerate(shape)]
    if node.op == "Shape":
        return (_objects(sizes, (len(sizes),)),)
    known = [size for size in sizes if isinstance(size, int)]
    return (_objects([int(np.prod(known)) if len(known) == len(sizes) else None], ()),)


def _elementwise(compute: Callable[[int, int], int], neutral: int | None = None) -> Callable[..., Numbers]:
    def one(a: Any, b: Any) -> Any:
        if isinstance(a, int) and isinstance(b, int):
            return compute(a, b)
        return a if b == neutral and neutral is not None else None

    def rule(node: Node, given: Sequence[Numbers]) -> Numbers:
        a, b = np.broadcast_arrays(*given)
        return _objects([one(x, y) for x, y in zip(a.ravel(), b.ravel(), strict=True)], a.shape)

    return rule


def _reduced(compute: Callable[[list[int]], int]) -> Callable[..., Numbers]:
    def rule(node: Node, given: Sequence[Numbers]) -> Numbers:
        x = given[0]
        if x.ndim != 1:
            raise ValueError("only vectors are followed")
        items = list(x)
        known = all(isinstance(item, int) for item in items)
        made = _objects([compute(items) if known else None], ())
        return made.reshape(1) if attribute(node, "keep_dims", "b") else made

    return rule


def _product(items: list[int]) -> int:
    product = 1
    for item in items:
        product *= item
    return product


def _strided(node: Node, given: Sequence[Numbers]) -> Numbers | None:
    x, *bounds = given
    if x.ndim != 1 or any(attribute(node, name, "i") for name in ("ellipsis_mask", "new_axis_mask")):
        return None
    begin, end, step = (int(bound.ravel()[0]) for bound in bounds)
    low = None if attribute(node, "begin_mask", "i") else begin
    high = None if attribute(node, "end_mask", "i") else end
    if attribute(node, "shrink_axis_mask", "i"):
        return _objects([x[begin if low is not None else 0]], ())
    return x[low:high:step]


def _pack(node: Node, given: Sequence[Numbers]) -> Numbers:
    return np.stack(given, axis=attribute(node, "axis", "i") or 0)


def _unpack(node: Node, given: Sequence[Numbers]) -> tuple[Numbers, ...]:
    return tuple(_objects([item], ()) if given[0].ndim == 1 else item for item in given[0])


def _concat(node: Node, given: Sequence[Numbers]) -> Numbers:
    return np.concatenate(given[:-1], axis=int(given[-1].item()))


def _gather(node: Node, given: Sequence[Numbers]) -> Numbers:
    x, index = given[0], given[1]
    chosen = [x[int(at)] for at in index.ravel()]
    if x.ndim != 1:
        raise ValueError("only vectors are followed")
    return _objects(chosen, index.shape)


def _slice(node: Node, given: Sequence[Numbers]) -> Numbers:
    x, begin, sizes = given
    key = tuple(
        slice(int(low), None if int(size) == -1 else int(low) + int(size))
        for low, size in zip(begin.ravel(), sizes.ravel(), strict=True)
    )
    return x[key]


def _range(node: Node, given: Sequence[Numbers]) -> Numbers:
    items = range(*(int(item.item()) for item in given))
    if len(items) > _MOST:
        raise ValueError("too long to be followed")
    return _objects(list(items), (len(items),))


def _fill(node: Node, given: Sequence[Numbers]) -> Numbers:
    shape = tuple(int(item) for item in given[0].ravel())
    if _product(list(shape)) > _MOST:
        raise ValueError("too long to be followed")
    return _objects([given[1].item()] * _product(list(shape)), shape)


def _cast(node: Node, given: Sequence[Numbers]) -> Numbers:
    if attribute(node, "DstT", "type") not in ("DT_INT32", "DT_INT64"):
        raise ValueError("only whole numbers are followed")
    return given[0]


def _expand(node: Node, given: Sequence[Numbers]) -> Numbers:
    return np.expand_dims(given[0], int(given[1].item()))


def _squeeze(node: Node, given: Sequence[Numbers]) -> Numbers:
    axes = attribute(node, "squeeze_dims", "list.i")
    return np.squeeze(given[0], tuple(axes) if axes else None)


def _reshape(node: Node, given: Sequence[Numbers]) -> Numbers:
    return given[0].reshape([int(size) for size in given[1].ravel()])


def _same(node: Node, given: Sequence[Numbers]) -> Numbers:
    return given[0]


_RULES: Mapping[str, Callable[..., Numbers | tuple[Numbers, ...] | None]] = {
    "Add": _elementwise(lambda a, b: a + b, 0),
    "AddV2": _elementwise(lambda a, b: a + b, 0),
    "Cast": _cast,
    "ConcatV2": _concat,
    "ExpandDims": _expand,
    "Fill": _fill,
    "FloorDiv": _elementwise(lambda a, b: a // b, 1),
    "GatherV2": _gather,
    "Identity": _same,
    "Max": _reduced(max),
    "Maximum": _elementwise(max),
    "Min": _reduced(min),
    "Minimum": _elementwise(min),
    "Mul": _elementwise(lambda a, b: a * b, 1),
    "Pack": _pack,
    "Prod": _reduced(_product),
    "Range": _range,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "StridedSlice": _strided,
    "Sub": _elementwise(lambda a, b: a - b, 0),
    "Sum": _reduced(sum),
    "Unpack": _unpack,
}
