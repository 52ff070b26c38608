"""Functions of one number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op, TensorSpec
from .gradients import scaled

__all__ = ["FUNCTIONS", "Unary"]


def _erf(x: Array) -> Array:
    # Under one ulp in every C library; NumPy has none.
    return np.fromiter(map(math.erf, x.ravel()), np.float64, x.size).reshape(x.shape)


def _sigmoid(x: Array) -> Array:
    # exp never overflows, and no digits cancel on either side.
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


FUNCTIONS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "abs": np.abs,
        "ceil": np.ceil,
        "cos": np.cos,
        "erf": _erf,
        "exp": np.exp,
        "expm1": np.expm1,
        "floor": np.floor,
        "log": np.log,
        "log1p": np.log1p,
        "negative": np.negative,
        "relu": _relu,
        "round": np.rint,
        "rsqrt": lambda x: 1 / np.sqrt(x),
        "sigmoid": _sigmoid,
        "sign": np.sign,
        "sin": np.sin,
        "softplus": lambda x: np.logaddexp(x, 0.0),
        "sqrt": np.sqrt,
        "square": np.square,
        "tanh": np.tanh,
    }
)
"""The functions by name, as float64 evaluates them."""

_DERIVATIVES: Mapping[str, Callable[[Array, Array], Array | float]] = MappingProxyType(
    {
        "abs": lambda x, y: np.where(x >= 0, 1.0, -1.0),
        "ceil": lambda x, y: 0.0,
        "cos": lambda x, y: -np.sin(x),
        "erf": lambda x, y: 2 / math.sqrt(math.pi) * np.exp(-np.square(x)),
        "exp": lambda x, y: y,
        "expm1": lambda x, y: y + 1,
        "floor": lambda x, y: 0.0,
        "log": lambda x, y: 1 / x,
        "log1p": lambda x, y: 1 / (1 + x),
        "negative": lambda x, y: -1.0,
        "relu": lambda x, y: np.where(x >= 0, 1.0, 0.0),
        "round": lambda x, y: 0.0,
        "rsqrt": lambda x, y: -(y**3) / 2,
        "sigmoid": lambda x, y: y * _sigmoid(-x),
        "sign": lambda x, y: 0.0,
        "sin": lambda x, y: np.cos(x),
        "softplus": lambda x, y: _sigmoid(x),
        "sqrt": lambda x, y: 0.5 / y,
        "square": lambda x, y: 2 * x,
        "tanh": lambda x, y: 1 - np.square(y),
    }
)
"""The derivatives by name, of the argument and the function's value there; at a kink that towards larger arguments."""

_EXACT = frozenset({"abs", "ceil", "floor", "negative", "relu", "round", "sign"})
_INTEGRAL = frozenset({"abs", "negative", "relu", "sign", "square"})
_POSITIVE_DOMAIN = frozenset({"log", "rsqrt", "sqrt"})


@dataclass(frozen=True)
class Unary(Op):
    """``function`` of every element; the names are the keys of `FUNCTIONS`."""

    function: str

    def __post_init__(self) -> None:
        if self.function not in FUNCTIONS:
            raise ValueError(f"no function is called {self.function!r}; known are {', '.join(FUNCTIONS)}")

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if not x.is_floating and (self.function not in _INTEGRAL or x.dtype == np.bool_):
            raise self.refused(x, because="it needs a floating-point tensor")
        return x

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Element by element."""
        return max(cut)

    def _evaluate(self, *arrays: Array) -> Array:
        return np.asarray(FUNCTIONS[self.function](arrays[0]))

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        x, error = arrays[0], errors[0]
        if self.function in ("sin", "cos"):
            return np.minimum(error, 2.0)
        if self.function in ("abs", "square"):
            return error if self.function == "abs" else (2 * np.abs(x) + error) * error
        # All others are monotone: the farthest values lie at the ends of the interval.
        low, high = x - error, x + error
        if self.function in _POSITIVE_DOMAIN:
            low = np.where(x >= 0, np.maximum(low, 0.0), low)
        ends = [np.abs(self._evaluate(end) - exact) for end in (low, high)]
        return np.where(error > 0, np.maximum(*ends) + 2.0**-50 * np.abs(exact), 0.0)

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        return scaled(gradient, _DERIVATIVES[self.function](operands[0], exact))

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        if self.function in _EXACT:
            return np.zeros_like(size)
        if self.function == "square":
            return axioms.gamma(1) * size
        if self.function == "sqrt":
            return axioms.gamma(axioms.division) * size
        if self.function == "rsqrt":
            return np.maximum(axioms.gamma(2 * axioms.division) * size, axioms.allowed("rsqrt", size))
        return axioms.allowed(self.function, size, magnitudes[0])
