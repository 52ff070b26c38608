"""Transposed convolution: every input element spreads the kernel over the output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from bittrue.traces import Array

from .base import TensorSpec, promote, same_size
from .bilinear import Bilinear
from .matmul import product
from .window import dilated, taps

__all__ = ["ConvTranspose"]


@dataclass(frozen=True)
class ConvTranspose(Bilinear):
    """x (batch, spatial…, C) and a kernel (taps…, N, C) give (batch, spatial…, N).

    Unpadded, the result has (n - 1)·stride + extent elements on an axis. ``crop`` (low, high) takes elements
    off its ends; a negative one adds that many zeros.
    """

    strides: tuple[int, ...]
    crop: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.dilation:
            object.__setattr__(self, "dilation", (1,) * len(self.strides))

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        x, kernel = specs
        if x.rank != len(self.strides) + 2 or kernel.rank != x.rank:
            raise self.refused(x, kernel, because=f"both must have {len(self.strides) + 2} axes")
        window = tuple(size for size in kernel.shape[:-2] if size is not None)
        if len(window) != len(self.strides) or not same_size(x.shape[-1], kernel.shape[-1]):
            raise self.refused(x, kernel, because="the kernel does not fit the input's channels")
        extents = dilated(window, self.dilation)
        sizes = tuple(
            None if size is None else (size - 1) * stride + extent - low - high
            for size, stride, extent, (low, high) in zip(x.shape[1:-1], self.strides, extents, self.crop, strict=True)
        )
        if any(size is not None and size < 1 for size in sizes):
            raise self.refused(x, kernel, because="nothing is left of the result")
        return TensorSpec((x.shape[0], *sizes, kernel.shape[-2]), promote(x, kernel))

    def reduction_length(self, *shapes: tuple[int, ...]) -> int:
        return prod(shapes[1][:-2]) * shapes[1][-1]

    def _places(self, shape: tuple[int, ...]) -> Array:
        return np.arange(prod(shape[:-2]) * shape[-1]).reshape(*shape[:-2], 1, shape[-1])

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Every example by itself, with one kernel."""
        return cut[0] if not cut[1] else None

    def _evaluate(self, *arrays: Array) -> Array:
        x, kernel = arrays
        full = np.zeros((len(x), *self._full(x, kernel), kernel.shape[-2]))
        for tap, view in self._taps(full, x, kernel):
            view += product(x, kernel[tap].T)
        return self._cropped(full)

    def _full(self, x: Array, kernel: Array) -> list[int]:
        """Spatial sizes of the result before it is cropped."""
        extents = dilated(kernel.shape[:-2], self.dilation)
        spans = zip(x.shape[1:-1], self.strides, extents, strict=True)
        return [(size - 1) * stride + extent for size, stride, extent in spans]

    def _taps(self, full: Array, x: Array, kernel: Array) -> Iterator[tuple[tuple[int, ...], Array]]:
        """Every position in the kernel with the view of ``full`` that it spreads ``x`` over."""
        return taps(full, kernel.shape[:-2], self.strides, self.dilation, x.shape[1:-1])

    def _cropped(self, full: Array) -> Array:
        extra = [(max(-low, 0), max(-high, 0)) for low, high in self.crop]
        padded = np.pad(full, ((0, 0), *extra, (0, 0)))
        cut = (
            slice(max(low, 0), size - max(high, 0))
            for (low, high), size in zip(self.crop, padded.shape[1:-1], strict=True)
        )
        return padded[(slice(None), *cut)]

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        x, kernel = operands
        result = np.zeros(operands[at].shape)
        for tap, view in self._taps(self._uncropped(gradient, self._full(x, kernel)), x, kernel):
            if at == 0:
                result += product(view, kernel[tap])
            else:
                result[tap] = view.reshape(-1, view.shape[-1]).T @ x.reshape(-1, x.shape[-1])
        return result

    def _uncropped(self, gradient: Array, sizes: list[int]) -> Array:
        """The gradient of all that was there before elements were taken off, and without those that were added."""
        off = [(max(low, 0), max(high, 0)) for low, high in self.crop]
        padded = np.pad(gradient, ((0, 0), *off, (0, 0)))
        inside = (slice(max(-low, 0), max(-low, 0) + size) for (low, _), size in zip(self.crop, sizes, strict=True))
        return padded[(slice(None), *inside)]
