"""What a comparison of two tensors says: facts, and every figure that follows from them.

r is a value of the reference, c the candidate's at the same place. All differences are taken in float64, where the
difference of two float32 values is exact or correctly rounded. "Finite pairs" are the elements where both are finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isinf, isnan
from typing import Literal

import numpy as np

from bittrue.floats import bits_hex
from bittrue.traces import Array

from .exact import cosine, decibels
from .totals import Counts, Severity, Totals, UlpTotals

__all__ = ["Element", "Method", "Metrics"]

Method = Literal["kernel", "numpy"]
"""Which pass measured a pair: the fused WebAssembly kernel or NumPy. Only the last digits of sums may differ."""


@dataclass(frozen=True)
class Element:
    """One element of a pair of tensors, with both values and both bit patterns (``0x3f800000``).

    ``index`` has one number a dimension, ``flat_index`` is the same in row-major order. ``ulp`` is the distance of
    the two values where both are finite floats, in the unit of the pair's metrics; else None.
    """

    index: tuple[int, ...]
    flat_index: int
    reference: float | int | bool
    candidate: float | int | bool
    reference_bits: str
    candidate_bits: str
    ulp: int | float | None = None

    @classmethod
    def of(cls, reference: Array, candidate: Array, flat_index: int, ulp: int | float | None = None) -> Element:
        """The element at ``flat_index`` of two tensors of one shape."""
        index = tuple(int(axis) for axis in np.unravel_index(flat_index, reference.shape))
        r, c = reference[index], candidate[index]
        return cls(index, flat_index, r.item(), c.item(), bits_hex(r), bits_hex(c), ulp)

    @property
    def difference(self) -> float:
        """|c - r|; NaN or infinite where a value is not finite."""
        return float(abs(self.candidate - self.reference))


@dataclass(frozen=True, eq=False)
class Metrics:
    """Everything measured about one pair of tensors of one shape.

    ``median_ulp``: the exact median ULP distance of the finite pairs, None where there is none.
    ``ulp_unit``: the type whose spacing distances are counted in; None where the values are not floats.
    ``worst``: the worst element: a NaN on one side only comes first, then an infinity on one side only (or
    of the other sign), then the largest |c - r|, then a zero of the other sign, then a NaN of another payload; the
    first in row-major order of those that are equally bad. None if and only if the tensors are identical.
    ``worst_ulp``: the first element that has the largest ULP distance; None where that is 0 or there is none.
    """

    shape: tuple[int, ...]
    totals: Totals
    median_ulp: int | float | None
    ulp_unit: str | None
    worst: Element | None
    worst_ulp: Element | None
    method: Method

    @property
    def counts(self) -> Counts:
        """Numbers of elements by what became of them."""
        return self.totals.counts

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.counts.size

    @property
    def different_values(self) -> int:
        """Number of elements with r != c: NaN differs from everything, -0 equals +0 (NumPy's and the document's)."""
        return self.counts.different_values

    @property
    def different_bits(self) -> int:
        """Number of elements whose bit patterns differ, after exact widening where the types differ."""
        return self.counts.different_bits

    @property
    def identical(self) -> bool:
        """Whether every bit matches."""
        return self.different_bits == 0

    @property
    def average_difference(self) -> float:
        """sum(|r - c|) / size, in the tensor's unit: NaN if any difference is NaN (also inf - inf), else inf if any is.

        For tensors of at most one block (65,536 elements) it is NumPy's ``np.sum(np.abs(r - c)) / np.size(r)`` in
        float64 to the last digit; for larger ones blocks are added without rounding.
        """
        counts = self.counts
        if counts.size == 0 or counts.nan_both or counts.nan_mismatched or counts.infinities_matched:
            return float("nan")
        return float("inf") if counts.infinities_mismatched else self.totals.sums.absolute.mean(counts.size)

    @property
    def max_abs(self) -> float:
        """Largest |c - r| of the finite pairs, in the tensor's unit; NaN if there are none."""
        return self.totals.max_abs if self.counts.finite else float("nan")

    @property
    def mean_abs(self) -> float:
        """Mean |c - r| of the finite pairs, in the tensor's unit; NaN if there are none."""
        return self.totals.sums.absolute.mean(self.counts.finite) if self.counts.finite else float("nan")

    @property
    def max_rel(self) -> float:
        """Largest |c - r| / |r| of the finite pairs, a ratio: 0 where c = r = 0, inf where only r is 0; NaN if none."""
        return self.totals.max_rel if self.counts.finite else float("nan")

    @property
    def mean_rel(self) -> float:
        """Mean |c - r| / |r| of the finite pairs, a ratio: inf if any r is 0 and its c is not; NaN if none."""
        return self.totals.sums.relative.mean(self.counts.finite) if self.counts.finite else float("nan")

    @property
    def scale(self) -> float:
        """Largest |r| over the finite values of the reference, in the tensor's unit; 0 if there are none."""
        return self.totals.scale

    @property
    def max_abs_to_scale(self) -> float:
        """`max_abs` / `scale`, a ratio: 0 where nothing differs, inf where only the scale is 0; NaN if none."""
        return _ratio(self.max_abs, self.scale)

    @property
    def mean_abs_to_scale(self) -> float:
        """`mean_abs` / `scale`, a ratio, with the same rules."""
        return _ratio(self.mean_abs, self.scale)

    @property
    def cosine(self) -> float:
        """Cosine of the angle between the tensors over the finite pairs, in [-1, 1].

        1.0 where both are zero, NaN where only one is. A float64: 1.0 does not mean identical.
        """
        sums = self.totals.sums
        return cosine(sums.product, sums.squared_reference, sums.squared_candidate)

    @property
    def snr_db(self) -> float:
        """10 log10(sum(r²) / sum((c - r)²)) over the finite pairs, in dB; inf where they are all equal."""
        return decibels(self.totals.sums.squared_reference, self.totals.sums.squared_error)

    @property
    def nan_both(self) -> int:
        """Number of elements that are NaN on both sides."""
        return self.counts.nan_both

    @property
    def mismatched_nan(self) -> int:
        """Number of elements that are NaN on one side only."""
        return self.counts.nan_mismatched

    @property
    def mismatched_inf(self) -> int:
        """Number of elements without NaN that are infinite on one side only, or infinite with different signs."""
        return self.counts.infinities_mismatched

    @property
    def mismatched_zero_sign(self) -> int:
        """Number of elements that are -0 on one side and +0 on the other."""
        return self.counts.zero_signs_mismatched

    @property
    def max_ulp(self) -> int | float | None:
        """Largest ULP distance of the finite pairs; None where there are none or the values are not floats.

        Where both sides have one type it is the exact number of steps between the values, an integer. Where they
        have not (a float64 truth against float32) it is |c - r| in multiples of `ulp_unit`'s spacing at r.
        """
        return self._ulp.largest if self._ulp else None

    @property
    def mean_ulp(self) -> float | None:
        """Mean ULP distance of the finite pairs; None as for `max_ulp`."""
        return self._ulp.total.mean(self.counts.finite) if self._ulp else None

    @property
    def ulp_histogram(self) -> tuple[int, ...] | None:
        """How many ULP distances d of the finite pairs are 0, 1, 2-3, 4-7, … up to the largest; None as for `max_ulp`.

        Precisely d = 0, 0 < d < 2, 2 <= d < 4, 4 <= d < 8, …, which says the same of distances that are no integers.
        """
        return self._ulp.bins if self._ulp else None

    @property
    def _ulp(self) -> UlpTotals | None:
        return self.totals.ulp if self.counts.finite else None

    @property
    def severity(self) -> Severity:
        """How the worst element differs."""
        return self.totals.worst.severity


def _ratio(value: float, scale: float) -> float:
    if value == 0 or isnan(value):
        return value
    return value / scale if scale and not isinf(value) else float("inf")
