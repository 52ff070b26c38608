"""Arithmetic on two tensors, element by element, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op, TensorSpec, broadcast, elementwise_cut, promote
from .gradients import scaled, summed_to

__all__ = ["OPERATIONS", "Binary"]

OPERATIONS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "add": np.add,
        "divide": np.true_divide,
        "maximum": np.maximum,
        "minimum": np.minimum,
        "multiply": np.multiply,
        "power": np.power,
        "subtract": np.subtract,
    }
)
"""The operations by name, as float64 evaluates them."""


@dataclass(frozen=True)
class Binary(Op):
    """``operation`` of two tensors that broadcast; the names are the keys of `OPERATIONS`."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    operation: str

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise ValueError(f"no operation is called {self.operation!r}; known are {', '.join(OPERATIONS)}")

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        shape = broadcast(*(spec.shape for spec in specs))
        if shape is None:
            raise self.refused(*specs, because="the shapes do not broadcast")
        dtype = promote(*specs)
        if self.operation in ("divide", "power") and not any(spec.is_floating for spec in specs):
            raise self.refused(*specs, because="it needs a floating-point tensor")
        return TensorSpec(shape, dtype)

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Element by element."""
        return elementwise_cut(cut, *specs)

    def _evaluate(self, *arrays: Array) -> Array:
        return np.asarray(OPERATIONS[self.operation](*arrays))

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        (a, b), (da, db) = arrays, errors
        match self.operation:
            case "add" | "subtract":
                return da + db
            case "maximum" | "minimum":
                # Monotone in both: the farthest values lie at the ends of the intervals.
                low, high = self._evaluate(a - da, b - db), self._evaluate(a + da, b + db)
                return np.asarray(np.maximum(exact - low, high - exact))
            case "multiply":
                return np.asarray(np.abs(a) * db + np.abs(b) * da + da * db)
            case "divide":
                # |(a+da)/(b+db) - a/b| ≤ (da + |a/b| db) / (|b| - db), without bound if b may vanish.
                room = np.abs(b) - db
                return np.where(room > 0, (da + np.abs(exact) * db) / room, np.where((da > 0) | (db > 0), np.inf, 0.0))
            case _:
                # x ** y with x > 0 is monotone in each operand: the extremes lie at corners.
                powers = (np.power(np.maximum(a + s * da, 0), b + t * db) for s in _SIGNS for t in _SIGNS)
                corners = [np.abs(power - exact) for power in powers]
                worst: Array = np.max(np.stack(np.broadcast_arrays(*corners)), axis=0)
                return np.where((da > 0) | (db > 0), np.where(a - da > 0, worst, np.inf), 0.0)

    def unfinished_terms(self, terms: tuple[int, ...], *shapes: tuple[int, ...]) -> int:
        """Those of both operands of a sum, if one is a sum of products."""
        return sum(terms) + terms.count(0) if any(terms) and self.operation in ("add", "subtract") else 0

    def _joining(self, terms: tuple[int, ...]) -> list[tuple[int, int]]:
        # Two sums of products are each finished before they meet: no kernel is known that runs one into the other.
        if self.operation not in ("add", "subtract") or not any(terms) or all(terms):
            return []
        return [(terms.index(0), 1 - terms.index(0))]

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        return summed_to(scaled(gradient, self._derivative(at, operands[0], operands[1], exact)), operands[at].shape)

    def _derivative(self, at: int, a: Array, b: Array, exact: Array) -> Array | float:
        """Of the result with respect to operand ``at``."""
        match self.operation:
            case "add":
                return 1.0
            case "subtract":
                return -1.0 if at else 1.0
            case "multiply":
                return a if at else b
            case "divide":
                return -exact / b if at else 1 / b
            case "maximum" | "minimum":
                first = a >= b if self.operation == "maximum" else a <= b
                return np.where(first, 0.0, 1.0) if at else np.where(first, 1.0, 0.0)
            case _:
                return np.where(a > 0, exact * np.log(a), 0.0) if at else b * np.power(a, b - 1)

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        match self.operation:
            case "maximum" | "minimum":
                return np.zeros_like(size)
            case "divide":
                return axioms.gamma(axioms.division) * size
            case "power":
                # Where a^b is 2^(b · log2 a), its error grows with that exponent and with b, for which log2 a is off.
                exponent = np.where(size > 0, np.abs(np.log2(size)), 0.0)
                return axioms.allowed("power", size, exponent + magnitudes[1])
            case _:
                return axioms.gamma(1) * size


_SIGNS = (-1.0, 1.0)
