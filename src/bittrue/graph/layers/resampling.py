"""Images sampled at another size: resized, cropped to it, or both.

What is not an op of its own is a weighted sum along each axis, whose weights follow from the two sizes; they are those
of TensorFlow's kernels (``ResizeBicubic``, ``ScaleAndTranslate``), which is what Keras resizes with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bittrue.ops import Einsum, Pad, Resize
from bittrue.traces import Array

from ..formula import Formula, Value
from .layout import back, channels_first, channels_last
from .operations_elementwise import as_float
from .registry import expands

__all__ = ["resampled"]

Size = tuple[int, int]

_TABLE = 1024  # places between two elements that ResizeBicubic tells apart


@expands("Resizing")
def resizing(formula: Formula) -> Value:
    """Images sampled anew at ``height`` by ``width``, cropped or padded to that aspect ratio first if asked."""
    options, first = formula.options, channels_first(formula)
    kind = options.choice("interpolation", "bilinear", "bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")
    size = (options.whole("height"), options.whole("width"))
    x = channels_last(as_float(formula.x), 2, first)
    options.only("fill_mode", "constant")
    filling = options.number("fill_value", 0.0)
    if options.flag("crop_to_aspect_ratio", False):
        x = _cropped(x, _known(formula, x), size)
    if options.flag("pad_to_aspect_ratio", False):
        x = _padded(formula, x, size, filling)
    return back(resampled(formula, x, size, kind, options.flag("antialias", False)), 2, first)


@expands("CenterCrop")
def center_crop(formula: Formula) -> Value:
    """The middle of images; those that are smaller are cropped to the aspect ratio and resized."""
    first = channels_first(formula)
    x = channels_last(as_float(formula.x), 2, first)
    wanted, given = (formula.options.whole("height"), formula.options.whole("width")), _known(formula, x)
    if given[0] < wanted[0] or given[1] < wanted[1]:
        return back(resampled(formula, _cropped(x, given, wanted), wanted, "bilinear", False), 2, first)
    for axis, (size, part) in enumerate(zip(given, wanted, strict=True), 1):
        low = (size - part) // 2
        x = x.sliced(axis, low, low + part)
    return back(x, 2, first)


def _known(formula: Formula, x: Value) -> Size:
    height, width = x.size(1), x.size(2)
    if height is None or width is None:
        raise formula.refused("the size of its images is not known")
    return height, width


def _fitting(given: Size, wanted: Size) -> Size:
    """Height and width that the other side of ``given`` asks for in the aspect ratio of ``wanted``, in binary32."""
    height = int(np.float32(given[1] * wanted[0]) / np.float32(wanted[1]))
    width = int(np.float32(given[0] * wanted[1]) / np.float32(wanted[0]))
    return height, width


def _cropped(x: Value, given: Size, wanted: Size) -> Value:
    for axis, (size, fit) in enumerate(zip(given, _fitting(given, wanted), strict=True), 1):
        part = max(min(size, fit), 1)
        low = (size - part) // 2
        x = x if part == size else x.sliced(axis, low, low + part)
    return x


def _padded(formula: Formula, x: Value, wanted: Size, value: float) -> Value:
    given = _known(formula, x)
    margins = [max(fit - size, 0) // 2 for size, fit in zip(given, _fitting(given, wanted), strict=True)]
    if not any(margins):
        return x
    widths = ((0, 0), *((margin, margin) for margin in margins), (0, 0))
    padded = formula.apply(Pad(widths), x - value if value else x)
    return padded + value if value else padded


def resampled(formula: Formula, x: Value, size: Size, kind: str, antialias: bool) -> Value:
    """x (batch, height, width, channels) at ``size`` by ``kind`` of interpolation."""
    if kind == "nearest" or (kind == "bilinear" and not antialias):
        return formula.apply(Resize("linear" if kind == "bilinear" else "nearest", size), x)
    for axis, (given, wanted) in enumerate(zip(_known(formula, x), size, strict=True)):
        weights = (
            _bicubic(given, wanted) if kind == "bicubic" and not antialias else _sampled(given, wanted, kind, antialias)
        )
        equation = "bhwc,hn->bnwc" if axis == 0 else "bhwc,wn->bhnc"
        x = formula.apply(Einsum(equation), x, formula.constant(weights))
    return x


def _bicubic(given: int, wanted: int) -> Array:
    """(given, wanted): Keys's cubic with a = -1/2 at places rounded to a table, nothing beyond the ends."""
    scale = np.float32(given) / np.float32(wanted)
    place = (np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    low = np.floor(place)
    offset = np.rint((place - low) * np.float32(_TABLE)).astype(np.float64) / _TABLE
    weights = np.zeros((given, wanted))
    for step in (-1, 0, 1, 2):
        at = low.astype(np.int64) + step
        inside = np.flatnonzero((at >= 0) & (at < given))
        weights[at[inside], inside] += _keys(np.abs(step - offset))[inside]
    return np.asarray(weights / weights.sum(axis=0))


def _sampled(given: int, wanted: int, kind: str, antialias: bool) -> Array:
    """(given, wanted): a kernel laid on the grid's cells, widened when shrinking if ``antialias``, of sum 1."""
    kernel, radius = _KERNELS[kind]
    stretch = max(given / wanted, 1.0) if antialias else 1.0
    place = (np.arange(wanted) + 0.5) * given / wanted
    distance = (np.arange(given)[:, None] + 0.5 - place) / stretch
    weights = np.where(np.abs(distance) < radius, kernel(np.abs(distance)), 0.0)
    return np.asarray(weights / weights.sum(axis=0))


def _keys(distance: Array) -> Array:
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.asarray(np.where(distance <= 1, near, np.where(distance < 2, far, 0.0)))


def _lanczos(radius: int) -> Callable[[Array], Array]:
    return lambda distance: np.asarray(np.sinc(distance) * np.sinc(distance / radius))


_KERNELS: Mapping[str, tuple[Callable[[Array], Array], float]] = {
    "bilinear": (lambda distance: np.maximum(0.0, 1.0 - distance), 1.0),
    "bicubic": (_keys, 2.0),
    "lanczos3": (_lanczos(3), 3.0),
    "lanczos5": (_lanczos(5), 5.0),
}
