"""Metrics against their definitions, on both passes."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bittrue.comparison import Metrics, kernel_status, measure
from bittrue.comparison.measure import BLOCK
from bittrue.errors import ComparisonError
from bittrue.traces import Array

from .brute import SPECIAL, Brute, as_float, histogram, middle

METHODS = ["numpy", "kernel"] if kernel_status().available else ["numpy"]
methods = pytest.mark.parametrize("method", METHODS)
FLOATS = [np.float16, np.float32, np.float64]


def patterns(dtype: Any) -> st.SearchStrategy[Array]:
    """Arrays of any bit patterns at all."""
    unsigned = np.dtype(f"u{np.dtype(dtype).itemsize}")
    return arrays(unsigned, st.integers(0, 40), fill=st.nothing()).map(lambda array: array.view(dtype))


def neighbours(draw: st.DrawFn, reference: Array) -> Array:
    """A candidate of which some elements are the same, some near and some anything."""
    candidate = reference.copy()
    raw = candidate.view(f"u{reference.itemsize}")
    for index in range(reference.size):
        kind = draw(st.sampled_from(["same", "near", "any"]))
        if kind == "near":
            raw[index] ^= raw.dtype.type(draw(st.integers(0, 7)))
        elif kind == "any":
            raw[index] = draw(st.integers(0, np.iinfo(raw.dtype).max))
    return candidate


@st.composite
def pairs(draw: st.DrawFn, dtype: Any) -> tuple[Array, Array]:
    reference = draw(patterns(dtype))
    return reference, neighbours(draw, reference)


def check(metrics: Metrics, reference: Array, candidate: Array) -> None:
    """All figures of a pair of float tensors of one type."""
    brute = Brute.of(reference, candidate)
    assert {name: getattr(metrics.counts, name) for name in brute.counts()} == brute.counts()
    assert (metrics.worst.flat_index if metrics.worst else -1) == brute.worst()
    assert metrics.scale == brute.scale()
    if not brute.finite:
        assert math.isnan(metrics.max_abs)
        assert metrics.max_ulp is None
        return
    differences, relatives = brute.differences(), brute.relatives()
    size = len(differences)
    assert metrics.max_abs == pytest.approx(as_float(max(differences)), rel=1e-15)
    assert metrics.mean_abs == pytest.approx(as_float(sum(differences, Fraction()) / size), rel=1e-12)
    assert metrics.max_rel == pytest.approx(max(relatives), rel=1e-15)
    assert metrics.mean_rel == pytest.approx(sum(relatives) / size, rel=1e-12)
    check_ulps(metrics, brute.ulps(8 * reference.itemsize - 1))


def check_ulps(metrics: Metrics, ulps: list[int]) -> None:
    assert metrics.max_ulp == max(ulps)
    assert metrics.mean_ulp == pytest.approx(sum(ulps) / len(ulps), rel=1e-15)
    assert metrics.median_ulp == middle(ulps)
    assert metrics.ulp_histogram == histogram(ulps)
    assert (metrics.worst_ulp.ulp if metrics.worst_ulp else 0) == max(ulps)


@methods
@settings(deadline=None)
@given(pair=pairs(np.float32))
def test_float32(method: Any, pair: tuple[Array, Array]) -> None:
    check(measure(*pair, method=method), *pair)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@settings(deadline=None)
@given(data=st.data())
def test_other_floats(dtype: Any, data: st.DataObject) -> None:
    reference, candidate = data.draw(pairs(dtype))
    check(measure(reference, candidate), reference, candidate)


@methods
def test_every_special_value_against_every_other(method: Any) -> None:
    reference, candidate = (array.copy() for array in np.meshgrid(SPECIAL, SPECIAL))
    metrics = measure(reference, candidate, method=method)
    check(metrics, reference, candidate)
    assert metrics.worst is not None
    assert metrics.worst.index == (0, 6)
    assert metrics.worst.reference_bits == "0x7fc00000"


@methods
@settings(deadline=None)
@given(
    pair=arrays(np.float32, (2, 30), elements=st.floats(-(2.0**60), 2.0**60, width=32)).filter(
        lambda a: bool(a.any(1).all())
    )
)
def test_cosine_and_signal_to_noise(method: Any, pair: Array) -> None:
    metrics, brute = measure(pair[0], pair[1], method=method), Brute.of(pair[0], pair[1])
    assert metrics.cosine == pytest.approx(brute.cosine(), abs=1e-12)
    assert metrics.snr_db == pytest.approx(brute.snr_db(), abs=1e-9)


@pytest.mark.parametrize("magnitude", [1e-320, 1e-200, 1e200, 1.7e308])
def test_squares_of_float64_neither_overflow_nor_vanish(magnitude: float) -> None:
    reference, candidate = np.array([magnitude, -magnitude]), np.array([magnitude / 2, magnitude])
    metrics, brute = measure(reference, candidate), Brute.of(reference, candidate)
    assert metrics.snr_db == pytest.approx(brute.snr_db(), abs=1e-9)
    assert metrics.cosine == pytest.approx(-0.5 / math.sqrt(2.5), rel=1e-3)


def large(size: int, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    reference = random.standard_normal(size, dtype=np.float32)
    return reference, (reference * (1 + random.standard_normal(size) * 1e-6)).astype(np.float32)


@methods
@pytest.mark.parametrize("size", [1, 3, 1023, BLOCK - 1, BLOCK, BLOCK + 1, 4 * BLOCK + 5, 300_001])
def test_blocks_leave_no_seam(method: Any, size: int) -> None:
    reference, candidate = large(size)
    candidate[-1] += 1  # the last element is the worst
    metrics = measure(reference, candidate, method=method)
    difference = np.abs(candidate.astype(np.float64) - reference)
    assert metrics.different_values == np.sum(reference != candidate)
    assert metrics.mean_abs == pytest.approx(math.fsum(difference) / size, rel=1e-13)
    assert metrics.worst is not None
    assert metrics.worst.flat_index == size - 1
    ordinals = [array.view(np.int32).astype(np.int64) for array in (reference, candidate)]
    ulps = np.abs(ordinals[0] - ordinals[1])
    same_sign = np.signbit(reference) == np.signbit(candidate)
    assert metrics.median_ulp == np.median(np.where(same_sign, ulps, 2**40))


@methods
def test_the_median_of_distances_beyond_the_table(method: Any) -> None:
    reference, candidate = large(20_001, 1)[0], large(20_001, 2)[0]
    ulps = Brute.of(reference, candidate).ulps(31)
    check_ulps(measure(reference, candidate, method=method), ulps)
    check_ulps(measure(reference[:-1], candidate[:-1], method=method), ulps[:-1])


@methods
def test_a_median_beyond_two_to_the_31(method: Any) -> None:
    reference = -np.float32([3.0, 2.9, 2.8])
    assert measure(reference, -reference, method=method).median_ulp == 2 * np.float32(2.9).view(np.int32).item()


@methods
def test_the_first_of_equally_bad_elements_is_the_worst(method: Any) -> None:
    reference = np.zeros(3 * BLOCK, np.float32)
    candidate = reference.copy()
    candidate[[BLOCK + 7, BLOCK + 9, 2 * BLOCK]] = 0.5, -0.5, 0.5
    metrics = measure(reference, candidate, method=method)
    assert metrics.worst is not None
    assert metrics.worst_ulp is not None
    assert metrics.worst.flat_index == metrics.worst_ulp.flat_index == BLOCK + 7


@methods
def test_what_is_not_finite_is_worse_than_any_difference(method: Any) -> None:
    reference = np.array([0, 1, 2, 3, -0.0], np.float32)
    steps = [(4, 0.0), (1, 1e30), (2, np.inf), (3, np.nan)]
    candidate = reference.copy()
    for index, value in steps:
        candidate[index] = value
        worst = measure(reference, candidate, method=method).worst
        assert worst is not None
        assert worst.flat_index == index


@pytest.mark.skipif("kernel" not in METHODS, reason="the kernel is not built")
@pytest.mark.parametrize("size", [100, 1_000_003])
def test_threads_change_no_bit(size: int) -> None:
    reference, candidate = large(size)
    candidate[::1000] = np.nan
    results = [measure(reference, candidate, threads=threads) for threads in (1, 2, 3)]
    for found in results[1:]:
        assert found.totals.counts == results[0].totals.counts
        assert found.totals.sums == results[0].totals.sums
        assert found.totals.worst == results[0].totals.worst
        assert (found.median_ulp, found.mean_ulp) == (results[0].median_ulp, results[0].mean_ulp)


@pytest.mark.skipif("kernel" not in METHODS, reason="the kernel is not built")
def test_float32_takes_the_kernel_and_says_so() -> None:
    assert measure(*large(10)).method == "kernel"
    assert measure(np.zeros(3), np.zeros(3)).method == "numpy"


@methods
@pytest.mark.parametrize("size", [1, 7, 50, 129, 2500, 60_000])
def test_average_difference_is_numpy_s_to_the_last_digit(method: Any, size: int) -> None:
    random = np.random.default_rng(size)
    reference, candidate = (random.standard_normal((2, size)) * 10 ** random.uniform(-9, 9, size)).astype(np.float32)
    expected = np.sum(np.abs(reference - candidate.astype(np.float64))) / np.size(reference)
    assert repr(measure(reference, candidate, method=method).average_difference) == repr(float(expected))


@methods
@pytest.mark.parametrize(
    ("reference", "candidate", "expected"),
    [
        ([1, np.nan], [1, np.nan], np.nan),
        ([1, np.inf], [1, np.inf], np.nan),
        ([1, np.inf], [1, 0], np.inf),
        ([1, np.inf], [1, -np.inf], np.inf),
    ],
)
def test_average_difference_of_what_is_not_finite(method: Any, reference: Any, candidate: Any, expected: float) -> None:
    found = measure(np.float32(reference), np.float32(candidate), method=method).average_difference
    assert repr(found) == repr(float(expected))


@methods
def test_differences_of_float32_are_not_rounded_to_float32(method: Any) -> None:
    metrics = measure(np.float32([2.0**30]), np.float32([1.0]), method=method)
    assert metrics.max_abs == 2.0**30 - 1


@methods
def test_zero_in_the_reference(method: Any) -> None:
    both = measure(np.float32([0, 2]), np.float32([0, 3]), method=method)
    assert (both.max_rel, both.mean_rel) == (0.5, 0.25)
    one = measure(np.float32([0, 2]), np.float32([1e-30, 2]), method=method)
    assert (one.max_rel, one.mean_rel) == (math.inf, math.inf)
    assert one.max_abs_to_scale == pytest.approx(0.5e-30)


@methods
def test_identical_means_every_bit(method: Any) -> None:
    same = measure(np.float32([1, np.nan]), np.float32([1, np.nan]), method=method)
    assert same.identical
    assert same.worst is None
    zeros = measure(np.float32([0.0]), np.float32([-0.0]), method=method)
    assert not zeros.identical
    assert (zeros.different_values, zeros.mismatched_zero_sign, zeros.max_ulp) == (0, 1, 0)


@methods
@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_nothing_in_a_tensor(method: Any, shape: tuple[int, ...]) -> None:
    metrics = measure(np.zeros(shape, np.float32), np.zeros(shape, np.float32), method=method)
    assert metrics.identical
    assert (metrics.size, metrics.max_ulp, metrics.median_ulp, metrics.ulp_histogram) == (0, None, None, None)
    assert math.isnan(metrics.average_difference)


@methods
def test_a_single_number(method: Any) -> None:
    metrics = measure(np.array(1, np.float32), np.array(2, np.float32), method=method)
    assert metrics.worst is not None
    assert (metrics.worst.index, metrics.worst.difference, metrics.max_ulp) == ((), 1.0, 2**23)


def test_views_and_byte_orders_are_measured_as_they_are() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    metrics = measure(values.T, np.asfortranarray(values).astype(">f4").T)
    assert metrics.identical
    assert metrics.shape == (4, 3)


def test_float64_truth_against_float32_counts_in_its_spacing() -> None:
    truth = np.array([1 + 2.0**-24, 4.0, 1e-50, 3.0])
    metrics = measure(truth, np.float32([1, 4.0 + 2.0**-20, 0, 3]))
    assert metrics.ulp_unit == "float32"
    assert metrics.max_ulp == 2.0
    assert metrics.median_ulp == (0.5 + 1e-50 * 2.0**149) / 2
    assert metrics.ulp_histogram == (1, 2, 1)
    assert metrics.different_values == metrics.different_bits == 3


@settings(deadline=None)
@given(truth=arrays(np.float64, 7, elements=st.floats(-1e30, 1e30)))
def test_the_median_of_fractional_distances(truth: Array) -> None:
    candidate = np.ones(7, np.float32)
    expected = np.median([abs(1.0 - t) / float(_gap32(t)) for t in truth])
    assert measure(truth, candidate).median_ulp == pytest.approx(expected, rel=1e-15)


def _gap32(value: float) -> float:
    exponent = math.frexp(value)[1] - 1 if value else -126
    return 2.0 ** (max(exponent, -126) - 23)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
@settings(deadline=None)
@given(data=st.data())
def test_integers(dtype: Any, data: st.DataObject) -> None:
    reference, candidate = (data.draw(arrays(dtype, 9)) for _ in range(2))
    metrics, brute = measure(reference, candidate), Brute.of(reference, candidate)
    assert metrics.different_values == metrics.different_bits == sum(r != c for r, c in brute.pairs)
    assert metrics.max_abs == float(max(brute.differences()))
    assert metrics.mean_abs == pytest.approx(float(sum(brute.differences()) / 9), rel=1e-15)
    assert (metrics.max_ulp, metrics.median_ulp, metrics.ulp_histogram, metrics.worst_ulp) == (None,) * 4


def test_masks() -> None:
    metrics = measure(np.array([[True, False, True]]), np.array([[True, True, True]]))
    assert (metrics.different_values, metrics.max_abs) == (1, 1.0)
    assert metrics.worst is not None
    assert (metrics.worst.index, metrics.worst.reference, metrics.worst.candidate_bits) == ((0, 1), False, "0x01")


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (np.zeros(2), np.zeros(3)),
        (np.zeros(2), np.zeros((1, 2))),
        (np.zeros(2), np.zeros(2, int)),
        (np.zeros(2, bool), np.zeros(2, np.uint8)),
        (np.zeros(2, np.int64), np.zeros(2, np.uint64)),
        (np.zeros(2, complex), np.zeros(2, complex)),
    ],
)
def test_what_cannot_be_compared(reference: Array, candidate: Array) -> None:
    with pytest.raises(ComparisonError, match="cannot compare"):
        measure(reference, candidate)


def test_the_kernel_is_refused_what_it_does_not_take() -> None:
    with pytest.raises(ComparisonError, match="kernel"):
        measure(np.zeros(2), np.zeros(2), method="kernel")
