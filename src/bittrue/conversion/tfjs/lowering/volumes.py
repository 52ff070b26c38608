"""Transposed convolution over three axes, for which graph-models have no node that all backends get right."""

from __future__ import annotations

from math import prod

from bittrue.ops import Conv, ConvTranspose
from bittrue.ops.window import dilated

from .nodes import Tensor
from .registry import lower
from .scope import Scope

__all__ = ["transposed_in_volume"]


def transposed_in_volume(scope: Scope, op: ConvTranspose, x: Tensor, kernel: Tensor) -> Tensor:
    """A convolution of ``x`` with zeros between and around its elements, by the kernel turned around.

    Zeros are put in axis by axis in tensors of four axes at most, which all backends do alike.
    """
    if None in x.spec.shape[1:]:
        raise scope.refused("it spreads over three axes whose sizes are not known beforehand")
    *window, _, _ = (size or 0 for size in kernel.spec.shape)
    extents = dilated(tuple(window), op.dilation)
    for axis, (stride, extent, (low, high)) in enumerate(zip(op.strides, extents, op.crop, strict=True), 1):
        x = _stretched(scope, x, axis, stride, (extent - 1 - low, extent - 1 - high))
    return lower(scope, Conv((1,) * 3, "valid", op.dilation), [x, _turned(scope, kernel)])


def _stretched(scope: Scope, x: Tensor, axis: int, stride: int, margins: tuple[int, int]) -> Tensor:
    """``x`` with ``stride`` - 1 zeros between the elements of ``axis``, and ``margins`` around them."""
    low, high = margins
    if min(margins) < 0:
        raise scope.refused("it takes more off its result than its kernel reaches over")
    sizes = [size or 0 for size in x.spec.shape[1:]]
    size, behind = sizes[axis - 1], prod(sizes[axis:])
    flat = scope.reshape(x, [-1, size, 1, behind])
    wide = scope.padded(flat, ((0, 0), (0, 0), (0, stride - 1), (0, 0)))
    joined = scope.reshape(wide, [-1, size * stride, behind])
    length = (size - 1) * stride + 1
    cut = joined if stride == 1 else scope.sliced(joined, [(1, 0, length, 1)], (None, length, behind))
    edged = scope.padded(cut, ((0, 0), (low, high), (0, 0)))
    sizes[axis - 1] = length + low + high
    return scope.reshape(edged, [-1, *sizes])


def _turned(scope: Scope, kernel: Tensor) -> Tensor:
    """A kernel (taps…, N, C) with its taps in the opposite order, as (taps…, C, N)."""
    *window, filters, depth = (size or 0 for size in kernel.spec.shape)
    flat = scope.reshape(kernel, [prod(window), filters, depth])
    turned = scope.sliced(flat, [(0, None, None, -1)], (prod(window), filters, depth))
    return scope.reshape(scope.transposed(turned, (0, 2, 1)), [*window, depth, filters])
