"""Enlarging or shrinking the spatial axes by sampling between elements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op, Shape, TensorSpec

__all__ = ["Resize"]


@dataclass(frozen=True)
class Resize(Op):
    """x (batch, spatial…, C) sampled at the centres of a grid of ``size``, or of ``factors`` times its own.

    Output i of n lies at c = (i + ½)·size/n - ½ of the input. ``kind`` "linear" interpolates between the two
    elements beside c, "nearest" takes the one whose cell holds c; beyond the ends the last element counts.
    """

    kind: str
    size: tuple[int, ...] = ()
    factors: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("linear", "nearest"):
            raise ValueError(f"no interpolation is called {self.kind!r}; known are linear, nearest")
        if bool(self.size) == bool(self.factors) or any(n < 1 for n in (*self.size, *self.factors)):
            raise ValueError("either sizes or factors must be given, and all be positive")

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if x.rank != len(self.size or self.factors) + 2:
            raise self.refused(x, because=f"it needs {len(self.size or self.factors) + 2} axes")
        if self.kind == "linear" and not x.is_floating:
            raise self.refused(x, because="it needs a floating-point tensor")
        return TensorSpec((x.shape[0], *self._sizes(x.shape[1:-1]), x.shape[-1]), x.dtype)

    def _sizes(self, given: Shape) -> Shape:
        if self.size:
            return self.size
        return tuple(None if n is None else n * factor for n, factor in zip(given, self.factors, strict=True))

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Every example by itself."""
        return max(cut)

    def _evaluate(self, *arrays: Array) -> Array:
        (y,) = arrays
        for axis, (size, wanted) in enumerate(self._axes(y), 1):
            if self.kind == "nearest":
                y = np.take(y, _nearest(size, wanted), axis=axis)
            else:
                low, high, weight = _beside(size, wanted)
                weight = weight.reshape(-1, *(1,) * (y.ndim - axis - 1))
                y = np.take(y, low, axis=axis) * (1 - weight) + np.take(y, high, axis=axis) * weight
        return y

    def _axes(self, x: Array) -> list[tuple[int, int]]:
        wanted = [size for size in self._sizes(x.shape[1:-1]) if size is not None]
        return list(zip(x.shape[1:-1], wanted, strict=True))

    def _bound(self, axioms: Axioms, exact: Array, operands: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        # Axis by axis. An implementation's place lies within ε of c; over that stretch the result moves by no more
        # than ε times the differences of the elements around, and a + (b - a)·w rounds three times.
        (y,), (error,) = operands, errors
        for axis, (size, wanted) in enumerate(self._axes(y), 1):
            part = Resize(self.kind, (*y.shape[1:axis], wanted, *y.shape[axis + 1 : -1]))
            around = np.abs(y) + error
            moved = part._evaluate(error) if np.any(error) else np.float64(0)
            error = np.asarray(moved + self._stray(axioms, around, axis, size, wanted))
            y = part._evaluate(y)
        return np.asarray(np.broadcast_to(error, exact.shape))

    def _stray(self, axioms: Axioms, around: Array, axis: int, size: int, wanted: int) -> Array:
        place = (np.arange(wanted) + 0.5) * size / wanted
        epsilon = 4 * axioms.gamma(1) * (place + 1)
        shape = (-1, *(1,) * (around.ndim - axis - 1))
        if self.kind == "nearest":
            doubtful = (np.abs(place - np.rint(place)) <= epsilon).reshape(shape)
            ends = [np.clip(np.rint(place).astype(np.int64) - back, 0, size - 1) for back in (0, 1)]
            other = sum(np.take(around, end, axis=axis) for end in ends)
            return np.where(doubtful & (ends[0] != ends[1]).reshape(shape), other, 0.0)
        low = np.floor(place - 0.5).astype(np.int64)
        near = sum(np.take(around, np.clip(low + step, 0, size - 1), axis=axis) for step in (-1, 0, 1, 2))
        return np.asarray(2 * (epsilon.reshape(shape) + axioms.gamma(4)) * near + 4 * axioms.smallest_normal)

    def _variance(
        self, axioms: Axioms, exact: Array, operands: tuple[Array, ...], variances: tuple[Array, ...]
    ) -> Array:
        return np.asarray(np.square(self._bound(axioms, exact, operands, (np.sqrt(variances[0]),))) / 3)

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        for axis, (size, wanted) in reversed(list(enumerate(self._axes(operands[0]), 1))):
            back = np.moveaxis(gradient, axis, -1) @ self._weights(size, wanted)
            gradient = np.moveaxis(back, -1, axis)
        return gradient

    def _weights(self, size: int, wanted: int) -> Array:
        """How much each element of an axis (columns) counts in each of the result (rows)."""
        rows, weights = np.arange(wanted), np.zeros((wanted, size))
        if self.kind == "nearest":
            weights[rows, _nearest(size, wanted)] = 1
            return weights
        low, high, weight = _beside(size, wanted)
        np.add.at(weights, (rows, low), 1 - weight)  # beyond the ends both are the same element
        np.add.at(weights, (rows, high), weight)
        return weights

    def independent_roundings(self, result: tuple[int, ...], *shapes: tuple[int, ...]) -> int:
        return max(result[1:-1], default=1)

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        raise NotImplementedError("Resize bounds both parts at once")

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        raise NotImplementedError("Resize bounds both parts at once")


def _nearest(size: int, wanted: int) -> Array:
    """The element whose cell holds each place, in whole numbers: ⌊(2i + 1)·size / 2·wanted⌋."""
    return np.minimum((2 * np.arange(wanted) + 1) * size // (2 * wanted), size - 1)


def _beside(size: int, wanted: int) -> tuple[Array, Array, Array]:
    """The elements before and after each place, and how much the one after weighs."""
    place = (np.arange(wanted) + 0.5) * size / wanted - 0.5
    low = np.floor(place).astype(np.int64)
    return np.clip(low, 0, size - 1), np.clip(low + 1, 0, size - 1), place - low
