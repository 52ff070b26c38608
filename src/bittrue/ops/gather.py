"""Rows of a table by their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bittrue.errors import InputError
from bittrue.traces import Array

from .base import ExactOp, TensorSpec

__all__ = ["Gather"]


@dataclass(frozen=True)
class Gather(ExactOp):
    """table (V, …) and integers (any shape) give (any shape, …). A number outside 0 … V-1 is an InputError."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        table, index = specs
        if table.rank < 1 or index.dtype.kind not in "iu":
            raise self.refused(table, index, because="it needs a table and integers")
        return TensorSpec((*index.shape, *table.shape[1:]), table.dtype)

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """By the integers, of one table."""
        return cut[1] if not cut[0] else None

    def _evaluate(self, *arrays: Array) -> Array:
        table, index = arrays
        outside = (index < 0) | (index >= len(table))
        if outside.any():
            found = int(index[outside].flat[0])
            raise InputError(f"an input holds the number {found}, but its table has rows 0 to {len(table) - 1}")
        return np.asarray(table[index])

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        moved = np.asarray(errors[0][arrays[1]])
        doubtful = np.asarray(errors[1] > 0).reshape(*arrays[1].shape, *(1,) * (arrays[0].ndim - 1))
        return np.where(doubtful, np.inf, moved)

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        table, index = operands
        pulled = np.zeros(table.shape)
        np.add.at(pulled, index, gradient)  # a row may have been taken several times
        return pulled
