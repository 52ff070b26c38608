"""A tensor as another kind of number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bittrue.traces import Array

from .base import ExactOp, TensorSpec

__all__ = ["Cast"]


@dataclass(frozen=True)
class Cast(ExactOp):
    """To ``dtype``. Floats become integers by dropping the fraction; between floats nothing is rounded here."""

    dtype: str

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        return TensorSpec(specs[0].shape, np.dtype(self.dtype))

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Element by element."""
        return max(cut)

    def _evaluate(self, *arrays: Array) -> Array:
        (x,) = arrays
        kind = np.dtype(self.dtype).kind
        if kind == "b":
            return np.asarray(x != 0)
        return np.asarray(x, np.float64 if kind == "f" else np.int64)

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        (x,), (error,) = arrays, errors
        kind = np.dtype(self.dtype).kind
        if kind == "f":
            return error
        if x.dtype.kind != "f":
            return np.where(error > 0, 1.0, 0.0)
        if kind == "b":
            return np.where((np.abs(x) <= error) & (error > 0), 1.0, 0.0)
        low, high = (np.abs(np.trunc(x + sign * error) - np.trunc(x)) for sign in (-1, 1))
        return np.asarray(np.maximum(low, high), np.float64)

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        return gradient
