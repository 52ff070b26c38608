"""Examine the exact runtime's elementary functions on all 2³² float32 inputs, by shards; can be stopped and resumed.

For every input: (1) the module gives the bits of the NumPy oracle; (2) the float64 result is within 2⁻⁴⁸ of that of the
C library, an implementation of other people; (3) where it lies so near to the middle between two float32 numbers that
an error of 2⁻⁴⁶ could tip it over, 60 decimal digits decide, and what was rounded the wrong way is listed. So the
float32 results are the correctly rounded ones, the listed exceptions apart, wherever (2)'s distance bounds the error.

    python scripts/prove_exact.py [--functions exp,log] [--shards 0-255] [--out build/prove] [--report FILE]
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bittrue.exact.engine import ExactModel, module_sha256
from bittrue.exact.file import ExactFile, digest
from bittrue.exact.functions import FUNCTIONS
from bittrue.exact.oracle import canonical
from bittrue.exact.plan import Input, Named, Operation, Plan

SHARDS = 256
CHUNK = 1 << 20
NEAR, FAR = 2.0**-46, 2.0**-48
DIGITS = 60

Doubles = NDArray[np.float64]


def softplus(x: Doubles) -> Doubles:
    """By the C library."""
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def sigmoid(x: Doubles) -> Doubles:
    """By the C library."""
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, e, 1) / (1 + e))


OTHERS: dict[str, Callable[[Doubles], Any]] = {
    "cos": np.cos,
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": sigmoid,
    "sin": np.sin,
    "softplus": softplus,
    "tanh": np.tanh,
}


@dataclass
class Findings:
    """Of some inputs: how many, how many the module computes otherwise than the oracle, how many are far from the C
    library, how many were decided with many digits, and the bits of those that are rounded the wrong way."""

    inputs: int = 0
    different: int = 0
    far: int = 0
    decided: int = 0
    exceptions: list[str] = field(default_factory=list)

    def __add__(self, other: Findings) -> Findings:
        return Findings(
            self.inputs + other.inputs,
            self.different + other.different,
            self.far + other.far,
            self.decided + other.decided,
            self.exceptions + other.exceptions,
        )


def examined(name: str, bits: NDArray[np.uint32], model: ExactModel) -> Findings:
    """The findings on the inputs with these bits."""
    x = bits.view(np.float32)
    with np.errstate(all="ignore"):
        wide = np.asarray(FUNCTIONS[name](x.astype(np.float64)))
        rounded = canonical(wide.astype(np.float32))
        other = np.asarray(OTHERS[name](x.astype(np.float64)))
    found = model.predict(x)
    different = int((found.view(np.uint32) != rounded.view(np.uint32)).sum())
    finite = np.isfinite(wide) & (np.abs(wide) < 2.0**128) & np.isfinite(x)
    with np.errstate(all="ignore"):
        far = finite & (np.abs(wide - other) > FAR * np.abs(other) + 2.0**-1000)
        if name == "erf":
            far &= np.abs(x) < 4  # beyond, it is 1 to within a float32
    doubtful = np.flatnonzero(finite & _near_the_middle(wide, rounded))
    wrong = [f"{int(bits[at]):08x}" for at in doubtful if not _is_right(name, x[at], wide[at])]
    return Findings(bits.size, different, int(far.sum()), doubtful.size, wrong)


def _near_the_middle(wide: Doubles, rounded: NDArray[np.float32]) -> NDArray[np.bool_]:
    with np.errstate(all="ignore"):
        return np.asarray(np.abs(wide - _middle(wide, rounded)) <= NEAR * np.abs(wide))


def _middle(wide: Doubles, rounded: NDArray[np.float32]) -> Doubles:
    """Halfway from the float32 to its neighbour on the side of the float64; exact."""
    near = rounded.astype(np.float64)
    toward = np.where(wide > near, np.float32(np.inf), np.float32(-np.inf)).astype(np.float32)
    beside = np.nextafter(rounded, toward).astype(np.float64)
    ends = [np.where(np.isinf(value), np.copysign(2.0**128, value), value) for value in (near, beside)]
    return np.asarray((ends[0] + ends[1]) / 2)


def _is_right(name: str, x: np.float32, wide: np.float64) -> bool:
    """Whether the float32 nearest to ``wide`` is the one nearest to the function at ``x``."""
    one = np.array([wide]).astype(np.float32)
    middle = Decimal(float(_middle(np.array([wide]), one)[0]))
    exact = precise(name, Decimal(float(x)))
    return exact == middle or (exact > middle) == (Decimal(float(wide)) > middle)


def precise(name: str, x: Decimal) -> Decimal:
    """The function with at least ``DIGITS`` digits."""
    with localcontext() as context:
        context.prec = DIGITS + 60
        return _PRECISE[name](x)


def _pi() -> Decimal:
    """Machin's formula."""

    def inverse_tangent(n: int) -> Decimal:
        term, total, k = Decimal(1) / n, Decimal(0), 0
        while abs(term) > Decimal(10) ** -130:
            total += term / (2 * k + 1)
            term, k = -term / (n * n), k + 1
        return total

    return 4 * (4 * inverse_tangent(5) - inverse_tangent(239))


