"""The geometry that convolutions and pooling share: kernels that slide over spatial axes, channels last."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from bittrue.traces import Array

from .base import Shape

__all__ = ["Padding", "dilated", "output_sizes", "pad", "paddings", "taps"]

Padding = str | tuple[tuple[int, int], ...]
"""How an input is padded: ``"valid"`` (not), ``"same"`` or (low, high) for each axis.

``"same"`` is TensorFlow's rule: n / stride outputs, rounded up; of an odd amount the extra element is at the end.
"""


def dilated(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """Extent of a kernel whose taps lie ``dilation`` apart."""
    return tuple((size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True))


def paddings(
    padding: Padding, sizes: tuple[int, ...], extents: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """(low, high) of each spatial axis for an input of ``sizes``."""
    if not isinstance(padding, str):
        return padding
    if padding == "valid":
        return ((0, 0),) * len(sizes)
    totals = [
        max((-(-size // stride) - 1) * stride + extent - size, 0)
        for size, extent, stride in zip(sizes, extents, strides, strict=True)
    ]
    return tuple((total // 2, total - total // 2) for total in totals)


def output_sizes(padding: Padding, sizes: Shape, extents: tuple[int, ...], strides: tuple[int, ...]) -> Shape:
    """Spatial sizes of the result; below 1 where the kernel does not fit, None where the input's is unknown."""
    found: list[int | None] = []
    for axis, (size, extent, stride) in enumerate(zip(sizes, extents, strides, strict=True)):
        if size is None:
            found.append(None)
        elif padding == "same":
            found.append(-(-size // stride))
        else:
            extra = 0 if isinstance(padding, str) else sum(padding[axis])
            found.append((size + extra - extent) // stride + 1)
    return tuple(found)


def pad(x: Array, amounts: tuple[tuple[int, int], ...], value: float) -> Array:
    """``x`` (batch, spatial…, channels) with its spatial axes padded by ``value``."""
    if not any(map(any, amounts)):
        return x
    return np.pad(x, ((0, 0), *amounts, (0, 0)), constant_values=value)


def taps(
    x: Array, kernel: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...], sizes: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Every position in the kernel with the view of padded ``x`` that it meets, of spatial ``sizes``."""
    for tap in product(*map(range, kernel)):
        starts = [offset * step for offset, step in zip(tap, dilation, strict=True)]
        cut = (
            slice(start, start + (size - 1) * stride + 1, stride)
            for start, size, stride in zip(starts, sizes, strides, strict=True)
        )
        yield tap, x[(slice(None), *cut)]
