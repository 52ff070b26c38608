"""How one side's output lies to the exact answer: against the rigorous bound, and against what is expected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from math import inf, sqrt

import numpy as np

from bittrue.floats import bits_hex, ulp
from bittrue.graph.rounding import Rounding
from bittrue.traces import Array

from .result import OwnError, Worst

__all__ = ["MARGIN", "Judging", "Pairs", "judge", "limit", "misshapen", "outside", "widest"]

MARGIN = 4.0
"""Observed over expected mean square that orders of summation and kernels' own steps may reach on clean runs, before
chance is allowed for. How often clean tensors are accused with it is measured by benchmarks/clean_tensors."""

_Z = 4.753424  # of the standard normal distribution, 1e-6 lie above


def widest(array: Array) -> Array:
    """Any float as float64, integers and booleans as they are but subtractable."""
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    return array.astype(np.float64)


def outside(y: Array, value: Array, bound: Array) -> Array:
    """Which elements of ``y`` lie farther than ``bound`` from ``value``; none where the bound is infinite.

    The same infinity is no distance, nor is anything non-finite from NaN; a shape that differs puts everything outside.
    """
    if y.shape != value.shape:
        return np.ones(y.shape, bool)
    return _outside(widest(y), value, bound)


def _outside(found: Array, value: Array, bound: Array) -> Array:
    with np.errstate(all="ignore"):
        inside = np.abs(found - value) <= bound
    inside |= np.isposinf(bound)
    if found.dtype.kind == "f":
        # What is made of a NaN is NaN, or an infinity where a maximum begins with one; a number would hide it.
        inside |= (found == value) | (~np.isfinite(found) & np.isnan(value))
    return np.asarray(~inside)


def judge(y: Array, rounding: Rounding) -> OwnError:
    """How ``y``, one output as a side returned it, lies to the exact answer. The shapes must be the same."""
    judging = Judging()
    judging.add(y, rounding)
    return judging.found(lambda: [(y, rounding)])


Pairs = Callable[[], Iterable[tuple[Array, Rounding]]]
"""The parts of an output, each with its exact answer, from the first on; may be asked for several times."""


class Judging:
    """How one output lies to the exact answer, gathered over parts of the batch; no part is held."""

    def __init__(self) -> None:
        self._size = self._examples = self._outside = self._strange = self._promised = 0
        self._largest = self._squares = self._share = self._allowed = 0.0
        self._ulps: float | None = 0.0
        self._worst: Worst | None = None
        self._expectation = _Expectation()

    def add(self, y: Array, rounding: Rounding) -> None:
        """The next part of the output and its exact answer, whose shapes must be the same."""
        found, value, bound = widest(y), rounding.value, np.broadcast_to(rounding.bound, y.shape)
        out = _outside(found, value, bound)
        error, finite = _errors(found, value)
        strange = out & ~np.isfinite(found) if found.dtype.kind == "f" else np.zeros(y.shape, bool)
        share = _share(error, bound, out)
        worst = float(share.max(initial=0.0))
        if worst > self._share:
            self._share, self._worst = worst, _worst(y, value, bound, share, self._examples)
        self._largest = max(self._largest, float(error.max(initial=0.0)))
        self._squares += float(np.sum(np.square(error)))
        ulps = _max_ulp(y, value, error, finite)
        self._ulps = None if ulps is None or self._ulps is None else max(self._ulps, ulps)
        self._outside += int(np.count_nonzero(out))
        self._strange += int(np.count_nonzero(strange))
        self._promised += int(np.count_nonzero(np.isfinite(bound)))
        self._allowed = max(self._allowed, float(np.max(bound, where=np.isfinite(bound), initial=0.0)))
        self._size += y.size
        self._examples += len(y) if y.ndim else 0
        self._expectation.add(error, finite, rounding, rounding.variance)

    def found(self, again: Pairs) -> OwnError:
        """What all parts say; ``again`` is asked for them once more where they err more than is expected."""
        expectation = _second_look(self._expectation, again)
        return OwnError(
            size=self._size,
            max_abs=self._largest,
            rms=sqrt(self._squares / self._size) if self._size else 0.0,
            max_ulp=self._ulps,
            bound_share=self._share,
            outside=self._outside,
            non_finite=self._strange,
            promised=self._promised,
            expectation=expectation.observed,
            limit=expectation.limit,
            worst=self._worst,
            allowed=self._allowed,
        )


def misshapen(y: Array) -> OwnError:
    """How an output lies to the exact answer whose shape is not that of the answer: all of it is outside."""
    return OwnError(y.size, inf, inf, None, inf, max(y.size, 1), 0, y.size, None, inf, None)


def _share(error: Array, bound: Array, out: Array) -> Array:
    with np.errstate(all="ignore"):
        share = np.where(error > 0, error / bound, 0.0)
    return np.where(out & (share <= 1), inf, share)  # a NaN has no distance, and is as far out as can be


def _errors(found: Array, value: Array) -> tuple[Array, Array]:
    """The distances, 0 where there is none, and where there is one."""
    with np.errstate(all="ignore"):
        error = np.abs(found - value).astype(np.float64)
    finite = np.isfinite(error)
    return (error if finite.all() else np.where(finite, error, 0.0)), finite


def _worst(y: Array, value: Array, bound: Array, share: Array, before: int) -> Worst:
    """The element of the largest share, in a part of an output that ``before`` examples come before."""
    index = tuple(int(axis) for axis in np.unravel_index(int(share.argmax()), y.shape))
    pattern = bits_hex(y[index]) if y.dtype.kind in "fiub" else hex(int(y[index].view(np.uint16)))
    place = (index[0] + before, *index[1:]) if index else index
    return Worst(place, float(y[index]), pattern, float(value[index]), float(bound[index]))


def _max_ulp(y: Array, value: Array, error: Array, finite: Array) -> float | None:
    if y.dtype.kind != "f" or value.dtype.kind != "f":
        return None
    if not error.any():
        return 0.0
    spacing = ulp(np.where(finite, value, 1.0), y.dtype)
    return float((error / spacing).max(initial=0.0))


@dataclass
class _Expectation:
    """Observed over expected mean square, and what it must not exceed, as the parts of a tensor add up."""

    grouped: bool = False
    """Whether equal values weigh as one: they come of equal sums, and their errors are one error seen several times."""
    _error: float = 0.0
    _expected: float = 0.0
    _weights: float = 0.0  # Σ expected², of elements or of groups
    _independent: float = inf
    _floating: bool = True

    def add(self, error: Array, finite: Array, rounding: Rounding, expected: Array) -> None:
        """The errors of a part, of which ``finite`` says where there are any, and their ``expected`` squares."""
        variance = np.broadcast_to(expected, error.shape)
        known = np.isfinite(variance) & finite
        kept = variance if known.all() else np.where(known, variance, 0.0)
        self._error += float(np.sum(np.square(error), where=known))
        self._expected += float(kept.sum())
        self._independent = min(self._independent, rounding.independent)
        self._floating &= rounding.value.dtype.kind == "f"
        if not self.grouped:
            self._weights += float(np.sum(np.square(kept)))
            return
        _, group = np.unique(rounding.value, return_inverse=True)
        together = np.bincount(group.reshape(-1), weights=kept.reshape(-1))
        # Values may be equal across parts as well: ‖Σ w‖ ≤ Σ ‖w‖, whatever groups the parts share.
        self._weights = (sqrt(self._weights) + sqrt(float(np.sum(np.square(together))))) ** 2

    @property
    def observed(self) -> float | None:
        """The mean square of the errors over that which is expected; None where nothing is expected to round."""
        return self._error / self._expected if self._floating and self._expected > 0 else None

    @property
    def limit(self) -> float:
        """What it must not exceed."""
        if self.observed is None:
            return inf
        return limit(min(self._independent, self._expected**2 / self._weights if self._weights else inf))

    @property
    def exceeded(self) -> bool:
        """Whether it does."""
        return self.observed is not None and self.observed > self.limit


def _second_look(first: _Expectation, again: Pairs) -> _Expectation:
    """``first``, or what holds where it is exceeded: equal values weigh as one, and terms may come in any order.

    Of sorted terms the partial sums grow larger than of mixed ones. That costs more to say, and is rare.
    """
    if not first.exceeded:
        return first
    grouped = _looked_at(again, lambda rounding: rounding.variance)
    if not grouped.exceeded or all(rounding.in_order is None for _, rounding in islice(again(), 1)):
        return grouped
    return _looked_at(again, lambda rounding: rounding.in_order() if rounding.in_order else rounding.variance)


def _looked_at(again: Pairs, expected: Callable[[Rounding], Array]) -> _Expectation:
    made = _Expectation(grouped=True)
    for y, rounding in again():
        error, finite = _errors(widest(y), rounding.value)
        made.add(error, finite, rounding, expected(rounding))
    return made


def limit(freedom: float) -> float:
    """What the mean of ``freedom`` squared standard normal errors exceeds once in a million, times `MARGIN`.

    E. B. Wilson and M. M. Hilferty's approximation of the χ² distribution (1931).
    """
    spread = 2 / (9 * max(freedom, 1.0))
    return MARGIN * float((1 - spread + _Z * sqrt(spread)) ** 3)