def _sine(x: Decimal) -> Decimal:
    turn = 2 * _pi()
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
    return 2 / _pi().sqrt() * total


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
    "cos": lambda x: _sine(x + _pi() / 2),
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


def model_of(name: str) -> ExactModel:
    """The module with that one operation."""
    plan = Plan(name, (Input("x", (None,), "float32"),), (), (Operation(name, (0,)),), (Named("y", 1),))
    return ExactModel(ExactFile(plan, {}, digest(plan, {})))


def shard(name: str, number: int) -> Findings:
    """All inputs whose first eight bits are ``number``."""
    model, found = model_of(name), Findings()
    for start in range(number << 24, (number + 1) << 24, CHUNK):
        found += examined(name, np.arange(start, start + CHUNK, dtype=np.uint64).astype(np.uint32), model)
    return found


def stored(folder: Path, name: str, number: int) -> Findings:
    """The findings of a shard, computed if they are not there for this very module."""
    path = folder / module_sha256()[:16] / f"{name}-{number:03d}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(asdict(shard(name, number))), encoding="utf-8")
        partial.replace(path)
    return Findings(**json.loads(path.read_text(encoding="utf-8")))


def report(results: dict[str, Findings]) -> Iterator[str]:
    """The result as Markdown."""
    yield f"Examined on {datetime.now(UTC):%Y-%m-%d}, module {module_sha256()}."
    yield ""
    yield "| function | inputs | module ≠ oracle | far from the C library | decided by digits | rounded wrongly |"
    yield "|---|---|---|---|---|---|"
    for name, found in results.items():
        wrong = " ".join(found.exceptions) or "none"
        yield f"| {name} | {found.inputs:,} | {found.different} | {found.far} | {found.decided:,} | {wrong} |"


def main() -> int:
    """0 if the module is the oracle and nothing is far; 1 otherwise. Exceptions of rounding are listed, no failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", default=",".join(sorted(FUNCTIONS)))
    parser.add_argument("--shards", default=f"0-{SHARDS - 1}")
    parser.add_argument("--out", type=Path, default=Path("build") / "prove")
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    first, _, last = given.shards.partition("-")
    results: dict[str, Findings] = {}
    for name in given.functions.split(","):
        results[name] = Findings()
        for number in range(int(first), int(last or first) + 1):
            results[name] += stored(given.out, name, number)
            print(f"{name} {number}: {results[name]}", flush=True)
    text = "\n".join(report(results))
    print(text)
    if given.report:
        given.report.write_text(text + "\n", encoding="utf-8")
    return int(any(found.different or found.far for found in results.values()))


if __name__ == "__main__":
    raise SystemExit(main())
