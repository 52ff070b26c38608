"""Whether float32 results of the exact runtime's functions are correctly rounded: by float64 where that suffices, else
by double-double arithmetic, else by many digits. The errors of the first two are bounded in prove_quick.c and
prove_rounding.c, which this compiles for the machine it runs on with the pinned compiler; nothing of it is shipped.
Constants are computed here from scratch.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
SOURCES = tuple(Path(__file__).resolve().with_name(f"prove_{name}") for name in ("rounding.h", "rounding.c", "quick.c"))
NAMES = ("cos", "erf", "exp", "expm1", "log", "log1p", "rsqrt", "sigmoid", "sin", "softplus", "tanh")
"""In the order of the C enumeration."""
RIGHT, WRONG, DOUBTFUL = range(3)
DIGITS = 120
FLAGS = (
    "-shared",
    "-std=c11",
    "-O3",
    "-mcpu=native",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-sanitize=all",
    "-nostdlib",
    "-Wall",
)

Bits = NDArray[np.uint32]


@cache
def pi() -> Decimal:
    """Machin's formula, to 130 digits."""
    with localcontext() as context:
        context.prec = 140

        def inverse_tangent(n: int) -> Decimal:
            term, total, k = Decimal(1) / n, Decimal(0), 0
            while abs(term) > Decimal(10) ** -138:
                total += term / (2 * k + 1)
                term, k = -term / (n * n), k + 1
            return total

        return 4 * (4 * inverse_tangent(5) - inverse_tangent(239))


def _pair(number: Fraction) -> str:
    high = float(number)
    return f"{{{high.hex()}, {float(number - Fraction(high)).hex()}}}"


def _array(name: str, numbers: Sequence[Fraction]) -> str:
    return f"static const dd {name}[] = {{{', '.join(map(_pair, numbers))}}};"


def _ln2() -> list[str]:
    """ln 2 by 40 bits, 40 bits, and the float64 of the rest."""
    with localcontext() as context:
        context.prec = DIGITS
        rest = Fraction(Decimal(2).ln())
    parts = []
    for bits in (40, 80):
        part = Fraction(int(rest * 2**bits), 2**bits)
        parts.append(float(part).hex())
        rest -= part
    return [*parts, float(rest).hex()]


def _turns() -> Iterator[str]:
    """For 2^e, e from -24 to 104: 2/π times 2^(e - 2), less its whole part, by 192 bits, lowest first."""
    share = Fraction(2) / Fraction(pi())
    for e in range(-24, 105):
        bits = int(share * Fraction(2) ** (e - 2 + 192)) % 2**192
        yield f"{{{', '.join(str(bits >> 32 * at & 0xFFFFFFFF) + 'u' for at in range(6))}}}"


def _shares() -> str:
    """2/π times 2^e less the multiples of 4 in it, by a float32's exponent: its bits to 2⁻²⁷, to 2⁻⁵⁵, the rest."""
    share, parts = Fraction(2) / Fraction(pi()), []
    for e in range(-150, 106):
        bits = int(share * Fraction(2) ** (e + 192)) % 2**194
        parts.append((bits >> 165 << 165, bits % 2**165 >> 137 << 137, bits % 2**137))
    rows = (", ".join(float(Fraction(part, 2**192)).hex() for part in row) for row in zip(*parts, strict=True))
    return f"static const double SHARES[3][256] = {{{', '.join(f'{{{row}}}' for row in rows)}}};"


def constants() -> str:
    """The header that the C needs."""
    with localcontext() as context:
        context.prec = DIGITS
        root = Fraction(2 / pi().sqrt())
    signed = [Fraction((-1) ** n) for n in range(88)]
    return "\n".join(
        (
            "#include <stdint.h>",
            "typedef struct { double h, l; } dd;",
            f"static const double LN2[3] = {{{', '.join(_ln2())}}};",
            f"static const dd ROOT = {_pair(root)}, HALF_PI = {_pair(Fraction(pi()) / 2)};",
            _array("INVERSE", [Fraction(1, factorial(n)) for n in range(14)]),
            _array("ERROR", [Fraction(1, factorial(n) * (2 * n + 1)) for n in range(88)]),
            _array("SINE", [signed[n] / factorial(2 * n + 1) for n in range(13)]),
            _array("COSINE", [signed[n] / factorial(2 * n) for n in range(13)]),
            _array("RISING", [Fraction(4**n * factorial(n), factorial(2 * n + 1)) for n in range(60)]),
            _shares(),
            f"static const uint32_t TURNS[129][6] = {{{', '.join(_turns())}}};",
        )
    )


def _suffix() -> str:
    return {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


@cache
def library() -> ctypes.CDLL:
    """The C, compiled if need be. Raises OSError with the compiler's words."""
    header = constants()
    texts = [source.read_text(encoding="utf-8") for source in SOURCES]
    name = hashlib.sha256("".join((*texts, header, *FLAGS)).encode()).hexdigest()[:16]
    folder = ROOT / "build" / "prove" / f"c-{name}"
    target = folder / f"rounding{_suffix()}"
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "constants.h").write_text(header, encoding="utf-8")
        partial = folder / f"{os.getpid()}{_suffix()}"
        cache_folder = str(ROOT / "build" / "zig-cache")
        environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache_folder, "ZIG_LOCAL_CACHE_DIR": cache_folder}
        units = [str(source) for source in SOURCES if source.suffix == ".c"]
        command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, f"-I{folder}", "-o", str(partial), *units]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"prove_quick.c and prove_rounding.c do not compile:\n{done.stderr}")
        partial.replace(target)
    return ctypes.CDLL(str(target))


