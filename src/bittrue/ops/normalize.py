"""Normalisation by given statistics."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op, TensorSpec, broadcast, elementwise_cut, promote
from .gradients import scaled, summed_to

__all__ = ["Normalize"]


@dataclass(frozen=True)
class Normalize(Op):
    """(x - mean) / √(variance + ``epsilon``) · scale + shift, of five tensors that broadcast to x's shape."""

    arity: ClassVar[tuple[int, int | None]] = (5, 5)
    epsilon: float

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        x = specs[0]
        shape = broadcast(*(spec.shape for spec in specs))
        if shape is None or len(shape) != x.rank:
            raise self.refused(*specs, because="the statistics do not broadcast to the first")
        if not all(spec.is_floating for spec in specs):
            raise self.refused(*specs, because="it needs floating-point tensors")
        return TensorSpec(shape, promote(*specs))

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Element by element."""
        return elementwise_cut(cut, *specs)

    def _evaluate(self, *arrays: Array) -> Array:
        x, mean, variance, scale, shift = arrays
        return np.asarray((x - mean) * (scale / np.sqrt(variance + self.epsilon)) + shift)

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        x, mean, _, scale, _ = arrays
        dx, dmean, _, dscale, dshift = errors
        inverse, dinverse = self._inverse(arrays[2], errors[2])
        factor = inverse * np.abs(scale)
        dfactor = dinverse * (np.abs(scale) + dscale) + inverse * dscale
        moved = np.abs(x - mean) * dfactor + (dx + dmean) * (factor + dfactor) + dshift
        return np.asarray(np.broadcast_to(moved * (1 + 2.0**-50), exact.shape))

    def _inverse(self, variance: Array, error: Array) -> tuple[Array, Array]:
        """1 / √(variance + epsilon) and how far it may lie from that, without bound if the sum may vanish."""
        total = variance + self.epsilon
        inverse = 1 / np.sqrt(total)
        lowest = total - error
        highest_inverse = np.where(lowest > 0, 1 / np.sqrt(np.maximum(lowest, 0)), np.inf)
        return inverse, np.where(error > 0, highest_inverse - inverse + 2.0**-50 * inverse, 0.0)

    def _bound(self, axioms: Axioms, exact: Array, operands: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        carried = self._carried(exact, operands, errors)
        x, mean, _, scale, shift = (np.abs(a) + e for a, e in zip(operands, errors, strict=True))
        inverse, dinverse = self._inverse(operands[2], errors[2])
        # Valid for (x - mean)·f + shift and for x·f + (shift - mean·f): both products count in full. The path has
        # the rounded epsilon, its sum, root and quotient, the product with scale, two products and three sums.
        magnitudes = (x + mean) * scale * (inverse + dinverse) + shift
        roundings = 8 + 2 * axioms.division + 2 * axioms.functions.get("rsqrt", axioms.function).ulps
        return np.asarray(carried + axioms.sums(np.broadcast_to(magnitudes, exact.shape), roundings, 4))

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        raise NotImplementedError("Normalize bounds both parts at once")

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        x, mean, variance, scale, _ = operands
        inverse = 1 / np.sqrt(variance + self.epsilon)
        derivatives = (
            lambda: scale * inverse,
            lambda: -scale * inverse,
            lambda: -(x - mean) * scale * inverse**3 / 2,
            lambda: (x - mean) * inverse,
            lambda: 1.0,
        )
        return summed_to(scaled(gradient, derivatives[at]()), operands[at].shape)

    def independent_roundings(self, result: tuple[int, ...], *shapes: tuple[int, ...]) -> int:
        return prod(shapes[2])
