"""How one side's output lies to the exact answer: against the rigorous bound, and against what is expected."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np

from bittrue.floats import bits_hex, ulp
from bittrue.graph.rounding import Rounding
from bittrue.traces import Array

from .result import OwnError, Worst

__all__ = ["MARGIN", "judge", "limit", "misshapen", "outside", "widest"]

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
    found, value, bound = widest(y), rounding.value, np.broadcast_to(rounding.bound, y.shape)
    out = _outside(found, value, bound)
    with np.errstate(all="ignore"):
        error = np.abs(found - value).astype(np.float64)
    finite = np.isfinite(error)
    strange = out & ~np.isfinite(found) if found.dtype.kind == "f" else np.zeros(y.shape, bool)
    kept = error if finite.all() else np.where(finite, error, 0.0)
    share = _share(kept, bound, out)
    observed, least = _expectation(kept, finite, rounding)
    return OwnError(
        size=y.size,
        max_abs=float(kept.max(initial=0.0)),
        rms=sqrt(float(np.mean(np.square(kept)))) if y.size else 0.0,
        max_ulp=_max_ulp(y, value, kept, finite),
        bound_share=float(share.max(initial=0.0)),
        outside=int(np.count_nonzero(out)),
        non_finite=int(np.count_nonzero(strange)),
        promised=int(np.count_nonzero(np.isfinite(bound))),
        expectation=observed,
        limit=least,
        worst=_worst(y, value, bound, share),
        allowed=float(np.max(bound, where=np.isfinite(bound), initial=0.0)),
    )


def misshapen(y: Array) -> OwnError:
    """How an output lies to the exact answer whose shape is not that of the answer: all of it is outside."""
    return OwnError(y.size, inf, inf, None, inf, max(y.size, 1), 0, y.size, None, inf, None)


def _share(error: Array, bound: Array, out: Array) -> Array:
    with np.errstate(all="ignore"):
        share = np.where(error > 0, error / bound, 0.0)
    return np.where(out & (share <= 1), inf, share)  # a NaN has no distance, and is as far out as can be


def _worst(y: Array, value: Array, bound: Array, share: Array) -> Worst | None:
    if y.size == 0 or not share.max() > 0:
        return None
    index = tuple(int(axis) for axis in np.unravel_index(int(share.argmax()), y.shape))
    pattern = bits_hex(y[index]) if y.dtype.kind in "fiub" else hex(int(y[index].view(np.uint16)))
    return Worst(index, float(y[index]), pattern, float(value[index]), float(bound[index]))


def _max_ulp(y: Array, value: Array, error: Array, finite: Array) -> float | None:
    if y.dtype.kind != "f" or value.dtype.kind != "f":
        return None
    if not error.any():
        return 0.0
    spacing = ulp(np.where(finite, value, 1.0), y.dtype)
    return float((error / spacing).max(initial=0.0))


def _expectation(error: Array, finite: Array, rounding: Rounding) -> tuple[float | None, float]:
    """Observed over expected mean square, and what it must not exceed."""
    found = _against(error, finite, rounding, rounding.variance)
    if found[0] is not None and found[0] > found[1] and rounding.in_order is not None:
        # Of sorted terms the partial sums grow larger than of mixed ones. That costs more to say, and is rare.
        found = _against(error, finite, rounding, rounding.in_order())
    return found


def _against(error: Array, finite: Array, rounding: Rounding, expected: Array) -> tuple[float | None, float]:
    variance = np.broadcast_to(expected, error.shape)
    known = np.isfinite(variance) & finite
    kept = variance if known.all() else np.where(known, variance, 0.0)
    total = float(kept.sum())
    if rounding.value.dtype.kind != "f" or total <= 0:
        return None, inf
    observed = float(np.sum(np.square(error), where=known)) / total
    freedom = min(rounding.independent, total**2 / float(np.sum(np.square(kept))))
    if observed > limit(freedom):
        # Equal values come of equal sums: their errors are one error, seen several times, and weigh as one.
        _, group = np.unique(rounding.value, return_inverse=True)
        together = np.bincount(group.reshape(-1), weights=kept.reshape(-1))
        freedom = min(freedom, total**2 / float(np.sum(np.square(together))))
    return observed, limit(freedom)


def limit(freedom: float) -> float:
    """What the mean of ``freedom`` squared standard normal errors exceeds once in a million, times `MARGIN`.

    E. B. Wilson and M. M. Hilferty's approximation of the χ² distribution (1931).
    """
    spread = 2 / (9 * max(freedom, 1.0))
    return MARGIN * float((1 - spread + _Z * sqrt(spread)) ** 3)
