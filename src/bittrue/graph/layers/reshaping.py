"""Layers that move, cut or repeat elements."""

from __future__ import annotations

import re

from bittrue.errors import ModelError
from bittrue.ops import Pad, Resize

from ..formula import Formula, Value
from .layout import back, channels_first, channels_last
from .operations_elementwise import as_float
from .registry import expands


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
    if spatial == 2 and formula.options.choice("interpolation", "nearest", "nearest", "bilinear") == "bilinear":
        return back(formula.apply(Resize("linear", factors=sizes), as_float(y)), spatial, first)
    for axis, times in enumerate(sizes, 1):
        y = y.repeated(axis, times)
    return back(y, spatial, first)


@expands("Resizing")
def resizing(formula: Formula) -> Value:
    """Images sampled anew at a size of ``height`` by ``width``."""
    options, first = formula.options, channels_first(formula)
    for key in ("crop_to_aspect_ratio", "pad_to_aspect_ratio"):
        options.only(key, False)
    options.inert("fill_mode", "fill_value")
    kind = options.choice("interpolation", "bilinear", "bilinear", "nearest")
    if kind == "bilinear":
        options.only("antialias", False)
    options.inert("antialias")
    x = channels_last(as_float(formula.x), 2, first)
    size = (options.whole("height"), options.whole("width"))
    return back(formula.apply(Resize("linear" if kind == "bilinear" else "nearest", size), x), 2, first)


@expands("CenterCrop")
def center_crop(formula: Formula) -> Value:
    """The middle of images, ``height`` by ``width``, of those that are no smaller."""
    options, first = formula.options, channels_first(formula)
    y = as_float(formula.x)
    for axis, key in enumerate(("height", "width"), 2 if first else 1):
        size, wanted = y.size(axis), options.whole(key)
        if size is None:
            raise formula.refused("the size of its images is not known")
        if size < wanted:
            raise formula.refused(f"its images are smaller than {key}={wanted}: it resizes those")
        low = (size - wanted) // 2
        y = y.sliced(axis, low, low + wanted)
    return y
