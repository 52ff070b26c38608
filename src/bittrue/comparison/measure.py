"""Measuring one pair of tensors: the choice between the kernel and NumPy, block by block."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from bittrue.errors import ComparisonError
from bittrue.traces import Array

from .blocks import block_totals, common_dtype, ulp_distances, ulp_keys, ulp_unit
from .exact import ExactSum
from .kernel import Kernel, KernelStatus, load
from .median import fractional_median, integer_median
from .metrics import Element, Method, Metrics
from .totals import TABLE, Totals

__all__ = ["BLOCK", "incomparable", "kernel_status", "measure"]

BLOCK = 65536
"""Elements measured at a time by NumPy, and those that every sum is kept by."""


def kernel_status() -> KernelStatus:
    """Whether the fused kernel is used for float32 pairs here, and why not where it is not."""
    return load()[1]


def incomparable(
    reference: tuple[np.dtype[np.generic], tuple[int, ...]], candidate: tuple[np.dtype[np.generic], tuple[int, ...]]
) -> str | None:
    """Why two tensors of these dtypes and shapes cannot be compared; None if they can.

    Shapes must be equal. Floats compare with floats, integers with integers and booleans with booleans, of any width
    whose common type holds both exactly.
    """
    if reference[1] != candidate[1]:
        return f"the reference has shape {reference[1]}, the candidate {candidate[1]}"
    if common_dtype(reference[0], candidate[0]) is None:
        return f"the reference is {reference[0]}, the candidate {candidate[0]}"
    return None


def measure(reference: Array, candidate: Array, method: Method | None = None, threads: int | None = None) -> Metrics:
    """The metrics of two tensors of one shape and comparable dtypes.

    Arrays may be memory-mapped: at most a block of each is held at a time. ``method`` is chosen where None; asking
    for the kernel where it cannot be used raises ComparisonError, as do tensors that cannot be compared.
    ``threads`` (of the kernel) changes no bit of the result.
    """
    problem = incomparable((reference.dtype, reference.shape), (candidate.dtype, candidate.shape))
    if problem:
        raise ComparisonError(f"cannot compare two tensors: {problem}")
    r, c = np.asarray(reference).reshape(-1), np.asarray(candidate).reshape(-1)
    kernel = None if method == "numpy" else _kernel_for(r, c)
    if method == "kernel" and kernel is None:
        reason = kernel_status().reason or f"it takes float32, not {reference.dtype} and {candidate.dtype}"
        raise ComparisonError(f"the comparison kernel cannot be used: {reason}")
    totals = kernel.totals(r, c, threads) if kernel else _numpy_totals(r, c)
    totals = _with_document_sum(totals, r, c) if kernel else totals
    median = _median(totals, r, c, kernel, threads)
    return _metrics(totals, median, reference, candidate, "kernel" if kernel else "numpy")


def _kernel_for(r: Array, c: Array) -> Kernel | None:
    return load()[0] if r.dtype == c.dtype == np.float32 else None


def _native(block: Array) -> Array:
    return block.astype(block.dtype.newbyteorder("="), copy=False)


def _numpy_totals(r: Array, c: Array) -> Totals:
    blocks = (
        block_totals(_native(r[start : start + BLOCK]), _native(c[start : start + BLOCK]), start)
        for start in range(0, r.size, BLOCK)
    )
    return sum(blocks, Totals())


def _with_document_sum(totals: Totals, r: Array, c: Array) -> Totals:
    """A tensor of one block gets the document's own sum, which NumPy takes in an order of its own."""
    if r.size > BLOCK or totals.counts.finite != r.size or not totals.counts.different_values:
        return totals
    absolute = ExactSum.of(float(np.sum(np.abs(r - c.astype(np.float64)))))
    sums = totals.sums
    return replace(totals, sums=replace(sums, absolute=absolute))


def _median(totals: Totals, r: Array, c: Array, kernel: Kernel | None, threads: int | None) -> int | float | None:
    if totals.ulp is None or not totals.counts.finite:
        return None

    def scan(low: int, shift: int) -> NDArray[np.uint64]:
        return kernel.scan(r, c, low, shift, threads) if kernel else _numpy_scan(r, c, low, shift)

    return (integer_median if isinstance(totals.ulp.largest, int) else fractional_median)(totals.ulp, scan)


def _numpy_scan(r: Array, c: Array, low: int, shift: int) -> NDArray[np.uint64]:
    counts = np.zeros(TABLE, np.uint64)
    for start in range(0, r.size, BLOCK):
        keys = ulp_keys(_native(r[start : start + BLOCK]), _native(c[start : start + BLOCK]))
        bins = (keys[keys >= low] - np.uint64(low)) >> np.uint64(shift)
        counts += np.bincount(bins[bins < TABLE].astype(np.int64), minlength=TABLE).astype(np.uint64)
    return counts


def _metrics(totals: Totals, median: int | float | None, reference: Array, candidate: Array, method: Method) -> Metrics:
    unit = ulp_unit(reference.dtype, candidate.dtype)
    worst_ulp = totals.ulp.worst if totals.ulp else -1
    return Metrics(
        reference.shape,
        replace(totals, ulp=totals.ulp.without_tables() if totals.ulp else None),
        median,
        unit.name if unit else None,
        _element(reference, candidate, totals.worst.index),
        _element(reference, candidate, worst_ulp),
        method,
    )


def _element(reference: Array, candidate: Array, index: int) -> Element | None:
    if index < 0:
        return None
    found = Element.of(reference, candidate, index)
    if not (reference.dtype.kind == "f" and isfinite(found.reference) and isfinite(found.candidate)):
        return found
    if reference.dtype.newbyteorder("=") == candidate.dtype.newbyteorder("="):
        width = 8 * reference.dtype.itemsize
        places = (_ordinal(int(bits, 16), width) for bits in (found.reference_bits, found.candidate_bits))
        return replace(found, ulp=abs(next(places) - next(places)))
    r, c = (_native(np.asarray(array[found.index]).reshape(1)) for array in (reference, candidate))
    distances = ulp_distances(r, c)
    return replace(found, ulp=None if distances is None else distances[0].item())


def _ordinal(bits: int, width: int) -> int:
    """The ordinal (see `bittrue.floats`) of one bit pattern of ``width`` bits."""
    magnitude = bits & ((1 << (width - 1)) - 1)
    return -magnitude if bits >> (width - 1) else magnitude
