"""Maximum or mean over sliding windows."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op, TensorSpec
from .variance import ROUNDING
from .window import Padding, output_sizes, pad, paddings, taps

__all__ = ["Pool"]


@dataclass(frozen=True)
class Pool(Op):
    """``kind`` "max" or "average" over windows of ``size`` on x (batch, spatial…, C). Padding is never counted."""

    kind: str
    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding = "valid"

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if x.rank != len(self.size) + 2:
            raise self.refused(x, because=f"it needs {len(self.size) + 2} axes")
        if self.kind == "average" and not x.is_floating:
            raise self.refused(x, because="it needs a floating-point tensor")
        sizes = output_sizes(self.padding, x.shape[1:-1], self.size, self.strides)
        if any(size is not None and size < 1 for size in sizes):
            raise self.refused(x, because="the window is larger than the padded input")
        return TensorSpec((x.shape[0], *sizes, x.shape[-1]), x.dtype)

    def reduction_length(self, *shapes: tuple[int, ...]) -> int:
        return prod(self.size) if self.kind == "average" else 0

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Every example by itself."""
        return max(cut)

    def _evaluate(self, *arrays: Array) -> Array:
        (x,) = arrays
        if self.kind == "max":
            return self._fold(x, -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min)
        ones = np.ones((1, *x.shape[1:-1], 1))
        return self._fold(x, 0.0) / self._fold(ones, 0.0)

    def _fold(self, x: Array, outside: float) -> Array:
        amounts = paddings(self.padding, x.shape[1:-1], self.size, self.strides)
        shape = output_sizes(self.padding, x.shape[1:-1], self.size, self.strides)
        sizes = tuple(size for size in shape if size is not None)
        result = np.full((len(x), *sizes, x.shape[-1]), outside, x.dtype)
        combine = np.maximum if self.kind == "max" else np.add
        for _, view in taps(pad(x, amounts, outside), self.size, self.strides, (1,) * len(sizes), sizes):
            combine(result, view, out=result)
        return result

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        # A maximum moves by no more than the largest of the errors in its window, a mean by their mean.
        return self._evaluate(errors[0]) * (1 + prod(self.size) * 2.0**-52)

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        (x,) = operands
        amounts = paddings(self.padding, x.shape[1:-1], self.size, self.strides)
        sizes = exact.shape[1:-1]
        met = pad(x, amounts, -np.inf)
        back = np.zeros(met.shape)
        if self.kind == "average":
            gradient = gradient / self._fold(np.ones((1, *x.shape[1:-1], 1)), 0.0)
        both = (taps(array, self.size, self.strides, (1,) * len(sizes), sizes) for array in (met, back))
        waiting = np.ones(exact.shape, bool)
        for (_, view), (_, to) in zip(*both, strict=True):
            if self.kind == "average":
                to += gradient
            else:
                found = waiting & (view == exact)
                to += np.where(found, gradient, 0.0)
                waiting &= ~found
        inside = (slice(low, low + size) for size, (low, _) in zip(x.shape[1:-1], amounts, strict=True))
        return back[(slice(None), *inside)]

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        if self.kind == "max":
            # Nothing promises what is greater, a number or NaN: some backends' windows keep the NaN, others lose it.
            return np.where(np.isnan(size), np.inf, 0.0)
        terms = prod(self.size)
        return axioms.sums(self._evaluate(magnitudes[0]), terms + 1 + axioms.division, terms)

    def _own_variance(self, axioms: Axioms, exact: Array, operands: tuple[Array, ...]) -> Array:
        if self.kind == "max":
            return np.zeros_like(exact)
        terms = prod(self.size)
        # Equal elements are common (a constant picture), and their roundings all go the same way.
        largest = (terms + 1) / 2 * self._evaluate(np.abs(operands[0]))
        rounded = axioms.unit_roundoff**2 * (ROUNDING * np.square(largest) + np.square(exact))
        return np.asarray(rounded + (largest > 0) * axioms.flushed_variance(terms))
