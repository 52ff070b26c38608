"""The operations of keras.ops that move, cut, join or sum elements, as nodes of a Functional model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from bittrue.ops import ArgMax, Broadcast, Concat, Gather, Pad

from ..formula import Formula, Value
from ..loops import scan
from .operations_elementwise import as_float, as_truth, required
from .registry import expands_operation

__all__: list[str] = []


def _axes(formula: Formula, x: Value, key: str = "axis") -> tuple[int, ...]:
    """The axes named, counted from the front; all of them where none is."""
    if required(formula, key) is None:
        return tuple(range(x.rank))
    return tuple(sorted(x.axis(axis) for axis in formula.options.wholes(key)))


def _axis(formula: Formula, key: str = "axis") -> int:
    required(formula, key)
    return formula.options.whole(key)


def _keepdims(formula: Formula) -> bool:
    required(formula, "keepdims")
    return formula.options.flag("keepdims", False)


def _values(formula: Formula, name: str) -> list[Value]:
    given = formula.argument(0, name)
    if not isinstance(given, list | tuple) or not given:
        raise formula.refused(f"it is called with {name}={given!r}")
    return [formula.value(item, name) for item in given]


@expands_operation("Sum", "Mean", "Max", "Min", "Amax", "Amin", "Any", "All")
def reduction(formula: Formula) -> Value:
    """Sum, mean, maximum, minimum, or whether any or all are true, over axes."""
    name, x = formula.layer.class_name, formula.operand(0, "x")
    formula.options.only("initial", None)
    kind = name.removeprefix("A").lower() if name in ("Amax", "Amin") else name.lower()
    if kind in ("any", "all"):
        x = as_truth(x)
    elif kind == "mean":
        x = as_float(x)
    elif kind == "sum" and formula.spec(x.ref).dtype.kind == "b":
        x = x.cast("int32")
    return x.reduced(kind, _axes(formula, x), _keepdims(formula))


@expands_operation("Var", "Std")
def spread(formula: Formula) -> Value:
    """Mean of the squared distances from the mean over axes, or its square root."""
    x = as_float(formula.operand(0, "x"))
    axes = _axes(formula, x)
    distances = x - x.reduced("mean", axes)
    variance = distances.function("square").reduced("mean", axes, _keepdims(formula))
    return variance if formula.layer.class_name == "Var" else variance.function("sqrt")


@expands_operation("Logsumexp")
def logsumexp(formula: Formula) -> Value:
    """max + log Σ exp(x - max) over axes."""
    x = as_float(formula.operand(0, "x"))
    axes = _axes(formula, x)
    largest = x.reduced("max", axes)
    total = (x - largest).function("exp").reduced("sum", axes).function("log") + largest
    return total if _keepdims(formula) else total.squeezed(*axes)


@expands_operation("Argmax", "Argmin")
def argmax(formula: Formula) -> Value:
    """Where the first of the largest (smallest) elements along an axis stands."""
    x, axis, keepdims = formula.operand(0, "x"), _axis(formula), _keepdims(formula)
    axis = x.axis(axis)
    y = formula.apply(ArgMax(axis), x if formula.layer.class_name == "Argmax" else -x)
    return y.expanded(axis) if keepdims else y


@expands_operation("Cumsum")
def cumsum(formula: Formula) -> Value:
    """Every element plus those before it along an axis."""
    x, axis = formula.operand(0, "x"), _axis(formula)
    formula.options.only("dtype", None)
    if x.rank < 2:
        raise formula.refused("it adds up along the only axis of its tensor")
    return running_sum(formula, x.cast("int32") if formula.spec(x.ref).dtype.kind == "b" else x, axis)


def running_sum(formula: Formula, x: Value, axis: int) -> Value:
    """Every element of ``x``, of two axes or more, plus those before it along ``axis``."""
    sequence = x.moved(axis, 1).expanded(-1)
    kind = np.float64 if formula.spec(x.ref).is_floating else np.int32
    start = np.zeros((1,) * (sequence.rank - 1), kind)
    y = scan(formula, [sequence], [start], lambda _, slices, states: [states[0] + slices[0]])
    return y.squeezed(-1).moved(1, axis)


@expands_operation("Reshape")
def reshape(formula: Formula) -> Value:
    """The elements, row-major, in another shape; a size that is not known is what is left."""
    shape = required(formula, "newshape")
    given = [shape] if isinstance(shape, int) else shape
    if not isinstance(given, list | tuple) or not all(isinstance(item, int | None) for item in given):
        raise formula.options.refused("newshape", "is not a list of whole numbers")
    x = formula.operand(0, "x")
    sizes = [-1 if size is None else size for size in given]
    if sizes.count(-1) > 1:
        raise formula.options.refused("newshape", "leaves more than one size open")
    return x.reshaped(sizes, keep=0)


@expands_operation("Ravel")
def ravel(formula: Formula) -> Value:
    """All elements, row-major, along one axis."""
    return formula.operand(0, "x").reshaped((-1,), keep=0)


@expands_operation("Transpose")
def transpose(formula: Formula) -> Value:
    """The axes in another order; reversed if none is given."""
    x = formula.operand(0, "x")
    if required(formula, "axes") is None:
        return x.transposed(*reversed(range(x.rank)))
    return x.transposed(*(x.axis(axis) for axis in formula.options.wholes("axes")))


@expands_operation("Swapaxes")
def swap_axes(formula: Formula) -> Value:
    """Two axes exchanged."""
    x = formula.operand(0, "x")
    first, second = (x.axis(_axis(formula, key)) for key in ("axis1", "axis2"))
    order = list(range(x.rank))
    order[first], order[second] = second, first
    return x.transposed(*order)


@expands_operation("Moveaxis")
def move_axis(formula: Formula) -> Value:
    """One axis in another place."""
    x = formula.operand(0, "x")
    for key in ("source", "destination"):
        required(formula, key)
    (source,), (destination,) = (formula.options.wholes(key, None, 1) for key in ("source", "destination"))
    return x.moved(source, destination)


@expands_operation("ExpandDims")
def expand_dims(formula: Formula) -> Value:
    """New axes of size 1."""
    required(formula, "axis")
    y = formula.operand(0, "x")
    axes = formula.options.wholes("axis")
    rank = y.rank + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        y = y.expanded(axis)
    return y


@expands_operation("Squeeze")
def squeeze(formula: Formula) -> Value:
    """Without the axes named, or without all that are of size 1."""
    x = formula.operand(0, "x")
    if required(formula, "axis") is not None:
        return x.squeezed(*formula.options.wholes("axis"))
    return x.squeezed(*(axis for axis in range(x.rank) if x.size(axis) == 1))


@expands_operation("Concatenate")
def concatenate(formula: Formula) -> Value:
    """Tensors along an axis."""
    return formula.apply(Concat(_axis(formula)), *_values(formula, "xs"))


@expands_operation("Stack")
def stack(formula: Formula) -> Value:
    """Tensors along a new axis."""
    axis, values = _axis(formula), _values(formula, "x")
    place = axis % (values[0].rank + 1)
    return formula.apply(Concat(place), *(value.expanded(place) for value in values))


@expands_operation("Split")
def split(formula: Formula) -> tuple[Value, ...]:
    """Stretches of an axis: so many equal ones, or those between the places given."""
    x, parts = formula.operand(0, "x"), required(formula, "indices_or_sections")
    axis = x.axis(_axis(formula))
    size = x.size(axis)
    if isinstance(parts, int):
        if size is None:
            raise formula.refused("it splits an axis of unknown size into equal parts")
        cuts = [size // parts * at for at in range(1, parts)]
    else:
        cuts = list(formula.options.wholes("indices_or_sections"))
    return tuple(x.sliced(axis, start, stop) for start, stop in pairwise([0, *cuts, None]))


@expands_operation("Unstack")
def unstack(formula: Formula) -> tuple[Value, ...]:
    """The slices of an axis, which goes."""
    x = formula.operand(0, "x")
    axis = x.axis(_axis(formula))
    count = x.size(axis) or required(formula, "num")
    formula.options.inert("num")
    if not isinstance(count, int):
        raise formula.refused("it takes apart an axis of unknown size")
    return tuple(x.sliced(axis, at, at + 1).squeezed(axis) for at in range(count))


@expands_operation("GetItem")
def get_item(formula: Formula) -> Value:
    """x[key], the key made of numbers, slices, ``...`` and None."""
    y, key = formula.operand(0, "x"), formula.argument(1, "key")
    # A file has no word for a tuple; a list of whole numbers alone may have been a list of places.
    listed = isinstance(key, list) and not all(isinstance(item, int) for item in key)
    items: list[Any] = list(key) if isinstance(key, tuple) or listed else [key]
    if not all(item is None or item is Ellipsis or isinstance(item, int | slice) for item in items):
        raise formula.refused(f"it is indexed by {key!r}")
    taken = sum(item is not None and item is not Ellipsis for item in items)
    rest = [slice(None)] * (y.rank - taken)
    if Ellipsis in items:
        at = items.index(Ellipsis)
        items[at : at + 1] = rest
    return _indexed(y, items)


def _indexed(y: Value, items: Sequence[int | slice | None]) -> Value:
    axis = 0
    for item in items:
        if item is None:
            y = y.expanded(axis)
        elif isinstance(item, slice):
            y = y if item == slice(None) else y.sliced(axis, item.start, item.stop, item.step or 1)
        else:
            y = y.sliced(axis, item, item + 1 or None).squeezed(axis)
            continue
        axis += 1
    return y


@expands_operation("Take")
def take(formula: Formula) -> Value:
    """Elements of an axis by their numbers; negative ones count from the end."""
    x, index = formula.operand(0, "x"), formula.operand(1, "indices")
    if required(formula, "axis") is None:
        x, axis = x.reshaped((-1,), keep=0), 0
    else:
        axis = x.axis(formula.options.whole("axis"))
    size = x.size(axis)
    if size is not None:
        index = (index < 0).where(index + size, index)
    rank, count = index.rank, x.rank - 1
    y = formula.apply(Gather(), x.moved(axis, 0), index)
    order = list(range(rank, rank + count))
    order[axis:axis] = range(rank)
    return y.transposed(*order)


@expands_operation("OneHot")
def one_hot(formula: Formula) -> Value:
    """1 at the place that a whole number names along a new axis, 0 elsewhere."""
    x, axis = formula.operand(0, "x"), _axis(formula)
    formula.options.only("sparse", False)
    formula.options.inert("dtype")
    count = required(formula, "num_classes")
    last = formula.constant(np.arange(count, dtype=np.int32)).equals(x.expanded(-1))
    dtype = required(formula, "dtype") or "float32"
    return last.cast(str(dtype)).moved(-1, axis)


@expands_operation("BroadcastTo")
def broadcast_to(formula: Formula) -> Value:
    """Repeated until it has the shape given."""
    required(formula, "shape")
    return formula.apply(Broadcast(formula.options.wholes("shape")), formula.operand(0, "x"))


@expands_operation("Repeat")
def repeat(formula: Formula) -> Value:
    """Every element of an axis several times."""
    required(formula, "repeats")
    return formula.operand(0, "x").repeated(_axis(formula), formula.options.whole("repeats"))


@expands_operation("Tile")
def tile(formula: Formula) -> Value:
    """The whole tensor several times along every axis."""
    required(formula, "repeats")
    y, times = formula.operand(0, "x"), list(formula.options.wholes("repeats"))
    for _ in range(len(times) - y.rank):
        y = y.expanded(0)
    times = [1] * (y.rank - len(times)) + times
    for axis, count in enumerate(times):
        y = formula.apply(Concat(axis), *([y] * count)) if count != 1 else y
    return y


@expands_operation("Flip")
def flip(formula: Formula) -> Value:
    """The order along axes reversed."""
    y = formula.operand(0, "x")
    for axis in _axes(formula, y):
        y = y.sliced(axis, None, None, -1)
    return y


@expands_operation("Pad")
def pad(formula: Formula) -> Value:
    """A number put around."""
    x, widths = formula.operand(0, "x"), required(formula, "pad_width")
    required(formula, "mode")
    formula.options.only("mode", "constant")
    value = formula.argument(1, "constant_values")
    given = np.broadcast_to(np.asarray(widths, np.int64), (x.rank, 2))
    amounts = tuple((int(low), int(high)) for low, high in given)
    return formula.apply(Pad(amounts, 0.0 if value is None else float(value)), x)
