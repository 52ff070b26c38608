"""What rounding is expected to do to sums of products: Higham's rule of thumb (section 2.8) made a figure.

A rounding error of a value v is taken as uniform within half an ulp: ulp(v)² / 12. With v's mantissa m spread as
those of products are (log-uniformly over [1, 2)), ulp(v)² = (2uv)² E[1 / m²] = 4u²v² · 0.75 / (2 ln 2).
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np

from bittrue.traces import Array

if TYPE_CHECKING:
    from .axioms import Axioms

__all__ = ["ROUNDING", "coherent", "joined_variance", "repeats", "sum_variance"]

ROUNDING = 4 * 0.75 / (2 * log(2)) / 12
"""Expected square of the error of one rounding, in units of u²v²."""

_SAMPLE = 4096
_FEW = 8
_EXAMPLES = 8


def sum_variance(axioms: Axioms, partial: Array, squares: Array, terms: int, *, together: bool) -> Array:
    """Expected squared error of a sum of ``terms`` products, added one after the other.

    ``squares`` is the sum of the squared terms, ``partial`` the mean square of the partial sums. That of k of K terms
    taken in random order is k(k-1)/(K(K-1)) (total² - squares) + k/K squares, for all k total²/3 + squares/6. Each
    product is rounded once. Trees and blocks round less. ``together``: the roundings may all go the same way.
    """
    each = squares + (terms + 1) * partial
    if together:
        each = each + np.square((terms + 1) / 2) * terms * squares
    return np.asarray(ROUNDING * axioms.unit_roundoff**2 * each + (squares > 0) * axioms.flushed_variance(terms))


def joined_variance(axioms: Axioms, first: Array, total: Array, terms: int) -> Array:
    """Expected further squared error where a sum of ``terms``, ``total`` in all, begins with ``first``, a bias say.

    Each of its roundings is one of something as large as ``first``. ``axioms.in_order``: where the terms are below half
    an ulp of ``first`` on average, each may be lost whole, and with them the total.
    """
    largest = axioms.unit_roundoff * np.abs(first)
    rounded = terms * ROUNDING * np.square(largest)
    if not axioms.in_order:
        return np.asarray(rounded)
    return np.asarray(rounded + np.where(np.abs(total) <= terms * largest, np.square(total), 0.0))


def repeats(terms: int, a: Array, b: Array) -> float:
    """How often the same product, with the same rounding errors in it, stands in one sum of ``terms``; at least 1.

    The errors of equal products add up, where those of different ones average out: r equal ones give r times the
    variance. ``a`` is counted by example (its first axis), of which the one of fewest values decides.
    """
    examples = a[:_EXAMPLES] if a.ndim > 1 else a[None]
    counts = [count for count in map(_different, examples) if count]
    return max(1.0, terms / (min(counts, default=1) * max(1, _different(b))))


def coherent(terms: int, a: Array, b: Array) -> bool:
    """Whether so few different products are added that their roundings repeat, and add up instead of averaging out."""
    return terms > 2 and repeats(terms, a, b) >= _FEW


def _different(values: Array) -> int:
    """How many different numbers but 0 are in a sample of ``values``."""
    flat = values.reshape(-1)
    sample = flat[:: max(1, flat.size // _SAMPLE)]
    return len(np.unique(sample[sample != 0]))
