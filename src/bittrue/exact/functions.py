"""The elementary functions of spec.md, section 4, in NumPy: written from the text, constants computed from scratch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from math import factorial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FUNCTIONS", "exp", "power"]

Doubles = NDArray[np.float64]
_DIGITS = 70


def _digits(number: Callable[[], Decimal]) -> Fraction:
    with localcontext() as context:
        context.prec = _DIGITS
        return Fraction(number())


@cache
def _ln2() -> Fraction:
    return _digits(lambda: Decimal(2).ln())


@cache
def _pi() -> Fraction:
    """By the series of Ramanujan, which gives eight digits a term."""

    def value() -> Decimal:
        terms = (
            Decimal(factorial(4 * k) * (1103 + 26390 * k)) / (factorial(k) ** 4 * 396 ** (4 * k)) for k in range(12)
        )
        return 9801 / (2 * Decimal(2).sqrt() * sum(terms, Decimal(0)))

    with localcontext() as context:
        context.prec = 110
        return Fraction(value())


def _leading(number: Fraction, bits: int) -> float:
    """The number cut after its first ``bits`` bits."""
    exponent = 0
    while number >= 2:
        number, exponent = number / 2, exponent + 1
    while number < 1:
        number, exponent = number * 2, exponent - 1
    return float(int(number * 2 ** (bits - 1)) * Fraction(2) ** (exponent - bits + 1))


@cache
def _exp_tables() -> tuple[Doubles, Doubles]:
    powers = [_digits(lambda j=j: (Decimal(j) * Decimal(2).ln() / 64).exp()) for j in range(64)]  # type: ignore[misc]
    table = [float(power) for power in powers]
    rest = [float(power - Fraction(value)) for power, value in zip(powers, table, strict=True)]
    return np.array(table), np.array([0.0, *rest[1:]])


def _horner(x: Doubles, coefficients: list[float]) -> Doubles:
    p = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        p = p * x + coefficient
    return p


def _reciprocal_factorials(first: int, last: int) -> list[float]:
    return [float(Fraction(1, factorial(n))) for n in range(first, last + 1)]


def exp(x: Doubles) -> Doubles:
    """4.1"""
    x = np.where(x > 709.0, 709.0, np.where(x < -708.0, -708.0, x))
    step = _ln2() / 64
    high = _leading(step, 33)
    n = np.rint(x * float(1 / step))
    r = (x - n * high) - n * float(step - Fraction(high))
    p = r + r * r * _horner(r, _reciprocal_factorials(2, 6))
    whole = np.where(np.isnan(n), 0, n).astype(np.int64)
    table, rest = (values[whole & 63] for values in _exp_tables())
    return np.asarray((table + (rest + table * p)) * np.ldexp(1.0, whole >> 6))


def expm1(x: Doubles) -> Doubles:
    """4.2"""
    near = x + x * x * _horner(x, _reciprocal_factorials(2, 14))
    return np.where(x == 0, x, np.where(np.abs(x) < 0.35, near, exp(x) - 1.0))


def _log_near(f: Doubles, k: Doubles) -> Doubles:
    high = _leading(_ln2(), 32)
    low = float(_ln2() - Fraction(high))
    s = f / (2.0 + f)
    z, h = s * s, 0.5 * f * f
    p = z * _horner(z, [float(Fraction(2, 2 * n + 1)) for n in range(1, 11)])
    return np.asarray(k * high + (f - (h - (s * (h + p) + k * low))))


def log(x: Doubles) -> Doubles:
    """4.3"""
    ordinary = (x > 0) & (x < np.inf)
    mantissa, exponent = np.frexp(np.where(ordinary, x, 1.0))
    low = np.int64(0x3FE6A09E00000000).view(np.float64)
    small = mantissa < low
    mantissa, exponent = np.where(small, 2 * mantissa, mantissa), np.where(small, exponent - 1, exponent)
    y = _log_near(mantissa - 1.0, exponent.astype(np.float64))
    special = np.where(x == 0, -np.inf, np.where(x < 0, np.nan, x))
    return np.where(ordinary, y, special)


def log1p(x: Doubles) -> Doubles:
    """4.4"""
    near = (x > -0.29) & (x < 0.41)
    small = _log_near(np.where(near, x, 0.0), np.zeros_like(x))
    return np.where(x == 0, x, np.where(near, small, log(1.0 + x)))


def tanh(x: Doubles) -> Doubles:
    """4.5"""
    a = np.abs(x)
    e = expm1(np.where(a > 22.0, 44.0, 2.0 * a))
    t = e / (e + 2.0)
    return np.where(x < 0, -t, np.where(x == 0, x, t))


def sigmoid(x: Doubles) -> Doubles:
    """4.6"""
    e = exp(-np.abs(x))
    return np.asarray(np.where(x < 0, e, 1.0) / (1.0 + e))


def softplus(x: Doubles) -> Doubles:
    """4.7"""
    y = np.where(x > 0, x, 0.0) + log1p(exp(-np.abs(x)))
    return np.where(np.isnan(x), x, y)


@cache
def _erf_pieces() -> Doubles:
    with localcontext() as context:
        context.prec = _DIGITS
        root = (Decimal(_pi().numerator) / Decimal(_pi().denominator)).sqrt()
        return np.array([_erf_piece(Decimal(2 * i + 1) / 16, root) for i in range(4, 32)])


def _erf_piece(c: Decimal, root: Decimal) -> list[float]:
    """Taylor coefficients around c. The k-th derivative of erf is P e^(-c²) 2/√π, P a polynomial: P' - 2cP is next."""
    total = sum(
        (Decimal(-1) ** n * c ** (2 * n + 1) / (factorial(n) * (2 * n + 1)) for n in range(140)), start=Decimal(0)
    )
    scale = 2 / root * (-c * c).exp()
    found, polynomial = [2 / root * total], [Decimal(1)]
    for k in range(1, 12):
        value = sum((a * c**n for n, a in enumerate(polynomial)), start=Decimal(0))
        found.append(scale * value / factorial(k))
        slope = [*[n * a for n, a in enumerate(polynomial)][1:], Decimal(0), Decimal(0)]
        shifted = [Decimal(0), *(-2 * a for a in polynomial)]
        polynomial = [a + b for a, b in zip(slope, shifted, strict=False)]
    return [float(item) for item in found]


