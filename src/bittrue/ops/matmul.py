"""Matrix product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bittrue.traces import Array

from .base import TensorSpec, broadcast, elementwise_cut, promote, same_size
from .bilinear import Bilinear
from .gradients import summed_to

__all__ = ["MatMul"]


@dataclass(frozen=True)
class MatMul(Bilinear):
    """(…, M, K) times (…, K, N) gives (…, M, N), leading axes broadcast; a first operand (…, K) with a matrix too."""

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

    def _places(self, shape: tuple[int, ...]) -> Array:
        return np.arange(shape[-2])[:, None]

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Matrices of several examples, or the rows of the first operand."""
        if max(spec.rank for spec in specs) > 2:
            return elementwise_cut(cut, *specs)
        return cut[0] if not cut[1] and specs[0].rank == 2 else None

    def _evaluate(self, *arrays: Array) -> Array:
        return product(*arrays)

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        a, b = operands
        if at == 0:
            return summed_to(product(gradient, np.swapaxes(b, -1, -2)), a.shape)
        if b.ndim == 2:
            return np.asarray(a.reshape(-1, a.shape[-1]).T @ gradient.reshape(-1, b.shape[-1]))
        return summed_to(np.swapaxes(a, -1, -2) @ gradient, b.shape)


def product(a: Array, b: Array) -> Array:
    """``a @ b``, in one BLAS call where the right operand is one matrix."""
    if b.ndim > 2 or a.ndim < 3:
        return np.asarray(a @ b)
    return np.asarray(a.reshape(-1, a.shape[-1]) @ b).reshape(*a.shape[:-1], b.shape[-1])
