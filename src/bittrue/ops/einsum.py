"""Sum of products of two tensors in Einstein's notation."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from bittrue.traces import Array

from .base import TensorSpec, promote, same_size
from .bilinear import Bilinear

__all__ = ["Einsum"]


@dataclass(frozen=True)
class Einsum(Bilinear):
    """``equation`` in explicit form, a letter an axis, none twice in a term: ``"bth,hnd->btnd"``."""

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

    def _places(self, shape: tuple[int, ...]) -> Array:
        _, second, output = self._terms
        sizes = tuple(1 if letter in output else size for letter, size in zip(second, shape, strict=True))
        return np.arange(prod(sizes)).reshape(sizes)

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Where the letter of the first axis is the output's first, and no operand that is not cut has it."""
        *operands, output = self._terms
        alike = (
            term[:1] == output[:1] if mark else output[:1] not in term for mark, term in zip(cut, operands, strict=True)
        )
        return max(cut) if output and all(alike) else None

    def _evaluate(self, *arrays: Array) -> Array:
        return np.asarray(np.einsum(self.equation, *arrays, optimize=True))

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        *terms, output = self._terms
        mine, other = terms[at], terms[1 - at]
        # An axis that no other term has was summed alone: what comes back is the same all along it.
        met = [letter for letter in mine if letter in output + other]
        back = np.einsum(f"{output},{other}->{''.join(met)}", gradient, operands[1 - at], optimize=True)
        alone = tuple(axis for axis, letter in enumerate(mine) if letter not in met)
        return np.broadcast_to(np.expand_dims(back, alone), operands[at].shape)
