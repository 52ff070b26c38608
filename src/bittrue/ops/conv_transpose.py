"""Transposed convolution: every input element spreads the kernel over the output."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product as positions
from math import prod
from typing import ClassVar

import numpy as np

from bittrue.traces import Array

from .base import Axioms, Op, TensorSpec, promote, same_size
from .matmul import product
from .variance import coherent, sum_variance
from .window import dilated

__all__ = ["ConvTranspose"]


@dataclass(frozen=True)
class ConvTranspose(Op):
    """x (batch, spatial…, C) and a kernel (taps…, N, C) give (batch, spatial…, N).

    Unpadded, the result has (n - 1)·stride + extent elements on an axis. ``crop`` (low, high) takes elements
    off its ends; a negative one adds that many zeros.
    """

    arity: ClassVar[tuple[int, int | None]] = (2, 2)
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

    def _evaluate(self, *arrays: Array) -> Array:
        x, kernel = arrays
        window = kernel.shape[:-2]
        extents = dilated(window, self.dilation)
        spans = [(size - 1) * stride for size, stride in zip(x.shape[1:-1], self.strides, strict=True)]
        sizes = [span + extent for span, extent in zip(spans, extents, strict=True)]
        full = np.zeros((len(x), *sizes, kernel.shape[-2]))
        for tap in positions(*map(range, window)):
            starts = [offset * step for offset, step in zip(tap, self.dilation, strict=True)]
            cut = (slice(s, s + n + 1, step) for s, n, step in zip(starts, spans, self.strides, strict=True))
            full[(slice(None), *cut)] += product(x, kernel[tap].T)
        return self._cropped(full)

    def _cropped(self, full: Array) -> Array:
        extra = [(max(-low, 0), max(-high, 0)) for low, high in self.crop]
        padded = np.pad(full, ((0, 0), *extra, (0, 0)))
        cut = (
            slice(max(low, 0), size - max(high, 0))
            for (low, high), size in zip(self.crop, padded.shape[1:-1], strict=True)
        )
        return padded[(slice(None), *cut)]

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        (x, kernel), (dx, dk) = arrays, errors
        carried = self._evaluate(dx, np.abs(kernel)) + self._evaluate(np.abs(x) + dx, dk)
        return carried * (1 + self.reduction_length(x.shape, kernel.shape) * 2.0**-52)

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        length = self.reduction_length(*(array.shape for array in magnitudes))
        return axioms.sums(self._evaluate(*magnitudes), length + 1, length)

    def _variance(
        self, axioms: Axioms, exact: Array, operands: tuple[Array, ...], variances: tuple[Array, ...]
    ) -> Array:
        (a, b), (va, vb) = operands, variances
        terms = self.reduction_length(a.shape, b.shape)
        a2, b2 = np.square(a), np.square(b)
        squares = self._evaluate(a2, b2)
        variance = sum_variance(axioms.unit_roundoff, exact, squares, terms, together=coherent(terms, a, b))
        if np.any(va):
            variance = variance + self._evaluate(va, b2)
        return variance + self._evaluate(a2, vb) if np.any(vb) else variance
