"""Functions that a backend replaces by an approximation of its own, written down where they are known.

A row is (runtime:backend, function of `bittrue.ops.unary`), with the approximation in float64: what the backend would
return if its own arithmetic were exact. Its largest distance from the function is stated, from the source given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from bittrue.ops import Op, Unary
from bittrue.traces import Array

__all__ = ["APPROXIMATIONS", "Approximated", "Approximation", "substitution"]


@dataclass(frozen=True)
class Approximation:
    """``evaluate`` in place of ``function``; ``largest`` is its documented absolute error, ``source`` where from."""

    function: str
    evaluate: Callable[[Array], Array]
    largest: float
    source: str


@dataclass(frozen=True)
class Approximated(Unary):
    """A function of one number, evaluated by a backend's approximation of it."""

    approximation: Approximation | None = field(default=None, compare=False)

    def _evaluate(self, *arrays: Array) -> Array:
        assert self.approximation is not None
        return self.approximation.evaluate(arrays[0])


def _erf(x: Array) -> Array:
    """Abramowitz and Stegun, *Handbook of Mathematical Functions*, formula 7.1.26."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    coefficients = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
    polynomial = np.zeros_like(t)
    for coefficient in coefficients:
        polynomial = (polynomial + coefficient) * t
    return np.asarray(np.sign(x) * (1 - polynomial * np.exp(-np.square(x))))


def _softplus(x: Array) -> Array:
    """TensorFlow.js: x above and exp(x) below a threshold of ln(2^-23) + 2 on either side of zero, else the formula."""
    threshold = np.log(2.0**-23) + 2
    with np.errstate(over="ignore"):
        return np.where(x > -threshold, x, np.where(x < threshold, np.exp(x), np.log1p(np.exp(x))))


_ERF = Approximation("erf", _erf, 1.5e-7, "Abramowitz and Stegun 7.1.26, |error| ≤ 1.5e-7")
_SOFTPLUS = Approximation("softplus", _softplus, 8.8e-7, "x or exp(x) beyond ±13.94, |error| ≤ 8.8e-7")

APPROXIMATIONS: Mapping[str, tuple[Approximation, ...]] = MappingProxyType(
    {
        "tfjs:cpu": (_ERF, _SOFTPLUS),
        "tfjs:webgl": (_ERF, _SOFTPLUS),
        "tfjs:webgpu": (_ERF, _SOFTPLUS),
    }
)
"""The approximations of each backend."""


def substitution(known: Mapping[str, Approximation]) -> Callable[[Op], Op]:
    """Puts the approximations, by function, in the place of the functions; everything else stays."""

    def replaced(op: Op) -> Op:
        found = known.get(op.function) if isinstance(op, Unary) else None
        return op if found is None else Approximated(found.function, found)

    return replaced
