"""Convolution (cross-correlation) over any number of spatial axes, grouped and depthwise included."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from bittrue.traces import Array

from .base import Axioms, Op, TensorSpec, promote, same_size
from .matmul import product
from .variance import coherent, sum_variance
from .window import Padding, dilated, output_sizes, pad, paddings, taps

__all__ = ["Conv"]

_BLOCK = 2**23  # elements of one block of examples: bounds the copies at some 64 MB


@dataclass(frozen=True)
class Conv(Op):
    """Convolution of x (batch, spatial…, C) with a kernel (taps…, C / groups, N) to (batch, spatial…, N).

    Output channel n belongs to group n // (N / groups); a depthwise convolution has groups = C.
    """

    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    strides: tuple[int, ...]
    padding: Padding = "valid"
    dilation: tuple[int, ...] = ()
    groups: int = 1

    def __post_init__(self) -> None:
        if not self.dilation:
            object.__setattr__(self, "dilation", (1,) * len(self.strides))

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        x, kernel = specs
        if x.rank != len(self.strides) + 2 or kernel.rank != x.rank:
            raise self.refused(x, kernel, because=f"both must have {len(self.strides) + 2} axes")
        *window, depth, filters = kernel.shape
        if None in window or depth is None or filters is None:
            raise self.refused(x, kernel, because="the kernel's sizes must be known")
        if not same_size(x.shape[-1], depth * self.groups) or filters % self.groups:
            raise self.refused(x, kernel, because=f"the channels do not fit {self.groups} groups")
        extents = dilated(tuple(size for size in window if size is not None), self.dilation)
        sizes = output_sizes(self.padding, x.shape[1:-1], extents, self.strides)
        if any(size is not None and size < 1 for size in sizes):
            raise self.refused(x, kernel, because="the kernel is larger than the padded input")
        return TensorSpec((x.shape[0], *sizes, filters), promote(x, kernel))

    def reduction_length(self, *shapes: tuple[int, ...]) -> int:
        return prod(shapes[1][:-1])

    def _evaluate(self, *arrays: Array) -> Array:
        x, kernel = arrays
        each = max(1, prod(x.shape[1:]) + prod(x.shape[1:-1]) * kernel.shape[-1])
        step = max(1, _BLOCK // each)
        blocks = [self._block(x[start : start + step], kernel) for start in range(0, max(len(x), 1), step)]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def _block(self, x: Array, kernel: Array) -> Array:
        window, extents = kernel.shape[:-2], dilated(kernel.shape[:-2], self.dilation)
        amounts = paddings(self.padding, x.shape[1:-1], extents, self.strides)
        shape = self.infer(TensorSpec.of(x), TensorSpec.of(kernel))[0].shape
        sizes = tuple(size for size in shape[1:-1] if size is not None)
        result = np.zeros((len(x), *sizes, kernel.shape[-1]))
        for tap, view in taps(pad(x, amounts, 0.0), window, self.strides, self.dilation, sizes):
            result += self._tap(view, kernel[tap])
        return result

    def _tap(self, view: Array, weights: Array) -> Array:
        if self.groups == 1:
            return product(view, weights)
        grouped = view.reshape(*view.shape[:-1], self.groups, -1)
        depth, filters = weights.shape
        split = weights.reshape(depth, self.groups, filters // self.groups)
        # Depthwise convolutions are a plain product, which einsum would take a detour for.
        result = grouped * split[0] if depth == 1 else np.einsum("...gk,kgn->...gn", grouped, split, optimize=True)
        return np.asarray(result).reshape(*view.shape[:-1], filters)

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        (x, kernel), (dx, dk) = arrays, errors
        carried = np.zeros(exact.shape)
        if np.any(dx):
            carried = self._evaluate(dx, np.abs(kernel))
        if np.any(dk):
            carried = carried + self._evaluate(np.abs(x) + dx, dk)
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
