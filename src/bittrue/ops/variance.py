"""What rounding is expected to do to sums of products: Higham's rule of thumb (section 2.8) made a figure.

A rounding error of a value v is taken as uniform within half an ulp: ulp(v)² / 12. With v's mantissa m spread as
those of products are (log-uniformly over [1, 2)), ulp(v)² = (2uv)² E[1 / m²] = 4u²v² · 0.75 / (2 ln 2).
"""

from __future__ import annotations

from math import log

import numpy as np

from bittrue.traces import Array

__all__ = ["ROUNDING", "coherent", "sum_variance"]

ROUNDING = 4 * 0.75 / (2 * log(2)) / 12
"""Expected square of the error of one rounding, in units of u²v²."""

_SAMPLE = 4096
_FEW = 8


def sum_variance(u: float, total: Array, squares: Array, terms: int, *, together: bool) -> Array:
    """Expected squared error of a sum of ``terms`` products, added one after the other.

    ``total`` is the sum, ``squares`` the sum of the squared terms. The partial sum of k of K terms taken in random
    order has the mean square k(k-1)/(K(K-1)) (total² - squares) + k/K squares; summed over k and with one rounding
    for each product. Trees and blocks round less. ``together``: the roundings may all go the same way.
    """
    each = squares + (terms + 1) * (np.square(total) / 3 + squares / 6)
    if together:
        each = each + np.square((terms + 1) / 2) * terms * squares
    return np.asarray(ROUNDING * u * u * each)


def coherent(terms: int, *factors: Array) -> bool:
    """Whether so few different products are added that their roundings repeat, and add up instead of averaging out."""
    different = 1
    for factor in factors:
        flat = factor.reshape(-1)
        sample = flat[:: max(1, flat.size // _SAMPLE)]
        different *= len(np.unique(sample[sample != 0])) or 1
        if different * _FEW > terms:
            return False
    return terms > 2
