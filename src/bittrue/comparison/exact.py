"""Sums without rounding, so that totals do not depend on the order in which parts are added."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, log10, sqrt

__all__ = ["ZERO", "ExactSum", "cosine", "decibels"]

_UNIT = 2200
"""Sums are kept in units of 2**-_UNIT, fine enough for squares of the smallest float64."""


@dataclass(frozen=True)
class ExactSum:
    """A sum of float64 values held as one integer, in units of 2**-2200; adding is associative and commutative.

    ``special`` is the sum of the infinities and NaNs among the values, 0.0 where there are none.
    """

    scaled: int = 0
    special: float = 0.0

    @classmethod
    def of(cls, value: float, exponent: int = 0) -> ExactSum:
        """``value * 2**exponent``; the exponent may not be below -1100."""
        if not isfinite(value):
            return cls(special=value)
        return cls(_scaled(value, exponent))

    @classmethod
    def total(cls, values: Iterable[float]) -> ExactSum:
        """The sum of many values."""
        scaled, special = 0, 0.0
        for value in values:
            if isfinite(value):
                scaled += _scaled(float(value), 0)
            else:
                special += float(value)
        return cls(scaled, special)

    def __add__(self, other: ExactSum) -> ExactSum:
        return ExactSum(self.scaled + other.scaled, self.special + other.special)

    def __float__(self) -> float:
        """The nearest float64; infinite where the sum exceeds its range."""
        return self.mean(1)

    def mean(self, size: int) -> float:
        """The sum divided by ``size``, correctly rounded. Raises ZeroDivisionError if there is nothing."""
        return self.special if self.special != 0 else _quotient(self.scaled, size << _UNIT)


def _scaled(value: float, exponent: int) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator << (_UNIT + exponent + 1 - denominator.bit_length())


ZERO = ExactSum()
"""The sum of nothing."""


def _quotient(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator
    except OverflowError:
        return float("inf") if numerator > 0 else float("-inf")


def decibels(signal: ExactSum, noise: ExactSum) -> float:
    """10 log10(signal / noise) of two sums of squares, in dB; inf where there is no noise, -inf where no signal."""
    if noise.scaled == 0:
        return float("inf")
    if signal.scaled == 0:
        return float("-inf")
    ratio = _quotient(signal.scaled, noise.scaled)
    if 0 < ratio < float("inf"):
        return 10 * log10(ratio)
    return 10 * (log10(signal.scaled) - log10(noise.scaled))


def cosine(product: ExactSum, squared_a: ExactSum, squared_b: ExactSum) -> float:
    """Cosine of the angle between two vectors from their sums of products and squares, in [-1, 1].

    1.0 where both vectors are zero, NaN where only one is.
    """
    denominator = squared_a.scaled * squared_b.scaled
    if denominator == 0:
        return 1.0 if squared_a.scaled == squared_b.scaled else float("nan")
    magnitude = min(1.0, sqrt(_quotient(product.scaled**2, denominator)))
    return -magnitude if product.scaled < 0 else magnitude
