from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bittrue.comparison.exact import ExactSum, cosine, decibels

values = st.lists(st.floats(allow_nan=False, allow_infinity=False, max_value=1e300, min_value=-1e300), max_size=20)


@settings(deadline=None)
@given(values)
def test_sums_are_correctly_rounded(terms: list[float]) -> None:
    assert float(ExactSum.total(terms)) == float(sum(map(Fraction, terms)))


@settings(deadline=None)
@given(values, values, values)
def test_order_and_grouping_change_nothing(a: list[float], b: list[float], c: list[float]) -> None:
    x, y, z = (ExactSum.total(terms) for terms in (a, b, c))
    assert (x + y) + z == z + (y + x) == ExactSum.total(c + b + a)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 10**9))
def test_the_mean_is_correctly_rounded(value: float, size: int) -> None:
    assert ExactSum.of(value).mean(size) == value / size


def test_infinities_and_nan_are_kept() -> None:
    assert float(ExactSum.total([1.0, math.inf])) == math.inf
    assert math.isnan(float(ExactSum.total([math.inf, -math.inf, 3.0])))


def test_a_sum_beyond_float64_is_infinite_and_comes_back() -> None:
    large = ExactSum.of(1.5, 1023)
    assert float(large + large) == math.inf
    assert float(large + large + ExactSum.of(-1.5, 1023)) == 1.5 * 2.0**1023


@pytest.mark.parametrize(
    ("signal", "noise", "expected"), [(1, 0, math.inf), (0, 1, -math.inf), (100, 1, 20.0), (0, 0, math.inf)]
)
def test_decibels(signal: float, noise: float, expected: float) -> None:
    assert decibels(ExactSum.of(signal), ExactSum.of(noise)) == expected


def test_decibels_of_a_ratio_that_no_float_holds() -> None:
    assert decibels(ExactSum.of(1.0, 1500), ExactSum.of(1.0)) == pytest.approx(15000 * math.log10(2))


def test_cosine_of_zero_vectors() -> None:
    zero, one = ExactSum(), ExactSum.of(1.0)
    assert cosine(zero, zero, zero) == 1.0
    assert math.isnan(cosine(zero, zero, one))
    assert cosine(ExactSum.of(-1.0), one, one) == -1.0
