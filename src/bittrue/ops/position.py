"""Where each element of a tensor stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op, TensorSpec

__all__ = ["Position"]


@dataclass(frozen=True)
class Position(Op):
    """The number of each element along ``axis``, counted from 0: int32 of the operand's size there, 1 elsewhere."""

    axis: int

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if not -x.rank <= self.axis < x.rank:
            raise self.refused(x, because="the axis is out of range")
        shape = [1 if axis != self.axis % x.rank else size for axis, size in enumerate(x.shape)]
        return TensorSpec(tuple(shape), np.dtype(np.int32))

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """The places along any other axis are the same for all."""
        return 0 if self.axis % specs[0].rank else None

    def _evaluate(self, *arrays: Array) -> Array:
        (x,) = arrays
        shape = [1] * x.ndim
        shape[self.axis] = x.shape[self.axis]
        return np.arange(x.shape[self.axis], dtype=np.int64).reshape(shape)

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        return np.zeros(exact.shape)

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        return np.zeros_like(size)