def verdicts(name: str, bits: Bits, found: Bits) -> tuple[NDArray[np.uint8], int]:
    """RIGHT, WRONG or DOUBTFUL for every input with these bits, for which these bits were found; and for how many the
    first step left it open."""
    made = quickly(name, bits, found)
    left = np.flatnonzero(made == DOUBTFUL)
    made[left] = carefully(name, bits[left], found[left])
    return made, left.size


def quickly(name: str, bits: Bits, found: Bits) -> NDArray[np.uint8]:
    """By float64: RIGHT or DOUBTFUL."""
    return _judged(library().judge_quickly, name, bits, found)


def carefully(name: str, bits: Bits, found: Bits) -> NDArray[np.uint8]:
    """By double-doubles: RIGHT, WRONG or DOUBTFUL."""
    return _judged(library().judge_all, name, bits, found)


def _judged(judge: Callable[..., Any], name: str, bits: Bits, found: Bits) -> NDArray[np.uint8]:
    bits, found = np.ascontiguousarray(bits), np.ascontiguousarray(found)
    made = np.empty(bits.size, np.uint8)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (bits, found, made)]
    judge(ctypes.c_int32(NAMES.index(name)), ctypes.c_int64(bits.size), *pointers)
    return made


def doubles(name: str, bits: Bits) -> NDArray[np.float64]:
    """What the first step evaluates at the inputs with these bits; 1 + 2⁻²⁴ where it does not try."""
    bits, made = np.ascontiguousarray(bits), np.empty(bits.size)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (bits, made)]
    library().quick_values(ctypes.c_int32(NAMES.index(name)), ctypes.c_int64(bits.size), *pointers)
    return made


def double_doubles(name: str, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the second step evaluates at ``x``, as high and low parts; NaN where it need not."""
    x = np.ascontiguousarray(x)
    high, low = np.empty_like(x), np.empty_like(x)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, high, low)]
    library().values(ctypes.c_int32(NAMES.index(name)), ctypes.c_int64(x.size), *pointers)
    return high, low


def is_right(name: str, bits: int, found: int) -> bool:
    """The same for one finite input, by many digits. A tie goes to the even float32."""
    x, y = (np.array([word], np.uint32).view(np.float32)[0] for word in (bits, found))
    if np.isnan(y):
        return False
    with localcontext() as context:
        context.prec = DIGITS
        exact = precise(name, Decimal(float(x)))
        low, high = (_middle(y, toward) for toward in (-np.inf, np.inf))
        return low <= exact <= high if found % 2 == 0 else low < exact < high


def _middle(y: np.float32, toward: float) -> Decimal:
    with np.errstate(all="ignore"):
        beside = np.nextafter(y, np.float32(toward))
    ends = [Decimal(2) ** 128 * int(np.sign(one)) if np.isinf(one) else Decimal(float(one)) for one in (y, beside)]
    return (ends[0] + ends[1]) / 2


def precise(name: str, x: Decimal) -> Decimal:
    """The function with at least 60 digits."""
    with localcontext() as context:
        context.prec = DIGITS
        return _PRECISE[name](x)


def _sine(x: Decimal) -> Decimal:
    turn = 2 * pi()
    r = x - turn * (x / turn).to_integral_value()
    total, term, n = Decimal(0), r, 1
    while abs(term) > Decimal(10) ** -110:
        total += term
        term, n = -term * r * r / ((n + 1) * (n + 2)), n + 2
    return total


def _erf(x: Decimal) -> Decimal:
    total, term, n = Decimal(0), x, 0
    while n < 10 or abs(term) > Decimal(10) ** -110 * abs(x):
        total += term / (2 * n + 1)
        n += 1
        term = -term * x * x / n
    return 2 / pi().sqrt() * total


def _expm1(x: Decimal) -> Decimal:
    if abs(x) > Decimal("0.1"):
        return x.exp() - 1
    total, term, n = Decimal(0), x, 1
    while abs(term) > Decimal(10) ** -100 * abs(x):
        total += term
        n += 1
        term = term * x / n
    return total


def _log1p(x: Decimal) -> Decimal:
    if abs(x) > Decimal("0.1"):
        return (1 + x).ln()
    s = x / (2 + x)
    total, power, n = Decimal(0), s, 1
    while abs(power) > Decimal(10) ** -100 * abs(s):
        total += power / n
        power, n = power * s * s, n + 2
    return 2 * total


def _softplus(x: Decimal) -> Decimal:
    return max(x, Decimal(0)) + _log1p((-abs(x)).exp())


def _tanh(x: Decimal) -> Decimal:
    e = _expm1(2 * x)
    return e / (e + 2)


_PRECISE: dict[str, Callable[[Decimal], Decimal]] = {
    "cos": lambda x: _sine(x + pi() / 2),
    "erf": _erf,
    "exp": lambda x: x.exp(),
    "expm1": _expm1,
    "log": lambda x: x.ln(),
    "log1p": _log1p,
    "rsqrt": lambda x: 1 / x.sqrt(),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "sin": _sine,
    "softplus": _softplus,
    "tanh": _tanh,
}
