"""Sums, means and extremes over whole axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op, TensorSpec
from .variance import ROUNDING

__all__ = ["REDUCTIONS", "Reduce"]

REDUCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"all": np.all, "any": np.any, "max": np.max, "mean": np.mean, "min": np.min, "sum": np.sum}
)
"""The reductions by name, as float64 evaluates them."""


@dataclass(frozen=True)
class Reduce(Op):
    """``kind`` over ``axes`` (negative ones count from the end), which stay as size 1 if ``keepdims``."""

    kind: str
    axes: tuple[int, ...]
    keepdims: bool = False

    def __post_init__(self) -> None:
        if self.kind not in REDUCTIONS:
            raise ValueError(f"no reduction is called {self.kind!r}; known are {', '.join(REDUCTIONS)}")

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if any(not -x.rank <= axis < x.rank for axis in self.axes):
            raise self.refused(x, because="an axis is out of range")
        if self.kind == "mean" and not x.is_floating:
            raise self.refused(x, because="it needs a floating-point tensor")
        if self.kind in ("any", "all") and x.dtype != np.bool_:
            raise self.refused(x, because="it needs a boolean tensor")
        gone = {axis % x.rank for axis in self.axes}
        kept = [(axis, size) for axis, size in enumerate(x.shape) if self.keepdims or axis not in gone]
        return TensorSpec(tuple(1 if axis in gone else size for axis, size in kept), x.dtype)

    def reduction_length(self, *shapes: tuple[int, ...]) -> int:
        return prod(shapes[0][axis] for axis in self.axes) if self.kind in ("sum", "mean") else 0

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Unless it goes over the first axis."""
        return None if any(axis % specs[0].rank == 0 for axis in self.axes) else max(cut)

    def _evaluate(self, *arrays: Array) -> Array:
        return np.asarray(REDUCTIONS[self.kind](arrays[0], axis=self.axes, keepdims=self.keepdims))

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        kind = self.kind if self.kind in ("sum", "mean") else "max"
        moved = REDUCTIONS[kind](errors[0], axis=self.axes, keepdims=self.keepdims)
        return np.asarray(moved, np.float64) * (1 + self.reduction_length(arrays[0].shape) * 2.0**-52)

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        (x,) = operands
        gone = sorted(axis % x.ndim for axis in self.axes)
        kept = [axis for axis in range(x.ndim) if axis not in gone]
        if self.kind in ("sum", "mean"):
            share = gradient / self.reduction_length(x.shape) if self.kind == "mean" else gradient
            return np.broadcast_to(np.expand_dims(share.reshape([x.shape[axis] for axis in kept]), gone), x.shape)
        rows = x.transpose(*kept, *gone).reshape(gradient.size, -1)
        first = (np.argmax if self.kind == "max" else np.argmin)(rows, axis=1)
        back = np.zeros(rows.shape)
        back[np.arange(len(rows)), first] = gradient.reshape(-1)
        return back.reshape([x.shape[axis] for axis in (*kept, *gone)]).transpose(np.argsort([*kept, *gone]))

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        terms = self.reduction_length(magnitudes[0].shape)
        if terms == 0:
            return np.zeros_like(size)
        # A mean divides by the count, or multiplies by its rounded reciprocal.
        further = 1 + axioms.division if self.kind == "mean" else 0
        return axioms.sums(self._evaluate(magnitudes[0]), terms + further, terms)

    def _own_variance(self, axioms: Axioms, exact: Array, operands: tuple[Array, ...]) -> Array:
        terms = self.reduction_length(operands[0].shape)
        if terms == 0:
            return np.zeros_like(exact)
        # Equal elements are common (a constant picture), and their roundings all go the same way.
        largest = (terms + 1) / 2 * self._evaluate(np.abs(operands[0]))
        rounded = axioms.unit_roundoff**2 * (ROUNDING * np.square(largest) + np.square(exact))
        return np.asarray(rounded + (largest > 0) * axioms.flushed_variance(terms))
