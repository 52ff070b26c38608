"""Comparing two tensors, element by element, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op, TensorSpec, broadcast, elementwise_cut

__all__ = ["RELATIONS", "Compare"]

RELATIONS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "equal": np.equal,
        "greater": np.greater,
        "greater_equal": np.greater_equal,
        "less": np.less,
        "less_equal": np.less_equal,
        "not_equal": np.not_equal,
    }
)
"""The relations by name."""


@dataclass(frozen=True)
class Compare(Op):
    """Whether ``relation`` holds between two tensors that broadcast; boolean."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    relation: str

    def __post_init__(self) -> None:
        if self.relation not in RELATIONS:
            raise ValueError(f"no relation is called {self.relation!r}; known are {', '.join(RELATIONS)}")

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        shape = broadcast(*(spec.shape for spec in specs))
        if shape is None:
            raise self.refused(*specs, because="the shapes do not broadcast")
        return TensorSpec(shape, np.dtype(np.bool_))

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Element by element."""
        return elementwise_cut(cut, *specs)

    def _evaluate(self, *arrays: Array) -> Array:
        return np.asarray(RELATIONS[self.relation](*arrays))

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        """1 where the operands may stand the other way round, else 0."""
        (a, b), (da, db) = arrays, errors
        doubt = da + db
        return np.where((doubt > 0) & (np.abs(a - b) <= doubt), 1.0, 0.0)

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        return np.zeros_like(size)
