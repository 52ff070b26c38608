"""Floating-point numbers as bits: patterns, ordinals, distances in units in the last place, special values.

All functions take float16, float32 and float64 in either byte order; anything else raises TypeError.

The *ordinal* of a finite number counts the numbers of its type between it and zero, negative below zero; -0 and
+0 share the ordinal 0, and the infinities follow the largest finite numbers. The ULP distance of two numbers is
the difference of their ordinals: the number of steps from one to the other through every number in between
(B. Dawson's definition). It is exact over the whole range: -3e38 and 3e38 are 4,274,217,932 apart in float32.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["FloatClass", "bits", "bits_hex", "classify", "count_classes", "ordinals", "ulp", "ulp_distance"]

_UNSIGNED: dict[int, type[np.unsignedinteger[Any]]] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_FLOATS = tuple(np.dtype(kind) for kind in (np.float16, np.float32, np.float64))


class FloatClass(IntEnum):
    """What kind of number a bit pattern stands for. Every pattern is exactly one of them."""

    NORMAL = 0
    SUBNORMAL = 1
    POSITIVE_ZERO = 2
    NEGATIVE_ZERO = 3
    POSITIVE_INFINITY = 4
    NEGATIVE_INFINITY = 5
    NAN = 6


def _floats(values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    native = array.dtype.newbyteorder("=")
    if native not in _FLOATS:
        raise TypeError(f"expected float16, float32 or float64, not {array.dtype}")
    return array.astype(native, copy=False)


def bits(values: ArrayLike) -> NDArray[Any]:
    """The bit patterns of floats, integers or booleans, as unsigned integers of the same width and shape."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub" or array.itemsize not in _UNSIGNED:
        raise TypeError(f"expected floats, integers or booleans of at most 64 bits, not {array.dtype}")
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(array.shape)
    return native.view(_UNSIGNED[array.itemsize])


def bits_hex(value: ArrayLike) -> str:
    """The bit pattern of one number, most significant digit first and padded: ``0x3f800000`` for float32 1."""
    pattern = bits(value)
    if pattern.size != 1:
        raise TypeError(f"expected one number, not an array of shape {pattern.shape}")
    return f"0x{int(pattern.reshape(())):0{2 * pattern.itemsize}x}"


def ordinals(values: ArrayLike) -> NDArray[np.int64]:
    """The ordinal of each number (see the module's text), int64. A NaN's lies beyond infinity's and means nothing."""
    array = _floats(values)
    pattern = bits(array)
    sign = 8 * array.itemsize - 1
    magnitude = (pattern & pattern.dtype.type((1 << sign) - 1)).astype(np.int64)
    negative = (pattern >> pattern.dtype.type(sign)).astype(bool)
    signed: NDArray[np.int64] = np.where(negative, -magnitude, magnitude)
    return signed


def ulp_distance(a: ArrayLike, b: ArrayLike) -> NDArray[np.uint64]:
    """The exact number of steps between ``a`` and ``b``, elementwise, uint64. Both must have the same dtype.

    Infinity is one step beyond the largest finite number. Raises ValueError if there is a NaN, which is nowhere.
    """
    x, y = _floats(a), _floats(b)
    if x.dtype != y.dtype:
        raise TypeError(f"a ULP distance needs one dtype, not {x.dtype} and {y.dtype}")
    if np.isnan(x).any() or np.isnan(y).any():
        raise ValueError("a NaN has no ULP distance: leave NaNs out")
    p, q = ordinals(x), ordinals(y)
    # The difference may exceed int64; as uint64 the subtraction wraps to the exact result.
    return np.asarray(np.maximum(p, q)).view(np.uint64) - np.asarray(np.minimum(p, q)).view(np.uint64)


def ulp(values: ArrayLike, dtype: DTypeLike | None = None) -> NDArray[np.float64]:
    """The gap between the floats of ``dtype`` at |value| and above, float64; by default of the values' own dtype.

    The values may be of a wider type than ``dtype``: beyond its range they get the gap at its largest number,
    below its normal numbers that of its subnormals. Infinity gives infinity and NaN NaN. As ``math.ulp``.
    """
    array = _floats(values)
    unit = np.dtype(array.dtype if dtype is None else dtype)
    if unit not in _FLOATS:
        raise TypeError(f"expected float16, float32 or float64, not {unit}")
    info = np.finfo(unit)
    magnitude = np.abs(array.astype(np.float64))
    finite = np.isfinite(magnitude)
    _, exponent = np.frexp(np.where(finite, magnitude, 1.0))
    # frexp puts the mantissa in [1/2, 1); a zero's exponent is taken for the smallest.
    exponent = np.where(magnitude == 0, info.minexp, exponent - 1).clip(info.minexp, info.maxexp - 1)
    return np.where(finite, np.ldexp(1.0, exponent - info.nmant), magnitude)


def classify(values: ArrayLike) -> NDArray[np.uint8]:
    """The `FloatClass` of each number, as uint8 codes."""
    array = _floats(values)
    info = np.finfo(array.dtype)
    negative = np.signbit(array)
    codes = np.full(array.shape, FloatClass.NORMAL, dtype=np.uint8)
    codes[np.abs(array) < info.smallest_normal] = FloatClass.SUBNORMAL
    codes[array == 0] = FloatClass.POSITIVE_ZERO
    codes[(array == 0) & negative] = FloatClass.NEGATIVE_ZERO
    codes[np.isposinf(array)] = FloatClass.POSITIVE_INFINITY
    codes[np.isneginf(array)] = FloatClass.NEGATIVE_INFINITY
    codes[np.isnan(array)] = FloatClass.NAN
    return codes


def count_classes(values: ArrayLike) -> dict[FloatClass, int]:
    """How many numbers are of each class; all classes are present, in their order."""
    counts = np.bincount(classify(values).reshape(-1), minlength=len(FloatClass))
    return {kind: int(counts[kind]) for kind in FloatClass}
