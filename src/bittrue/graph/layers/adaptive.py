"""Pooling to a number of outputs, whatever the size of the input."""

from __future__ import annotations

import re

from bittrue.ops import Concat, Pool

from ..formula import Formula, Value
from .layout import back, channels_first, channels_last
from .registry import expands

__all__: list[str] = []


@expands(*(f"Adaptive{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3)))
def adaptive_pooling(formula: Formula) -> Value:
    """Maximum or mean of ``output_size`` windows on each axis: the i-th of m from ⌊i·n/m⌋ to ⌈(i + 1)·n/m⌉."""
    name = formula.layer.class_name
    kind, spatial = "max" if "Max" in name else "average", int(re.sub(r"\D", "", name))
    first = channels_first(formula)
    x = channels_last(formula.x, spatial, first)
    wanted = formula.options.wholes("output_size", None, spatial)
    sizes = [x.size(axis) for axis in range(1, spatial + 1)]
    if None in sizes:
        raise formula.refused("the sizes that it divides into windows are not known")
    known = [size for size in sizes if size is not None]
    if all(size % count == 0 for size, count in zip(known, wanted, strict=True)):
        window = tuple(size // count for size, count in zip(known, wanted, strict=True))
        return back(formula.apply(Pool(kind, window, window), x), spatial, first)
    for axis, (size, count) in enumerate(zip(known, wanted, strict=True), 1):
        x = _along(formula, x, kind, axis, size, count)
    return back(x, spatial, first)


def _along(formula: Formula, x: Value, kind: str, axis: int, size: int, count: int) -> Value:
    """The windows of one axis: boxes are means of means, all windows of an axis being as long on the others."""
    reduction = "max" if kind == "max" else "mean"
    edges = [(at * size // count, -(-(at + 1) * size // count)) for at in range(count)]
    windows = [x.sliced(axis, low, high).reduced(reduction, [axis]) for low, high in edges]
    return windows[0] if count == 1 else formula.apply(Concat(axis), *windows)
