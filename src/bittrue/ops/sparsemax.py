"""Sparsemax along one axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bittrue.trace import Array

from .base import Axioms, Op, TensorSpec

__all__ = ["Sparsemax"]


@dataclass(frozen=True)
class Sparsemax(Op):
    """Euclidean projection onto the simplex along ``axis`` (Martins and Astudillo 2016, algorithm 1)."""

    axis: int = -1

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if not -x.rank <= self.axis < x.rank or not x.is_floating:
            raise self.refused(x, because="it needs a floating-point tensor with that axis")
        return x

    def reduction_length(self, *shapes: tuple[int, ...]) -> int:
        return shapes[0][self.axis]

    def _evaluate(self, *arrays: Array) -> Array:
        x = np.moveaxis(arrays[0], self.axis, -1)
        ordered = -np.sort(-x, axis=-1)
        sums = np.cumsum(ordered, axis=-1)
        ranks = np.arange(1, x.shape[-1] + 1)
        support = np.count_nonzero(1 + ranks * ordered > sums, axis=-1, keepdims=True)
        threshold = (np.take_along_axis(sums, support - 1, axis=-1) - 1) / support
        return np.moveaxis(np.maximum(x - threshold, 0.0), -1, self.axis)

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        # A projection moves no farther than its argument (in the 2-norm).
        return np.asarray(np.broadcast_to(np.sqrt(np.sum(errors[0] ** 2, self.axis, keepdims=True)), exact.shape))

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        # Whatever support rounding picks, the threshold is a mean of at most n logits, each and 1 rounded n + 3
        # times; a wrong member of the support lies within that of the threshold.
        terms = magnitudes[0].shape[self.axis]
        largest = magnitudes[0].sum(self.axis, keepdims=True) + 1
        return axioms.sums(np.broadcast_to(2 * largest, size.shape), terms + 3 + axioms.division, terms)
