"""Matrix product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bittrue.traces import Array

from .base import Axioms, Op, TensorSpec, broadcast, promote, same_size
from .variance import coherent, sum_variance

__all__ = ["MatMul"]


@dataclass(frozen=True)
class MatMul(Op):
    """(…, M, K) times (…, K, N) gives (…, M, N), leading axes broadcast; a first operand (…, K) with a matrix too."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        a, b = specs
        if a.rank < 1 or b.rank < 2 or (a.rank == 1 and b.rank > 2):
            raise self.refused(a, b, because="it needs a matrix on the right and at least a vector on the left")
        if not same_size(a.shape[-1], b.shape[-2]):
            raise self.refused(a, b, because=f"{a.shape[-1]} columns meet {b.shape[-2]} rows")
        leading = broadcast(a.shape[:-2], b.shape[:-2])
        if leading is None:
            raise self.refused(a, b, because="the leading axes do not broadcast")
        return TensorSpec((*leading, *a.shape[-2:-1], b.shape[-1]), promote(a, b))

    def reduction_length(self, *shapes: tuple[int, ...]) -> int:
        return shapes[0][-1]

    def _evaluate(self, *arrays: Array) -> Array:
        return product(*arrays)

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        (a, b), (da, db) = arrays, errors
        carried = np.zeros(exact.shape)
        if np.any(da):
            carried = product(da, np.abs(b))
        if np.any(db):
            carried = carried + product(np.abs(a) + da, db)
        return np.asarray(carried * (1 + a.shape[-1] * 2.0**-52))

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        length = magnitudes[0].shape[-1]
        return axioms.sums(product(*magnitudes), length + 1, length)

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


def product(a: Array, b: Array) -> Array:
    """``a @ b``, in one BLAS call where the right operand is one matrix."""
    if b.ndim > 2 or a.ndim < 3:
        return np.asarray(a @ b)
    return np.asarray(a.reshape(-1, a.shape[-1]) @ b).reshape(*a.shape[:-1], b.shape[-1])
