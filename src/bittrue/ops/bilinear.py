"""What all sums of products of two operands share: each result is linear in either of them."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op
from .variance import coherent, repeats, sum_variance

__all__ = ["Bilinear"]

_MARKS = 32


class Bilinear(Op):
    """An op whose results are sums of `reduction_length` products of one element of each operand.

    Evaluated on magnitudes it gives the sums of the magnitudes, on squares those of the squares: bounds and
    expectations follow (Higham, section 3.1), and Jᵀ with respect to one operand is linear in the other.
    """

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    @abstractmethod
    def reduction_length(self, *shapes: tuple[int, ...]) -> int: ...

    def unfinished_terms(self, terms: tuple[int, ...], *shapes: tuple[int, ...]) -> int:
        """All of them: what is added to the result may have been there first."""
        return self.reduction_length(*shapes)

    @abstractmethod
    def _places(self, shape: tuple[int, ...]) -> Array:
        """For each element of a second operand of ``shape``, broadcast, the place of its term in memory's order."""

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        (a, b), (da, db) = arrays, errors
        carried = np.zeros(exact.shape)
        if np.any(da):
            carried = self._evaluate(da, np.abs(b))
        if np.any(db):
            carried = carried + self._evaluate(np.abs(a) + da, db)
        return np.asarray(carried * (1 + self.reduction_length(a.shape, b.shape) * 2.0**-52))

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        length = self.reduction_length(*(array.shape for array in magnitudes))
        return axioms.sums(self._evaluate(*magnitudes), length + 1, length)

    def _variance(
        self, axioms: Axioms, exact: Array, operands: tuple[Array, ...], variances: tuple[Array, ...]
    ) -> Array:
        (a, b), (va, vb) = operands, variances
        terms = self.reduction_length(a.shape, b.shape)
        a2, b2 = np.square(a), np.square(b)
        squares = self._evaluate(a2, b2)
        partial = np.square(exact) / 3 + squares / 6
        if axioms.in_order:
            partial = np.maximum(partial, self._partial_squares(a, b, terms))
        variance = sum_variance(axioms, partial, squares, terms, together=coherent(terms, a, b))
        if np.any(va):
            variance = variance + repeats(terms, a, b) * self._evaluate(va, b2)
        return variance + self._evaluate(a2, vb) if np.any(vb) else variance

    def _partial_squares(self, a: Array, b: Array, terms: int) -> Array:
        """The mean square of the partial sums of terms added in their order, from at most `_MARKS` of them."""
        places, marks = self._places(b.shape), np.unique(np.linspace(1, terms, min(terms, _MARKS)).astype(int))
        return np.asarray(
            sum(np.square(self._evaluate(a, np.where(places < mark, b, 0.0))) for mark in marks) / len(marks)
        )

    @abstractmethod
    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array: ...
