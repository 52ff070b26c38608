"""Layers that move, cut or repeat elements."""

from __future__ import annotations

import re

from bittrue.errors import ModelError
from bittrue.ops import Pad, Resize

from ..formula import Formula, Value
from .layout import back, channels_first, channels_last
from .operations_elementwise import as_float
from .registry import expands
from .resampling import resampled


def _spatial(formula: Formula) -> int:
    return int(re.sub(r"\D", "", formula.layer.class_name))


@expands("Flatten")
def flatten(formula: Formula) -> Value:
    """All axes but the batch in one."""
    x = formula.x
    return (x.moved(1, -1) if channels_first(formula) and x.rank > 2 else x).reshaped((-1,))


@expands("Reshape")
def reshape(formula: Formula) -> Value:
    """The elements of each example in another shape."""
    return formula.x.reshaped(formula.options.wholes("target_shape"))


@expands("Permute")
def permute(formula: Formula) -> Value:
    """The axes of each example, counted from 1, in another order."""
    return formula.x.transposed(0, *formula.options.wholes("dims"))


@expands("RepeatVector")
def repeat_vector(formula: Formula) -> Value:
    """(batch, features) to (batch, n, features)."""
    x = formula.x
    if x.rank != 2:
        raise ModelError(f"layer {formula.layer.name!r} (RepeatVector) takes two axes, but its tensor has {x.rank}")
    return x.reshaped((1, -1)).repeated(1, formula.options.whole("n"))


@expands("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(formula: Formula) -> Value:
    """Zeros around the spatial axes."""
    spatial = _spatial(formula)
    amounts = formula.options.pairs("padding", 1, spatial)
    widths = ((0, 0), (0, 0), *amounts) if channels_first(formula) else ((0, 0), *amounts, (0, 0))
    return formula.apply(Pad(widths), formula.x)


@expands("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(formula: Formula) -> Value:
    """The ends of the spatial axes taken off."""
    spatial = _spatial(formula)
    start = 2 if channels_first(formula) else 1
    y = formula.x
    for axis, (low, high) in enumerate(formula.options.pairs("cropping", 1, spatial), start):
        if low or high:
            y = y.sliced(axis, low, -high or None)
    return y


@expands("UpSampling1D", "UpSampling2D", "UpSampling3D")
def up_sampling(formula: Formula) -> Value:
    """Every element of the spatial axes several times."""
    spatial = _spatial(formula)
    first = channels_first(formula)
    y = channels_last(formula.x, spatial, first)
    sizes = formula.options.wholes("size", 2, spatial)
    kind = _interpolation(formula) if spatial == 2 else "nearest"
    if kind == "bilinear":
        return back(formula.apply(Resize("linear", factors=sizes), as_float(y)), spatial, first)
    if kind != "nearest":
        given = [y.size(axis) for axis in (1, 2)]
        if None in given:
            raise formula.refused("the size of its images is not known")
        height, width = (size * factor for size, factor in zip(given, sizes, strict=True) if size is not None)
        return back(resampled(formula, as_float(y), (height, width), kind, False), spatial, first)
    for axis, times in enumerate(sizes, 1):
        y = y.repeated(axis, times)
    return back(y, spatial, first)


def _interpolation(formula: Formula) -> str:
    return formula.options.choice("interpolation", "nearest", "nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