@cache
def _erf_series() -> list[float]:
    root = _digits(lambda: (Decimal(_pi().numerator) / Decimal(_pi().denominator)).sqrt())
    return [float(2 / root * Fraction((-1) ** n, factorial(n) * (2 * n + 1))) for n in range(13)]


def erf(x: Doubles) -> Doubles:
    """4.8"""
    a = np.abs(x)
    middle = (a >= 0.5) & (a < 4.0)
    inside = np.where(middle, a, 0.5)
    piece = (inside * 8.0).astype(np.int64)
    t = inside - (piece + 0.5) * 0.125
    table = _erf_pieces()[piece - 4]
    p = table[..., 11]
    for k in range(10, -1, -1):
        p = p * t + table[..., k]
    far = np.where(np.isnan(x), x, np.sign(x))
    near = x * _horner(x * x, _erf_series())
    return np.where(a < 0.5, near, np.where(middle, np.where(x < 0, -p, p), far))


@cache
def _half_pi() -> tuple[float, float, float]:
    first = _leading(_pi() / 2, 27)
    second = _leading(_pi() / 2 - Fraction(first), 27)
    return first, second, float(_pi() / 2 - Fraction(first) - Fraction(second))


@cache
def _turns(exponent: int) -> tuple[int, ...]:
    """4.9's W for that exponent, by 32 bits, lowest first."""
    bits = int((Fraction(2) / _pi()) * Fraction(2) ** (exponent - 2 + 128)) % 2**128
    return tuple(bits >> 32 * at & 0xFFFFFFFF for at in range(4))


