"""Convolution (cross-correlation) over any number of spatial axes, grouped and depthwise included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from bittrue.traces import Array

from .base import TensorSpec, promote, same_size
from .bilinear import Bilinear
from .matmul import product
from .window import Padding, dilated, output_sizes, pad, paddings, taps

__all__ = ["Conv"]

_BLOCK = 2**23  # elements of one block of examples: bounds the copies at some 64 MB


@dataclass(frozen=True)
class Conv(Bilinear):
    """Convolution of x (batch, spatial…, C) with a kernel (taps…, C / groups, N) to (batch, spatial…, N).

    Output channel n belongs to group n // (N / groups); a depthwise convolution has groups = C.
    """

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

    def _places(self, shape: tuple[int, ...]) -> Array:
        return np.arange(prod(shape[:-1])).reshape(*shape[:-1], 1)

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Every example by itself, with one kernel."""
        return cut[0] if not cut[1] else None

    def _evaluate(self, *arrays: Array) -> Array:
        x, kernel = arrays
        blocks = [self._block(x[examples], kernel) for examples in _blocks(x, kernel)]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def _block(self, x: Array, kernel: Array) -> Array:
        shape = self.infer(TensorSpec.of(x), TensorSpec.of(kernel))[0].shape
        sizes = tuple(size for size in shape[1:-1] if size is not None)
        result = np.zeros((len(x), *sizes, kernel.shape[-1]))
        for tap, view in self._taps(pad(x, self._amounts(x, kernel), 0.0), kernel, sizes):
            result += self._tap(view, kernel[tap])
        return result

    def _amounts(self, x: Array, kernel: Array) -> tuple[tuple[int, int], ...]:
        extents = dilated(kernel.shape[:-2], self.dilation)
        return paddings(self.padding, x.shape[1:-1], extents, self.strides)

    def _taps(self, padded: Array, kernel: Array, sizes: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Array]]:
        return taps(padded, kernel.shape[:-2], self.strides, self.dilation, sizes)

    def _tap(self, view: Array, weights: Array) -> Array:
        if self.groups == 1:
            return product(view, weights)
        grouped = view.reshape(*view.shape[:-1], self.groups, -1)
        depth, filters = weights.shape
        split = weights.reshape(depth, self.groups, filters // self.groups)
        # Depthwise convolutions are a plain product, which einsum would take a detour for.
        result = grouped * split[0] if depth == 1 else np.einsum("...gk,kgn->...gn", grouped, split, optimize=True)
        return np.asarray(result).reshape(*view.shape[:-1], filters)

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        x, kernel = operands
        to = self._to_kernel if at else self._to_input
        blocks = [to(x[examples], kernel, gradient[examples]) for examples in _blocks(x, kernel)]
        return np.asarray(sum(blocks)) if at else np.concatenate(blocks)

    def _to_input(self, x: Array, kernel: Array, gradient: Array) -> Array:
        amounts = self._amounts(x, kernel)
        sizes = (size + sum(pair) for size, pair in zip(x.shape[1:-1], amounts, strict=True))
        padded = np.zeros((len(x), *sizes, x.shape[-1]))
        for tap, view in self._taps(padded, kernel, gradient.shape[1:-1]):
            view += self._tap_back(gradient, kernel[tap])
        inside = (slice(low, low + size) for size, (low, _) in zip(x.shape[1:-1], amounts, strict=True))
        return padded[(slice(None), *inside)]

    def _tap_back(self, gradient: Array, weights: Array) -> Array:
        if self.groups == 1:
            return product(gradient, weights.T)
        grouped = gradient.reshape(*gradient.shape[:-1], self.groups, -1)
        split = weights.reshape(len(weights), self.groups, -1)
        if grouped.shape[-1] == 1 == len(weights):
            return np.asarray(gradient * weights[0])
        back = np.einsum("...gn,kgn->...gk", grouped, split, optimize=True)
        return np.asarray(back).reshape(*gradient.shape[:-1], -1)

    def _to_kernel(self, x: Array, kernel: Array, gradient: Array) -> Array:
        result = np.zeros(kernel.shape)
        grouped = gradient.reshape(-1, self.groups, kernel.shape[-1] // self.groups)
        for tap, view in self._taps(pad(x, self._amounts(x, kernel), 0.0), kernel, gradient.shape[1:-1]):
            met = view.reshape(-1, self.groups, kernel.shape[-2])
            result[tap] = np.einsum("pgk,pgn->kgn", met, grouped, optimize=True).reshape(result[tap].shape)
        return result


def _blocks(x: Array, kernel: Array) -> Iterator[slice]:
    """The examples, as many at a time as fit."""
    each = max(1, prod(x.shape[1:]) + prod(x.shape[1:-1]) * kernel.shape[-1])
    step = max(1, _BLOCK // each)
    return (slice(start, start + step) for start in range(0, max(len(x), 1), step))
