"""Totals of one block in NumPy: any comparable dtypes, and the measure that the kernel is tested against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bittrue.floats import bits, ulp, ulp_distance
from bittrue.traces import Array

from .exact import ExactSum
from .totals import TABLE, Counts, Peak, Severity, Sums, Totals, UlpTotals

__all__ = ["block_totals", "common_dtype", "ulp_distances", "ulp_keys", "ulp_unit"]

_SAFE_EXPONENT = 400  # products of float64 with binary exponents up to this neither overflow nor underflow

Mask = NDArray[np.bool_]
Doubles = NDArray[np.float64]


def common_dtype(a: np.dtype[np.generic], b: np.dtype[np.generic]) -> np.dtype[np.generic] | None:
    """The type that holds the values of both exactly, if both are floats, both integers or both booleans; else None."""
    families = {dtype: "i" if dtype.kind == "u" else dtype.kind for dtype in (a, b)}
    if families[a] != families[b] or families[a] not in "fib" or max(a.itemsize, b.itemsize) > 8:
        return None
    common = np.promote_types(a, b)
    return common if (common.kind == "f") == (a.kind == "f") else None


def ulp_unit(a: np.dtype[np.generic], b: np.dtype[np.generic]) -> np.dtype[np.generic] | None:
    """The type whose spacing ULP distances are counted in: the narrower of two floats, None for anything else."""
    if a.kind != "f" or b.kind != "f":
        return None
    return (a if a.itemsize <= b.itemsize else b).newbyteorder("=")


@dataclass(frozen=True, eq=False)
class _Block:
    """One block, widened to a common type, with what every figure needs."""

    reference: Array
    candidate: Array
    differences: Doubles  # |c - r|
    nan_reference: Mask
    nan_candidate: Mask
    finite: Mask  # both values are
    different_bits: Mask

    @classmethod
    def of(cls, reference: Array, candidate: Array) -> _Block:
        common = np.promote_types(reference.dtype, candidate.dtype)
        r, c = reference.astype(common, copy=False), candidate.astype(common, copy=False)
        return cls(
            r, c, _differences(r, c), np.isnan(r), np.isnan(c), np.isfinite(r) & np.isfinite(c), bits(r) != bits(c)
        )


def _differences(r: Array, c: Array) -> Doubles:
    if r.dtype.kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):
            return np.abs(r.astype(np.float64) - c.astype(np.float64))
    wide = np.int64 if r.dtype.kind == "i" else np.uint64
    a, b = r.astype(wide), c.astype(wide)
    # As uint64 the difference of two 64-bit integers wraps to the exact result.
    return (np.maximum(a, b).view(np.uint64) - np.minimum(a, b).view(np.uint64)).astype(np.float64)


def block_totals(reference: Array, candidate: Array, start: int) -> Totals:
    """Totals of two flat arrays of one size, comparable dtypes and native byte order; element 0 has index ``start``."""
    block = _Block.of(reference, candidate)
    severities = _severities(block)
    relative = _relative(block)
    finite_reference = np.abs(block.reference[np.isfinite(block.reference)].astype(np.float64))
    return Totals(
        _counts(block, severities),
        _sums(block, relative),
        float(relative.max(initial=0.0)),
        float(finite_reference.max(initial=0.0)),
        float(block.differences[block.finite].max(initial=0.0)),
        _worst(block, severities, start),
        _ulp_totals(reference, candidate, block.finite, start),
    )


def _severities(block: _Block) -> NDArray[np.uint8]:
    different = block.reference != block.candidate
    nan_both = block.nan_reference & block.nan_candidate
    codes = np.zeros(different.shape, np.uint8)
    codes[block.different_bits] = Severity.ZERO_SIGN  # what the lines below leave can be nothing else
    codes[block.different_bits & nan_both] = Severity.NAN_PAYLOAD
    codes[different & block.finite] = Severity.VALUE
    codes[different & ~block.finite & ~nan_both] = Severity.INFINITY
    codes[block.nan_reference != block.nan_candidate] = Severity.NAN
    return codes


def _counts(block: _Block, severities: NDArray[np.uint8]) -> Counts:
    of = np.bincount(severities, minlength=len(Severity)).tolist()
    infinite = np.isinf(block.reference) & (block.reference == block.candidate)
    return Counts(
        size=block.reference.size,
        finite=int(block.finite.sum()),
        different_values=int((block.reference != block.candidate).sum()),
        different_bits=int(block.different_bits.sum()),
        nan_both=int((block.nan_reference & block.nan_candidate).sum()),
        nan_payloads_different=of[Severity.NAN_PAYLOAD],
        nan_mismatched=of[Severity.NAN],
        infinities_matched=int(infinite.sum()),
        infinities_mismatched=of[Severity.INFINITY],
        zero_signs_mismatched=of[Severity.ZERO_SIGN],
    )


def _worst(block: _Block, severities: NDArray[np.uint8], start: int) -> Peak:
    severity = Severity(int(severities.max(initial=0)))
    if severity is Severity.NONE:
        return Peak()
    magnitudes = np.where(severities == severity, block.differences if severity is Severity.VALUE else 0.0, -1.0)
    index = int(magnitudes.argmax())
    return Peak(severity, float(magnitudes[index]), start + index)


def _relative(block: _Block) -> Doubles:
    differences = block.differences[block.finite]
    reference = np.abs(block.reference[block.finite].astype(np.float64))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(differences == 0, 0.0, differences / reference)


def _sums(block: _Block, relative: Doubles) -> Sums:
    r = block.reference[block.finite].astype(np.float64)
    c = block.candidate[block.finite].astype(np.float64)
    differences = block.differences[block.finite]
    with np.errstate(over="ignore"):
        absolute, relatives = float(np.sum(differences)), float(np.sum(relative))
    if np.isinf(differences).any():  # halves of float64 cannot overflow; the lost factor returns as an exponent
        halves = np.abs(0.5 * r - 0.5 * c)
        squared_error = _product_sum(halves, halves, exponent=2)
    else:
        squared_error = _product_sum(differences, differences)
    return Sums(
        ExactSum.of(absolute),
        ExactSum.of(relatives),
        squared_error,
        _product_sum(r, r),
        _product_sum(c, c),
        _product_sum(r, c),
    )


def _product_sum(x: Doubles, y: Doubles, exponent: int = 0) -> ExactSum:
    """Sum of x y 2**exponent without overflow or underflow of what counts: both are scaled by powers of two."""
    x, p = _scaled(x)
    y, q = _scaled(y)
    return ExactSum.of(float(np.sum(x * y)), p + q + exponent)


def _scaled(x: Doubles) -> tuple[Doubles, int]:
    exponent = int(np.frexp(np.abs(x).max(initial=0.0))[1])
    if abs(exponent) <= _SAFE_EXPONENT:
        return x, 0
    return np.ldexp(x, -exponent), exponent


def _ulp_totals(reference: Array, candidate: Array, finite: Mask, start: int) -> UlpTotals | None:
    distances = ulp_distances(reference[finite], candidate[finite])
    if distances is None:
        return None
    largest = distances.max(initial=0).item()
    first = int(np.flatnonzero(finite)[distances.argmax()]) + start if largest else -1
    bins = tuple(int(n) for n in np.bincount(_bins(distances)))
    if distances.dtype == np.float64:
        return UlpTotals(bins, ExactSum.of(float(np.sum(distances))), largest, first)
    whole = distances.astype(np.uint64, copy=False)
    low, high = whole & np.uint64(0xFFFFFFFF), whole >> np.uint64(32)
    total = ExactSum.of(float(low.sum())) + ExactSum.of(float(high.sum()), 32)  # each part is exact in float64
    small = np.bincount(whole[whole < TABLE].astype(np.int64)).astype(np.uint64)
    return UlpTotals(bins, total, largest, first, small)


def ulp_distances(r: Array, c: Array) -> NDArray[np.uint64] | Doubles | None:
    """ULP distances of finite values: exact integers where both have one dtype, else multiples of the spacing of the
    narrower type at r; None where they are not floats."""
    unit = ulp_unit(r.dtype, c.dtype)
    if unit is None:
        return None
    if r.dtype == c.dtype:
        return ulp_distance(r, c)
    with np.errstate(over="ignore"):
        return np.abs(c.astype(np.float64) - r.astype(np.float64)) / ulp(r, unit)


def _bins(distances: NDArray[np.uint64] | Doubles) -> NDArray[np.int64]:
    """Index of each distance in `UlpTotals.bins`: 0, (0, 2), [2, 4), [4, 8), …"""
    if distances.dtype == np.float64:
        exponents = np.frexp(np.minimum(distances, np.finfo(np.float64).max))[1]
        return np.where(distances == 0, 0, np.maximum(exponents, 1)).astype(np.int64)
    powers = np.uint64(1) << np.arange(64, dtype=np.uint64)
    return np.searchsorted(powers, distances, side="right")


def ulp_keys(reference: Array, candidate: Array) -> NDArray[np.uint64]:
    """The ULP distances of the finite pairs, or their float64 bits, as unsigned integers of the same order."""
    finite = np.isfinite(reference) & np.isfinite(candidate)
    distances = ulp_distances(reference[finite], candidate[finite])
    if distances is None:
        raise TypeError(f"{reference.dtype} has no ULP distances")
    return distances.view(np.uint64)
