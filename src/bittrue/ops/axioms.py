"""What a floating-point arithmetic promises: the axioms that bounds are derived from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType

import numpy as np

from bittrue.traces import Array

__all__ = ["Allowance", "Axioms"]

_TRUTH_ROUNDOFF = 2.0**-53
_SLACK = 1 + 2.0**-20  # pays for evaluating the bounds themselves in float64


@dataclass(frozen=True)
class Allowance:
    """What an implementation of a function may be off by: ``ulps`` of the result plus ``absolute`` ulps of 1.

    The absolute part is for formulas that cancel, e.g. exp(x) - 1 for expm1 or (1 - e) / (1 + e) for tanh. Where the
    error grows with the argument x, there are ``per_argument`` · |x| ulps of the result more.
    """

    ulps: float = 4.0
    absolute: float = 0.0
    per_argument: float = 0.0


_FUNCTIONS: Mapping[str, Allowance] = MappingProxyType(
    {
        "expm1": Allowance(4, 4),
        "log": Allowance(4, 1),
        "log1p": Allowance(4, 4),
        "softplus": Allowance(4, 4),
        "tanh": Allowance(4, 4),
        "sigmoid": Allowance(4, 1),
        "erf": Allowance(4, 4),
        "sin": Allowance(4, 1),
        "cos": Allowance(4, 1),
    }
)


@dataclass(frozen=True)
class Axioms:
    """What a floating-point arithmetic promises. The defaults are IEEE binary32 that may flush subnormals.

    ``unit_roundoff``: relative error of sums, products and fused multiply-add. ``division``: of quotients and
    roots, in units of ``unit_roundoff`` (1 where they are correctly rounded). ``smallest_normal``: below it
    operands and results may be flushed to zero; ``largest``: above it nothing is promised. ``functions``: of each
    elementary function, its allowance by its name in `bittrue.ops.unary`, ``function`` for those not named. They
    are assumptions about ordinary CPU libraries, not theorems; a backend's own table replaces them. ``in_order``
    concerns expectations alone: sums of products are added as kernels do it, in the order in which their terms lie in
    memory, to the bias if there is one; otherwise in any order.
    """

    unit_roundoff: float = 2.0**-24
    division: float = 1.0
    smallest_normal: float = 2.0**-126
    largest: float = (2 - 2.0**-23) * 2.0**127
    function: Allowance = Allowance()
    functions: Mapping[str, Allowance] = field(default_factory=lambda: _FUNCTIONS)
    in_order: bool = False

    def gamma(self, roundings: float) -> float:
        """γₙ of Higham (lemma 3.1) for ``roundings``, plus the same for the float64 evaluation it is held against."""
        return (_gamma(roundings, self.unit_roundoff) + _gamma(roundings, _TRUTH_ROUNDOFF)) * _SLACK

    def sums(self, magnitudes: Array, roundings: float, terms: int) -> Array:
        """Bound of a sum of ``terms`` whose magnitudes add up to ``magnitudes``; infinite where it may overflow."""
        bound = self.gamma(roundings) * magnitudes + 2 * terms * self.smallest_normal
        return np.where(magnitudes > self.largest, inf, bound)

    def flushed_variance(self, terms: int) -> float:
        """Expected squared error of a sum of ``terms`` near or below the smallest normal number.

        Ulps no longer shrink with the values there, and values may be flushed altogether: anything within what `sums`
        allows is taken as equally likely. Nothing beside the roundings of larger values.
        """
        return (2 * terms * self.smallest_normal) ** 2 / 3

    def allowed(self, function: str, magnitudes: Array | float, arguments: Array | float = 0.0) -> Array:
        """Bound of ``function`` at ``arguments`` where its result is of size ``magnitudes``.

        One ulp is at most 2u of the value.
        """
        allowance = self.functions.get(function, self.function)
        ulp = 2 * self.unit_roundoff + 4 * _TRUTH_ROUNDOFF
        ulps = allowance.ulps + allowance.per_argument * np.abs(arguments) if allowance.per_argument else allowance.ulps
        return np.asarray((ulps * magnitudes + allowance.absolute) * ulp * _SLACK)


def _gamma(roundings: float, unit_roundoff: float) -> float:
    lost = roundings * unit_roundoff
    return lost / (1 - lost) if lost < 1 else inf
