"""Sum of products of two tensors in Einstein's notation."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from bittrue.traces import Array

from .base import Axioms, Op, TensorSpec, promote, same_size
from .variance import coherent, sum_variance

__all__ = ["Einsum"]


@dataclass(frozen=True)
class Einsum(Op):
    """``equation`` in explicit form, a letter an axis, none twice in a term: ``"bth,hnd->btnd"``."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    equation: str

    def __post_init__(self) -> None:
        left, arrow, output = self.equation.partition("->")
        terms = left.split(",")
        letters = [*terms, output]
        well_formed = arrow and len(terms) == 2 and all(t.isalpha() or not t for t in letters)
        if not well_formed or any(len(set(t)) != len(t) for t in letters) or set(output) - set(left):
            raise ValueError(f"{self.equation!r} is not an equation of two operands such as 'bth,hnd->btnd'")

    @property
    def _terms(self) -> tuple[str, str, str]:
        left, output = self.equation.split("->")
        first, second = left.split(",")
        return first, second, output

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        sizes: dict[str, int | None] = {}
        *operands, output = self._terms
        for spec, term in zip(specs, operands, strict=True):
            if spec.rank != len(term):
                raise self.refused(*specs, because=f"{term!r} names {len(term)} axes")
            for letter, size in zip(term, spec.shape, strict=True):
                if not same_size(sizes.get(letter), size):
                    raise self.refused(*specs, because=f"axis {letter!r} has two sizes")
                sizes[letter] = size if sizes.get(letter) is None else sizes[letter]
        return TensorSpec(tuple(sizes[letter] for letter in output), promote(*specs))

    def reduction_length(self, *shapes: tuple[int, ...]) -> int:
        *operands, output = self._terms
        sizes = {x: n for term, shape in zip(operands, shapes, strict=True) for x, n in zip(term, shape, strict=True)}
        return prod(size for letter, size in sizes.items() if letter not in output)

    def _evaluate(self, *arrays: Array) -> Array:
        return np.asarray(np.einsum(self.equation, *arrays, optimize=True))

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        (a, b), (da, db) = arrays, errors
        carried = self._evaluate(da, np.abs(b)) + self._evaluate(np.abs(a) + da, db)
        return carried * (1 + self.reduction_length(a.shape, b.shape) * 2.0**-52)

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
        variance = sum_variance(axioms.unit_roundoff, exact, squares, terms, together=coherent(terms, a, b))
        if np.any(va):
            variance = variance + self._evaluate(va, b2)
        return variance + self._evaluate(a2, vb) if np.any(vb) else variance
