"""Tensors joined along one axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bittrue.traces import Array

from .base import ExactOp, TensorSpec, promote, same_rows, same_size

__all__ = ["Concat"]


@dataclass(frozen=True)
class Concat(ExactOp):
    """The operands, in order, along ``axis`` (negative: from the end)."""

    arity: ClassVar[tuple[int, int | None]] = (1, None)
    axis: int = -1

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        rank = specs[0].rank
        if any(spec.rank != rank for spec in specs) or not -rank <= self.axis < rank:
            raise self.refused(*specs, because="all must have the same number of axes, and the axis among them")
        axis = self.axis % rank
        shape = list(specs[0].shape)
        for spec in specs[1:]:
            shape = [
                _sum(a, b) if at == axis else self._shared(specs, a, b)
                for at, (a, b) in enumerate(zip(shape, spec.shape, strict=True))
            ]
        return TensorSpec(tuple(shape), promote(*specs))

    def _shared(self, specs: tuple[TensorSpec, ...], a: int | None, b: int | None) -> int | None:
        if not same_size(a, b):
            raise self.refused(*specs, because="another axis differs")
        return b if a is None else a

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """All of them, joined along another axis."""
        return max(cut) if all(cut) and same_rows(cut) and self.axis % specs[0].rank else None

    def _evaluate(self, *arrays: Array) -> Array:
        return np.concatenate(arrays, axis=self.axis)


def _sum(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b
