"""A tensor with a constant around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bittrue.traces import Array

from .base import ExactOp, TensorSpec

__all__ = ["Pad"]


@dataclass(frozen=True)
class Pad(ExactOp):
    """``widths`` (low, high) of ``value`` at the ends of every axis."""

    widths: tuple[tuple[int, int], ...]
    value: float = 0.0

    def __post_init__(self) -> None:
        if any(width < 0 for pair in self.widths for width in pair):
            raise ValueError(f"{self.widths} are no widths: one is negative")

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if x.rank != len(self.widths):
            raise self.refused(x, because=f"it needs {len(self.widths)} axes")
        sizes = (None if n is None else n + sum(pair) for n, pair in zip(x.shape, self.widths, strict=True))
        return TensorSpec(tuple(sizes), x.dtype)

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Unless the first axis is padded."""
        return max(cut) if self.widths[:1] == ((0, 0),) else None

    def _evaluate(self, *arrays: Array) -> Array:
        return np.pad(arrays[0], self.widths, constant_values=self.value)

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        return np.pad(errors[0], self.widths)

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        inside = (slice(low, low + size) for size, (low, _) in zip(operands[at].shape, self.widths, strict=True))
        return gradient[tuple(inside)]
