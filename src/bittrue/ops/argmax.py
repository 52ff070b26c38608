"""Where along an axis the largest element stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op, TensorSpec

__all__ = ["ArgMax"]


@dataclass(frozen=True)
class ArgMax(Op):
    """The number of the first of the largest elements along ``axis``, which goes; int32."""

    axis: int

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if not -x.rank <= self.axis < x.rank:
            raise self.refused(x, because="the axis is out of range")
        kept = [size for axis, size in enumerate(x.shape) if axis != self.axis % x.rank]
        return TensorSpec(tuple(kept), np.dtype(np.int32))

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Unless it goes along the first axis."""
        return max(cut) if self.axis % specs[0].rank else None

    def _evaluate(self, *arrays: Array) -> Array:
        return np.asarray(np.argmax(arrays[0], axis=self.axis), np.int64)

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        """How far the farthest element stands that may be the largest as well."""
        (x,), (error,) = arrays, errors
        surest = np.max(x - error, axis=self.axis, keepdims=True)
        candidates = (x + error >= surest) & ((error > 0) | (surest < np.max(x, axis=self.axis, keepdims=True)))
        shape = [1] * x.ndim
        shape[self.axis] = x.shape[self.axis]
        places = np.arange(x.shape[self.axis]).reshape(shape)
        distance = np.abs(places - np.expand_dims(exact, self.axis))
        return np.asarray(np.max(np.where(candidates, distance, 0), axis=self.axis), np.float64)

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        return np.zeros_like(size)
