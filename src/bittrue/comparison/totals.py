"""What can be added up over parts of a pair of tensors: counts, sums, peaks and ULP distances.

An element is a pair (r, c) of the reference's and the candidate's value; indices are flat, in row-major order.
Totals of disjoint parts add up to the totals of the whole, in any order and grouping.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from .exact import ZERO, ExactSum

__all__ = ["TABLE", "Counts", "Peak", "Severity", "Sums", "Totals", "UlpTotals", "combine"]

TABLE = 65536
"""Integer ULP distances below this are counted one by one."""


Tally = NDArray[np.uint32] | NDArray[np.uint64]
"""Numbers of elements, by an index."""


@dataclass(frozen=True)
class Counts:
    """Numbers of elements.

    - ``size``: all. ``finite``: both values are finite.
    - ``different_values``: r != c, as IEEE 754 has it: NaN differs from everything, -0 equals +0.
    - ``different_bits``: the bit patterns differ.
    - ``nan_both``: both are NaN; ``nan_payloads_different``: those of them whose bits differ.
    - ``nan_mismatched``: one is NaN, the other is not.
    - ``infinities_matched``: both are the same infinity.
    - ``infinities_mismatched``: no NaN, at least one infinite, and not the same infinity.
    - ``zero_signs_mismatched``: one is -0, the other +0.
    """

    size: int = 0
    finite: int = 0
    different_values: int = 0
    different_bits: int = 0
    nan_both: int = 0
    nan_payloads_different: int = 0
    nan_mismatched: int = 0
    infinities_matched: int = 0
    infinities_mismatched: int = 0
    zero_signs_mismatched: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Sums:
    """Sums over the elements where both values are finite, in float64.

    ``absolute`` |c - r|; ``relative`` |c - r| / |r| (0 where c = r, infinite where only r is 0);
    ``squared_error`` (c - r)²; ``squared_reference`` r²; ``squared_candidate`` c²; ``product`` r c.
    """

    absolute: ExactSum = ZERO
    relative: ExactSum = ZERO
    squared_error: ExactSum = ZERO
    squared_reference: ExactSum = ZERO
    squared_candidate: ExactSum = ZERO
    product: ExactSum = ZERO

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.absolute + other.absolute,
            self.relative + other.relative,
            self.squared_error + other.squared_error,
            self.squared_reference + other.squared_reference,
            self.squared_candidate + other.squared_candidate,
            self.product + other.product,
        )


class Severity(IntEnum):
    """How an element differs; the higher the worse."""

    NONE = 0
    NAN_PAYLOAD = 1
    ZERO_SIGN = 2
    VALUE = 3
    INFINITY = 4
    NAN = 5


@dataclass(frozen=True)
class Peak:
    """The worst element: by severity, then by magnitude, then the first. ``index`` is -1 if there is none."""

    severity: Severity = Severity.NONE
    magnitude: float = 0.0
    index: int = -1

    def __add__(self, other: Peak) -> Peak:
        mine, theirs = (self.severity, self.magnitude), (other.severity, other.magnitude)
        if mine != theirs:
            return self if mine > theirs else other
        return self if self.index <= other.index else other


@dataclass(frozen=True, eq=False)
class UlpTotals:
    """ULP distances of the elements where both values are finite.

    ``bins``: how many distances are 0, in (0, 2), in [2, 4), in [4, 8) and so on, up to the largest.
    ``total``: their sum. ``largest``: the largest of them. ``worst``: the first element that has it.
    ``small``: how many distances are exactly 0, 1, … (of integer distances, those below `TABLE`).
    ``large``: how many distances are in [0, 1), [1, 2), … times `TABLE`, those below it left out; empty unless counted.
    """

    bins: tuple[int, ...] = ()
    total: ExactSum = ZERO
    largest: int | float = 0
    worst: int = -1
    small: Tally = field(default_factory=lambda: np.zeros(0, np.uint64))
    large: Tally = field(default_factory=lambda: np.zeros(0, np.uint64))

    def __add__(self, other: UlpTotals) -> UlpTotals:
        if self.largest == other.largest:
            worst = min((index for index in (self.worst, other.worst) if index >= 0), default=-1)
        else:
            worst = self.worst if self.largest > other.largest else other.worst
        return UlpTotals(
            tuple(a + b for a, b in zip_longest(self.bins, other.bins, fillvalue=0)),
            self.total + other.total,
            max(self.largest, other.largest),
            worst,
            _added(self.small, other.small),
            _added(self.large, other.large),
        )

    def without_tables(self) -> UlpTotals:
        """The same without ``small`` and ``large``, which nothing but the median needs."""
        return UlpTotals(self.bins, self.total, self.largest, self.worst)


def _added(a: Tally, b: Tally) -> Tally:
    longer, shorter = (a, b) if a.size >= b.size else (b, a)
    total = longer.astype(np.uint64)
    total[: shorter.size] += shorter
    return total


@dataclass(frozen=True)
class Totals:
    """Everything about a part of a pair of tensors that adds up.

    ``max_rel``: the largest |c - r| / |r| (as in `Sums`). ``scale``: the largest |r| over finite r.
    ``worst``: the worst element. ``ulp``: None where the values are not floats.
    """

    counts: Counts = Counts()
    sums: Sums = Sums()
    max_rel: float = 0.0
    scale: float = 0.0
    max_abs: float = 0.0
    worst: Peak = Peak()
    ulp: UlpTotals | None = None

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.counts + other.counts,
            self.sums + other.sums,
            max(self.max_rel, other.max_rel),
            max(self.scale, other.scale),
            max(self.max_abs, other.max_abs),
            self.worst + other.worst,
            combine(self.ulp, other.ulp),
        )


def combine(a: UlpTotals | None, b: UlpTotals | None) -> UlpTotals | None:
    """The sum, where None stands for nothing."""
    return a + b if a is not None and b is not None else a if b is None else b
