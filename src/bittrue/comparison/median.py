"""Exact order statistics of ULP distances that were counted rather than kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from struct import pack, unpack

import numpy as np
from numpy.typing import NDArray

from .totals import TABLE, UlpTotals

__all__ = ["Scan", "fractional_median", "integer_median"]

Scan = Callable[[int, int], NDArray[np.uint64]]
"""``scan(low, shift)`` goes through the elements once more and counts, for each b in [0, 65536), the elements
whose key k (of unsigned 64 bits) satisfies (k - low) >> shift == b and k >= low."""

_FEW = 1024  # distances among which the median mostly is
_DIGIT = 16  # bits of a key that one scan tells apart


def integer_median(ulp: UlpTotals, scan: Scan) -> int | float:
    """The median of integer distances; the mean of the middle two where their number is even.

    Scans only if it lies outside the table of small distances. The key is the distance itself.
    """
    cached, ranks = cache(scan), _middle(sum(ulp.bins))
    cumulative = np.cumsum(ulp.small[:_FEW], dtype=np.uint64)
    if ulp.small.size > _FEW and cumulative[-1] <= ranks[1]:
        cumulative = np.cumsum(ulp.small, dtype=np.uint64)
    first, second = (_integer(ulp, cumulative, rank, cached) for rank in ranks)
    return (first + second) // 2 if (first + second) % 2 == 0 else (first + second) / 2


def fractional_median(ulp: UlpTotals, scan: Scan) -> float:
    """The median of fractional distances. The key is the bit pattern of the distance as float64."""
    if ulp.largest == 0:
        return 0.0
    cached = cache(scan)
    keys = (_descend(0, 64 - _DIGIT, rank, cached) for rank in _middle(sum(ulp.bins)))
    first, second = (float(unpack("<d", pack("<Q", key))[0]) for key in keys)
    return first + (second - first) / 2


def _middle(size: int) -> tuple[int, int]:
    return (size - 1) // 2, size // 2


def _integer(ulp: UlpTotals, cumulative: NDArray[np.uint64], rank: int, scan: Scan) -> int:
    small = int(cumulative[-1]) if cumulative.size else 0
    if rank < small:
        return _above(cumulative, rank)
    rank -= small
    if ulp.large.size:
        cumulative = np.cumsum(ulp.large, dtype=np.uint64)
        digit = _above(cumulative, rank)
        return _descend(digit * TABLE, 0, rank - int(cumulative[digit - 1]), scan)
    power = TABLE.bit_length() - 1
    while rank >= ulp.bins[power + 1]:
        rank -= ulp.bins[power + 1]
        power += 1
    return _descend(1 << power, max(0, power - _DIGIT), rank, scan)


def _above(cumulative: NDArray[np.uint64], rank: int) -> int:
    """The first place whose cumulative count is above ``rank``."""
    return int(np.searchsorted(cumulative, np.uint64(rank), side="right"))  # an int would have all of it converted


def _descend(low: int, shift: int, rank: int, scan: Scan) -> int:
    """The key of the element that is ``rank``-th among those from ``low`` on, all digits below ``shift`` unknown."""
    while True:
        cumulative = np.cumsum(scan(low, shift))
        digit = _above(cumulative, rank)
        rank -= int(cumulative[digit - 1]) if digit else 0
        low += digit << shift
        if shift == 0:
            return low
        shift = max(0, shift - _DIGIT)