def _reduced_far(a: Doubles) -> tuple[NDArray[np.int64], Doubles]:
    """4.9 for large numbers, in whole numbers: 128 bits of 2/π."""
    mantissa, exponent = np.frexp(a)
    m = np.ldexp(mantissa, 24).astype(np.uint64)
    known, which = np.unique(exponent - 24, return_inverse=True)
    table = np.array([_turns(int(e)) for e in known], np.uint64).reshape(-1, 4)[which]
    limbs, carry = [], np.zeros_like(m)
    for at in range(4):
        carry = carry + m * table[..., at]
        limbs.append(carry & np.uint64(0xFFFFFFFF))
        carry = carry >> np.uint64(32)
    low, high = (limbs[at] | limbs[at + 1] << np.uint64(32) for at in (0, 2))
    turn = (high + np.uint64(2**61)) >> np.uint64(62)
    signed = (high - (turn << np.uint64(62))).view(np.int64)
    rest = (signed.astype(np.float64) + low.astype(np.float64) * 2.0**-64) * float(_pi() / 2 / 2**62)
    return turn.astype(np.int64), rest


def _reduced(x: Doubles) -> tuple[NDArray[np.int64], Doubles]:
    near = np.abs(x) < 33554432.0
    first, second, third = _half_pi()
    small = np.where(near, x, 0.0)
    n = np.rint(small * float(2 / _pi()))
    r = ((small - n * first) - n * second) - n * third
    quadrant, r = np.array(n.astype(np.int64) & 3), np.array(r)
    far = ~near & np.isfinite(x)
    if np.any(far):
        turn, rest = _reduced_far(np.abs(x[far]))
        quadrant[far] = np.where(x[far] < 0, -turn, turn) & 3
        r[far] = np.where(x[far] < 0, -rest, rest)
    return quadrant, r


def _turned(x: Doubles, quarter: int) -> Doubles:
    quadrant, r = _reduced(x)
    quadrant = (quadrant + quarter) & 3
    z = r * r
    sine = r + r * z * _horner(z, [float(Fraction((-1) ** n, factorial(2 * n + 1))) for n in range(1, 9)])
    cosine = 1.0 + z * _horner(z, [float(Fraction((-1) ** n, factorial(2 * n))) for n in range(1, 9)])
    y = np.where(quadrant & 1, cosine, sine)
    return np.where(np.isfinite(x), np.where(quadrant & 2, -y, y), np.nan)


def sin(x: Doubles) -> Doubles:
    """4.9"""
    return np.where(x == 0, x, _turned(x, 0))


def cos(x: Doubles) -> Doubles:
    """4.9"""
    return _turned(x, 1)


def power(x: Doubles, y: Doubles) -> Doubles:
    """4.10"""
    a = np.abs(x)
    whole = np.rint(y) == y
    odd = whole & (np.rint(y * 0.5) != y * 0.5)
    sign = np.where(odd & np.signbit(x), -1.0, 1.0)
    vast = np.where((a > 1) == (y > 0), np.inf, 0.0)
    result = sign * exp(y * log(a))
    result = np.where((a == 0) | np.isinf(a), sign * vast, result)
    result = np.where(np.isinf(y), vast, result)
    result = np.where(a == 1, sign, result)
    result = np.where((x < 0) & ~whole & np.isfinite(a) & np.isfinite(y), np.nan, result)
    result = np.where(np.isnan(x) | np.isnan(y), np.nan, result)
    return np.where((y == 0) | (x == 1), 1.0, result)


FUNCTIONS: Mapping[str, Callable[[Doubles], Any]] = MappingProxyType(
    {
        "cos": cos,
        "erf": erf,
        "exp": exp,
        "expm1": expm1,
        "log": log,
        "log1p": log1p,
        "rsqrt": lambda x: 1.0 / np.sqrt(x),
        "sigmoid": sigmoid,
        "sin": sin,
        "softplus": softplus,
        "tanh": tanh,
    }
)
"""Those computed in float64 and rounded once, by name."""
