"""Logic on truth values, element by element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op, TensorSpec, broadcast, elementwise_cut

__all__ = ["CONNECTIVES", "Logical"]

CONNECTIVES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"and": np.logical_and, "not": np.logical_not, "or": np.logical_or, "xor": np.logical_xor}
)
"""The connectives by name; ``not`` takes one operand, the others two."""


@dataclass(frozen=True)
class Logical(Op):
    """``connective`` of boolean tensors that broadcast; the names are the keys of `CONNECTIVES`."""

    arity: ClassVar[tuple[int, int | None]] = (1, 2)
    connective: str

    def __post_init__(self) -> None:
        if self.connective not in CONNECTIVES:
            raise ValueError(f"no connective is called {self.connective!r}; known are {', '.join(CONNECTIVES)}")

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        if len(specs) != (1 if self.connective == "not" else 2):
            raise self.refused(*specs, because="'not' takes one tensor and the others two")
        if any(spec.dtype != np.bool_ for spec in specs):
            raise self.refused(*specs, because="it needs boolean tensors")
        shape = broadcast(*(spec.shape for spec in specs))
        if shape is None:
            raise self.refused(*specs, because="the shapes do not broadcast")
        return TensorSpec(shape, np.dtype(np.bool_))

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Element by element."""
        return elementwise_cut(cut, *specs)

    def _evaluate(self, *arrays: Array) -> Array:
        return np.asarray(CONNECTIVES[self.connective](*arrays))

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        """1 where an operand in doubt decides the result, else 0."""
        doubts = [error > 0 for error in errors]
        if self.connective == "and":
            open_ = [array | doubt for array, doubt in zip(arrays, doubts, strict=True)]
            doubtful = (doubts[0] | doubts[1]) & open_[0] & open_[1]
        elif self.connective == "or":
            closed = [array & ~doubt for array, doubt in zip(arrays, doubts, strict=True)]
            doubtful = (doubts[0] | doubts[1]) & ~closed[0] & ~closed[1]
        else:
            doubtful = doubts[0] | doubts[-1]
        return np.where(np.broadcast_to(doubtful, exact.shape), 1.0, 0.0)

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        return np.zeros_like(size)
