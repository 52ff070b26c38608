"""Every figure of a comparison by its definition: one element after the other, in fractions, in plain Python."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from statistics import median
from typing import Any

import numpy as np

from bittrue.traces import Array


@dataclass
class Brute:
    reference: list[Any]
    candidate: list[Any]
    reference_bits: list[int]
    candidate_bits: list[int]

    @classmethod
    def of(cls, reference: Array, candidate: Array) -> Brute:
        patterns = [
            [int.from_bytes(value.tobytes(), "little") for value in array.reshape(-1)]
            for array in (reference, candidate)
        ]
        return cls(reference.reshape(-1).tolist(), candidate.reshape(-1).tolist(), *patterns)

    @property
    def pairs(self) -> list[tuple[Any, Any]]:
        return list(zip(self.reference, self.candidate, strict=True))

    @property
    def finite(self) -> list[tuple[Fraction, Fraction]]:
        return [(Fraction(r), Fraction(c)) for r, c in self.pairs if math.isfinite(r) and math.isfinite(c)]

    def counts(self) -> dict[str, int]:
        pairs = self.pairs
        nans = [(math.isnan(r), math.isnan(c)) for r, c in pairs]
        bits = [a != b for a, b in zip(self.reference_bits, self.candidate_bits, strict=True)]
        infinite = [(math.isinf(r) or math.isinf(c)) and not any(n) for (r, c), n in zip(pairs, nans, strict=True)]
        return {
            "size": len(pairs),
            "finite": len(self.finite),
            "different_values": sum(r != c for r, c in pairs),
            "different_bits": sum(bits),
            "nan_both": sum(all(n) for n in nans),
            "nan_payloads_different": sum(all(n) and b for n, b in zip(nans, bits, strict=True)),
            "nan_mismatched": sum(a != b for a, b in nans),
            "infinities_matched": sum(i and r == c for i, (r, c) in zip(infinite, pairs, strict=True)),
            "infinities_mismatched": sum(i and r != c for i, (r, c) in zip(infinite, pairs, strict=True)),
            "zero_signs_mismatched": sum(r == c == 0 and b for b, (r, c) in zip(bits, pairs, strict=True)),
        }

    def differences(self) -> list[Fraction]:
        return [abs(c - r) for r, c in self.finite]

    def relatives(self) -> list[float]:
        return [0.0 if r == c else as_float(abs(c - r) / abs(r)) if r else math.inf for r, c in self.finite]

    def scale(self) -> float:
        return max((abs(r) for r in self.reference if math.isfinite(r)), default=0.0)

    def snr_db(self) -> float:
        signal, noise = sum(r * r for r, _ in self.finite), sum(d * d for d in self.differences())
        if not noise:
            return math.inf
        return 10 * math.log10(signal / noise) if signal else -math.inf

    def cosine(self) -> float:
        product = sum(r * c for r, c in self.finite)
        squares = sum(r * r for r, _ in self.finite) * sum(c * c for _, c in self.finite)
        return float(product) / math.sqrt(squares) if squares else math.nan

    def ulps(self, sign_bit: int) -> list[int]:
        """Of the finite pairs, from sign and magnitude."""

        def ordinal(pattern: int) -> int:
            magnitude = pattern & ((1 << sign_bit) - 1)
            return -magnitude if pattern >> sign_bit else magnitude

        patterns = zip(self.pairs, self.reference_bits, self.candidate_bits, strict=True)
        return [abs(ordinal(a) - ordinal(b)) for (r, c), a, b in patterns if math.isfinite(r) and math.isfinite(c)]

    def worst(self) -> int:
        """Flat index of the worst element, -1 if the bits are all the same."""

        def badness(index: int) -> tuple[int, float]:
            r, c = self.pairs[index]
            if self.reference_bits[index] == self.candidate_bits[index]:
                return 0, 0.0
            if math.isnan(r) != math.isnan(c):
                return 5, 0.0
            if math.isnan(r):
                return 1, 0.0
            if math.isinf(r) or math.isinf(c):
                return 4, 0.0
            return (2, 0.0) if r == c else (3, abs(c - r))  # as float64 has it: rounded

        order = sorted(range(len(self.pairs)), key=badness, reverse=True)  # stable: the first of equals stays first
        return order[0] if order and badness(order[0])[0] else -1


def histogram(ulps: list[int]) -> tuple[int, ...]:
    """Counts of 0, 1, 2-3, 4-7, … up to the largest."""
    counts = Counter(value.bit_length() for value in ulps)
    return tuple(counts[power] for power in range(max(counts) + 1))


def middle(values: list[int]) -> int | float:
    """The median: a whole number as it is, however large; the half between two as the nearest float64."""
    exact = median([Fraction(value) for value in values])
    return int(exact) if exact.denominator == 1 else float(exact)


def as_float(value: Fraction) -> float:
    """The nearest float64, infinite where it is too large."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3e38, -3e38, 1.1754944e-38], dtype=np.float32
)
