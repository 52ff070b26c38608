"""Pooling over windows and over whole axes."""

from __future__ import annotations

import re

from bittrue.ops import Pool

from ..formula import Formula, Value
from .layout import back, channels_first, channels_last
from .operations_elementwise import as_truth
from .registry import expands

_DIMENSIONS = ("1D", "2D", "3D")


def _kind(formula: Formula) -> tuple[str, int]:
    """("max" or "average", number of spatial axes), from the class's name."""
    name = formula.layer.class_name
    return "max" if "Max" in name else "average", int(re.sub(r"\D", "", name))


@expands(*(f"{kind}Pooling{n}" for kind in ("Max", "Average") for n in _DIMENSIONS))
def pooling(formula: Formula) -> Value:
    """Maximum or mean over sliding windows; padding is not counted."""
    kind, spatial = _kind(formula)
    options, first = formula.options, channels_first(formula)
    size = options.wholes("pool_size", 2, spatial)
    strides = size if options.raw("strides", None) is None else options.wholes("strides", None, spatial)
    padding = options.choice("padding", "valid", "valid", "same")
    x = channels_last(formula.x, spatial, first)
    return back(formula.apply(Pool(kind, size, strides, padding), x), spatial, first)


@expands(*(f"Global{kind}Pooling{n}" for kind in ("Max", "Average") for n in _DIMENSIONS))
def global_pooling(formula: Formula) -> Value:
    """Maximum or mean over all spatial axes; the mean, in one dimension, of the steps that a mask leaves."""
    kind, spatial = _kind(formula)
    start = 2 if channels_first(formula) else 1
    keepdims = formula.options.flag("keepdims", False)
    mask = formula.mask() if formula.layer.class_name == "GlobalAveragePooling1D" else None
    if mask is not None:
        counted = as_truth(mask).expanded(1 if start == 2 else 2)
        total = counted.where(formula.x, 0.0).reduced("sum", [start], keepdims)
        return total / counted.cast("float32").reduced("sum", [start], keepdims)
    return formula.x.reduced("max" if kind == "max" else "mean", range(start, start + spatial), keepdims)
