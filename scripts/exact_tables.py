"""Write kernels/exact/tables.h: the constants of the exact runtime's elementary functions.

Each is the float64 nearest to a number that spec.md names (section 4), computed with 80 decimal digits. The header is
in the repository; a test generates it anew and compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, getcontext
from fractions import Fraction
from math import factorial
from pathlib import Path

HEADER = Path(__file__).resolve().parent.parent / "kernels" / "exact" / "tables.h"

getcontext().prec = 80


def half_pi_digits(bits: int) -> int:
    """⌊π/2 · 2^bits⌋, by Machin's formula in whole numbers."""
    one = 1 << (bits + 32)

    def inverse_tangent(n: int) -> int:
        total, power, divisor, sign = 0, one // n, 1, 1
        while power:
            total += sign * (power // divisor)
            power //= n * n
            divisor += 2
            sign = -sign
        return total

    return (2 * (4 * inverse_tangent(5) - inverse_tangent(239))) >> 32


HALF_PI = Fraction(half_pi_digits(1400), 1 << 1400)
LN2 = Fraction(Decimal(2).ln())


def cut(number: Fraction, bits: int) -> Fraction:
    """The first ``bits`` significant bits of a positive number."""
    scale = Fraction(1)
    while number * scale < 1 << (bits - 1):
        scale *= 2
    return Fraction(int(number * scale)) / scale


def literal(number: Fraction | Decimal) -> str:
    """The nearest float64, as C writes it exactly."""
    return float(Fraction(number)).hex()


def erf_coefficients(middle: Fraction, count: int) -> list[Fraction]:
    """Taylor coefficients of erf around ``middle``: 2/√π e^(-c²) times Hermite polynomials, by their recurrence."""
    c = Decimal(middle.numerator) / Decimal(middle.denominator)
    root_pi = (Decimal((2 * HALF_PI).numerator) / Decimal((2 * HALF_PI).denominator)).sqrt()
    value, term, n = Decimal(0), c, 0
    while abs(term) > Decimal(10) ** -75:
        value += term / (2 * n + 1)
        n += 1
        term = -term * c * c / n
    slope = 2 / root_pi * (-c * c).exp()
    found, hermite, before = [Fraction(2 / root_pi * value)], Decimal(1), Decimal(0)
    for k in range(1, count):
        found.append(Fraction(slope * hermite / factorial(k)))
        hermite, before = -2 * c * hermite - 2 * (k - 1) * before, hermite
    return found


def erf_near(count: int) -> list[Fraction]:
    """Coefficients of x^(2n + 1) in erf."""
    root_pi = (Decimal((2 * HALF_PI).numerator) / Decimal((2 * HALF_PI).denominator)).sqrt()
    return [Fraction(2 / root_pi) * Fraction((-1) ** n, factorial(n) * (2 * n + 1)) for n in range(count)]


def array(name: str, numbers: Sequence[Fraction]) -> str:
    """A C array."""
    return f"static const double {name}[{len(numbers)}] = {{{', '.join(map(literal, numbers))}}};"


def lines() -> list[str]:
    """The header, line by line."""
    powers = [Fraction((Decimal(j) / 64 * Decimal(2).ln()).exp()) if j else Fraction(1) for j in range(64)]
    rests = [power - Fraction(float(power)) for power in powers]
    step = LN2 / 64
    high, ln2_high = cut(step, 33), cut(LN2, 32)
    first = cut(HALF_PI, 27)
    second = cut(HALF_PI - first, 27)
    bits = int(Fraction(1 << 256) / HALF_PI)
    chunks = [(bits >> (256 - 32 * (i + 1))) & 0xFFFFFFFF for i in range(8)]
    pieces = [erf_coefficients(Fraction(2 * i + 1, 16), 12) for i in range(4, 32)]
    return [
        "// Written by scripts/exact_tables.py; spec.md says what the numbers are.",
        "#pragma once",
        "#include <stdint.h>",
        f"#define EXP_SCALE {literal(1 / step)}",
        f"#define EXP_HIGH {literal(high)}",
        f"#define EXP_LOW {literal(step - high)}",
        f"#define LN2_HIGH {literal(ln2_high)}",
        f"#define LN2_LOW {literal(LN2 - ln2_high)}",
        "#define LOG_BASE 0x3fe6a09e00000000",
        f"#define TWO_OVER_PI {literal(1 / HALF_PI)}",
        f"#define TURN {literal(HALF_PI / (1 << 62))}",
        array("HALF_PI", [first, second, HALF_PI - first - second]),
        f"static const uint32_t TWO_OVER_PI_BITS[8] = {{{', '.join(map(hex, chunks))}}};",
        array("EXP_TABLE", powers),
        array("EXP_REST", rests),
        array("EXP_POLY", [Fraction(1, factorial(n)) for n in range(2, 7)]),
        array("EXPM1_POLY", [Fraction(1, factorial(n)) for n in range(2, 15)]),
        array("LOG_POLY", [Fraction(2, 2 * n + 1) for n in range(1, 11)]),
        array("ERF_NEAR", erf_near(13)),
        "static const double ERF_PIECES[28][12] = {",
        *(f"  {{{', '.join(map(literal, piece))}}}," for piece in pieces),
        "};",
        array("SIN_POLY", [Fraction((-1) ** n, factorial(2 * n + 1)) for n in range(1, 9)]),
        array("COS_POLY", [Fraction((-1) ** n, factorial(2 * n)) for n in range(1, 9)]),
    ]


def main() -> None:
    """Write the header."""
    HEADER.write_text("\n".join(lines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
