"""The oracle is arithmetic on fractions and struct, not bit tricks."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bittrue.floats import FloatClass, bits, bits_hex, classify, count_classes, ordinals, ulp, ulp_distance

# width: (dtype, explicit mantissa bits, smallest normal exponent, struct code of float, of unsigned)
FORMATS: dict[int, tuple[Any, int, int, str, str]] = {
    16: (np.float16, 10, -14, "<e", "<H"),
    32: (np.float32, 23, -126, "<f", "<I"),
    64: (np.float64, 52, -1022, "<d", "<Q"),
}
widths = st.sampled_from(sorted(FORMATS))


def finite(width: int) -> st.SearchStrategy[float]:
    return st.floats(width=width, allow_nan=False, allow_infinity=False)  # type: ignore[arg-type]


def steps_from_zero(value: float, width: int) -> int:
    """How many floats lie between 0 and ``value``, by arithmetic."""
    _, mantissa, smallest, _, _ = FORMATS[width]
    x = abs(Fraction(value))
    if x < Fraction(2) ** smallest:
        count = x / Fraction(2) ** (smallest - mantissa)
    else:
        exponent = math.frexp(abs(value))[1] - 1
        count = (exponent - smallest) * 2**mantissa + x / Fraction(2) ** (exponent - mantissa)
    assert count.denominator == 1
    return int(count) if value > 0 else -int(count)


def gap_above(value: float, width: int) -> Fraction:
    _, mantissa, smallest, _, _ = FORMATS[width]
    exponent = max(math.frexp(value)[1] - 1, smallest) if value else smallest
    return Fraction(2) ** (exponent - mantissa)


@settings(deadline=None)
@given(st.data(), widths)
def test_ordinals_count_the_floats_from_zero(data: st.DataObject, width: int) -> None:
    value = data.draw(finite(width))
    assert int(ordinals(FORMATS[width][0](value))) == steps_from_zero(value, width)


@settings(deadline=None)
@given(st.data(), widths)
def test_ulp_distance_is_the_exact_number_of_steps(data: st.DataObject, width: int) -> None:
    a, b = data.draw(finite(width)), data.draw(finite(width))
    dtype = FORMATS[width][0]
    expected = abs(steps_from_zero(a, width) - steps_from_zero(b, width))
    assert int(ulp_distance(dtype(a), dtype(b))) == expected


@settings(deadline=None)
@given(st.data(), widths)
def test_the_next_float_is_one_step_away(data: st.DataObject, width: int) -> None:
    dtype = FORMATS[width][0]
    value = dtype(data.draw(finite(width)))
    with np.errstate(over="ignore"):  # beyond the largest number lies infinity
        following = np.nextafter(value, dtype(np.inf))
    assert int(ulp_distance(value, following)) == 1


@settings(deadline=None)
@given(st.data(), widths)
def test_ulp_is_the_gap_to_the_next_larger_magnitude(data: st.DataObject, width: int) -> None:
    value = data.draw(finite(width))
    assert Fraction(float(ulp(FORMATS[width][0](value)))) == gap_above(value, width)


@settings(deadline=None)
@given(st.floats(min_value=-3e38, max_value=3e38))
def test_ulp_of_float64_values_in_the_spacing_of_float32(value: float) -> None:
    assert Fraction(float(ulp(np.float64(value), np.float32))) == gap_above(value, 32)


@settings(deadline=None)
@given(st.floats())
def test_ulp_agrees_with_the_standard_library(value: float) -> None:
    assert repr(float(ulp(np.float64(value)))) == repr(math.ulp(value))


def test_ulp_beyond_the_range_of_the_unit_is_that_of_its_largest_number() -> None:
    assert float(ulp(np.float64(1e300), np.float32)) == 2.0**104


@settings(deadline=None)
@given(st.data(), widths)
def test_bit_patterns_are_those_of_struct(data: st.DataObject, width: int) -> None:
    dtype, _, _, code, unsigned = FORMATS[width]
    value = data.draw(finite(width))
    (pattern,) = struct.unpack(unsigned, struct.pack(code, value))
    assert int(bits(dtype(value))) == pattern
    assert bits_hex(dtype(value)) == f"0x{pattern:0{width // 4}x}"


def test_distances_do_not_wrap_at_the_ends_of_the_range() -> None:
    assert int(ulp_distance(np.float32(-3e38), np.float32(3e38))) == 4_274_217_932
    largest = np.finfo(np.float64).max
    assert int(ulp_distance(-largest, largest)) == 2 * 0x7FEFFFFFFFFFFFFF


def test_zeros_of_both_signs_are_no_distance_apart() -> None:
    assert int(ulp_distance(np.float32(-0.0), np.float32(0.0))) == 0
    tiny = np.float32(1e-45)
    assert int(ulp_distance(-tiny, tiny)) == 2


def test_infinity_is_one_step_beyond_the_largest_number() -> None:
    assert int(ulp_distance(np.float16(65504), np.float16(np.inf))) == 1


def test_nan_has_no_distance() -> None:
    with pytest.raises(ValueError, match="NaN"):
        ulp_distance(np.float32([1, np.nan]), np.float32([1, 1]))


@pytest.mark.parametrize(("a", "b"), [(np.float32(1), np.float64(1)), (np.int32(1), np.int32(1))])
def test_a_distance_needs_two_floats_of_one_type(a: Any, b: Any) -> None:
    with pytest.raises(TypeError):
        ulp_distance(a, b)


def test_arrays_keep_their_shape_and_either_byte_order_is_read() -> None:
    values = np.arange(6, dtype=">f4").reshape(2, 3)
    assert np.array_equal(ordinals(values), ordinals(values.astype("<f4")))
    assert bits(values.T).shape == (3, 2)
    assert bits(values)[0, 1] == 0x3F800000


def test_every_class_of_number_is_told_apart() -> None:
    values = np.float32([1, -1e-45, 0.0, -0.0, np.inf, -np.inf, np.nan])
    assert classify(values).tolist() == list(range(7))
    assert count_classes(values) == dict.fromkeys(FloatClass, 1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_smallest_normal_number_is_not_subnormal(dtype: Any) -> None:
    smallest = np.finfo(dtype).smallest_normal
    below = np.nextafter(smallest, dtype(0))
    assert classify(np.array([smallest, -smallest, below, -below])).tolist() == [0, 0, 1, 1]
