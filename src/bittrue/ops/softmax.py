"""Softmax along one axis."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op, TensorSpec

__all__ = ["Softmax"]


@dataclass(frozen=True)
class Softmax(Op):
    """exp(x - max) / Σ exp(x - max) along ``axis``."""

    axis: int = -1

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if not -x.rank <= self.axis < x.rank:
            raise self.refused(x, because="the axis is out of range")
        if not x.is_floating:
            raise self.refused(x, because="it needs a floating-point tensor")
        return x

    def reduction_length(self, *shapes: tuple[int, ...]) -> int:
        return shapes[0][self.axis]

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Unless it goes along the first axis."""
        return max(cut) if self.axis % specs[0].rank else None

    def _evaluate(self, *arrays: Array) -> Array:
        e = np.exp(self._shifted(arrays[0]))
        return np.asarray(e / e.sum(axis=self.axis, keepdims=True))

    def _shifted(self, x: Array) -> Array:
        return np.asarray(x - x.max(axis=self.axis, keepdims=True, initial=-np.inf))

    def _bound(self, axioms: Axioms, exact: Array, operands: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        # To first order: subtracting the maximum errs by u|z|, so exp(z) by u|z| of itself, to which come the
        # function's own allowance, the sum and the division; r / (1 - r) covers the higher orders.
        (error,) = errors
        carried = self._carried(exact, operands, errors)
        size = exact + carried
        z = np.abs(self._shifted(operands[0])) + error + error.max(axis=self.axis, keepdims=True, initial=0.0)
        reached = np.where(size > 0, z, 0.0)
        factor = axioms.gamma(1) * reached + axioms.allowed("exp", 1.0, reached)
        terms = exact.shape[self.axis]
        # The sum errs by the factors' mean, weighted by the quotients, which add up to 1 or, with their errors, more.
        others = np.maximum(np.sum(size * factor, axis=self.axis, keepdims=True), axioms.allowed("exp", 1.0))
        r = factor + others + axioms.gamma(terms + 1 + axioms.division)
        grown = np.where(r < 0.5, r / (1 - r), np.inf)
        return np.asarray(carried + size * grown + (2 * terms + 2) * axioms.smallest_normal)

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        # No logit moves by more than its error d, so the numerator by no more than a factor exp(±d) and the sum by
        # no more than the mean of those factors, weighted by the quotients: what weighs nothing moves nothing.
        (error,) = errors
        if not error.any():
            return np.zeros(exact.shape)
        less = -np.sum(np.where(exact > 0, exact * np.expm1(-error), 0.0), axis=self.axis, keepdims=True)
        more = np.sum(np.where(exact > 0, exact * np.expm1(error), 0.0), axis=self.axis, keepdims=True)
        up = np.where(less < 1, (np.expm1(error) + less) / (1 - less), np.inf)
        down = (more - np.expm1(-error)) / (1 + more)
        grown = np.where(exact > 0, exact * np.maximum(up, np.where(np.isfinite(more), down, 1.0)), 0.0)
        return np.asarray(np.minimum(grown, 1.0) + 2.0**-50 * exact)

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        raise NotImplementedError("Softmax bounds both parts at once")

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        return np.asarray(exact * (gradient - np.sum(exact * gradient, axis=self.axis, keepdims=True)))

    def independent_roundings(self, result: tuple[int, ...], *shapes: tuple[int, ...]) -> int:
        return prod(result) // max(1, result[self.axis])
