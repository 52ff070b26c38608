"""One of two tensors, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op, TensorSpec, broadcast, elementwise_cut, promote
from .gradients import summed_to

__all__ = ["Select"]


@dataclass(frozen=True)
class Select(Op):
    """The second operand where the first (boolean) is true, else the third; all broadcast."""

    arity: ClassVar[tuple[int, int | None]] = (3, 3)

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        if specs[0].dtype != np.bool_:
            raise self.refused(*specs, because="the first must be boolean")
        shape = broadcast(*(spec.shape for spec in specs))
        if shape is None:
            raise self.refused(*specs, because="the shapes do not broadcast")
        return TensorSpec(shape, promote(*specs[1:]))

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Element by element."""
        return elementwise_cut(cut, *specs)

    def _evaluate(self, *arrays: Array) -> Array:
        return np.where(*arrays)

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        condition, a, b = arrays
        doubt, da, db = errors
        either = np.abs(np.subtract(a, b, dtype=np.float64)) + np.maximum(da, db)
        return np.where(doubt > 0, either, np.where(condition, da, db))

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        return np.zeros_like(size)

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        mine = np.where(operands[0] if at == 1 else ~operands[0], gradient, 0.0)
        return summed_to(mine, operands[at].shape)
