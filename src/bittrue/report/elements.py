"""Where in a tensor two runs differ, and the elements that differ most: what a picture of a layer needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from bittrue.floats import bits, bits_hex
from bittrue.traces import Array

__all__ = ["difference_map", "worst_elements"]

_SIDE = 24  # cells along each side of a map
_ELEMENTS = 4
_DECADES = 10  # levels of a map: level 9 is a difference as large as the tensor's largest value


def difference_map(reference: Array, candidate: Array) -> dict[str, Any] | None:
    """Where the differences lie, as at most 24 by 24 cells; None where every bit is the same.

    Spatial axes (all but the first and the last) make rows and columns, the first two of them; a tensor without two
    such axes is laid out in the order of its elements. A cell has the largest |difference| in it: ``.`` for equal bits,
    else a digit, 9 for as much as the largest |value| of the reference and one less for each power of ten below.
    """
    with np.errstate(all="ignore"):
        differs = bits(reference) != bits(candidate)
        if not differs.any():
            return None
        size = np.abs(candidate.astype(np.float64) - reference)
    size = np.where(np.isfinite(size), size, np.inf)
    scale = float(np.max(np.abs(reference), where=np.isfinite(reference), initial=0.0))
    plane, words = _plane(np.where(differs, np.maximum(size, np.finfo(np.float64).tiny), 0.0))
    cells = _shrunk(plane)
    with np.errstate(divide="ignore", over="ignore"):
        levels = np.clip(np.floor(np.log10(cells / (scale or 1.0))) + _DECADES - 1, 0, _DECADES - 1)
    text = "".join("." if cell == 0 else str(int(level)) for cell, level in zip(cells.flat, levels.flat, strict=True))
    return {"size": list(cells.shape), "levels": text, "words": words}


def _plane(size: Array) -> tuple[Array, str]:
    if size.ndim >= 4:
        others = (0, *range(3, size.ndim))
        return size.max(axis=others), "the first two spatial axes, the largest difference over all others"
    if size.ndim == 3:
        return size.max(axis=0), "positions downwards and channels across, the largest difference over the batch"
    if size.ndim == 2 and min(size.shape) > 1:
        return size, "examples downwards and features across"
    flat = size.reshape(-1)
    width = int(np.ceil(np.sqrt(flat.size)))
    padded = np.zeros(width * -(-flat.size // width))
    padded[: flat.size] = flat
    return padded.reshape(-1, width), "elements in their order, line by line"


def _shrunk(plane: Array) -> Array:
    for axis in (0, 1):
        size = plane.shape[axis]
        if size > _SIDE:
            plane = np.maximum.reduceat(plane, np.arange(_SIDE) * size // _SIDE, axis=axis)
    return plane


def worst_elements(reference: Array, candidate: Array) -> list[dict[str, Any]]:
    """The elements with the largest |difference|, the largest first; NaN or infinities on one side before all."""
    with np.errstate(all="ignore"):
        size = np.abs(candidate.astype(np.float64) - reference).reshape(-1)
    size = np.where(np.isnan(size), np.inf, size)
    size[(bits(reference) == bits(candidate)).reshape(-1)] = -1.0
    few = np.argpartition(-size, min(_ELEMENTS, size.size - 1))[:_ELEMENTS]
    order = few[np.lexsort((few, -size[few]))]
    return [_element(reference, candidate, int(at)) for at in order if size[at] >= 0]


def _element(reference: Array, candidate: Array, at: int) -> dict[str, Any]:
    index = np.unravel_index(at, reference.shape)
    ours, theirs = reference[index], candidate[index]
    return {
        "index": [int(axis) for axis in index],
        "reference": str(ours),
        "candidate": str(theirs),
        "reference_bits": bits_hex(ours),
        "candidate_bits": bits_hex(theirs),
    }
