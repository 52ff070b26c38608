"""Every element of an axis several times in a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bittrue.traces import Array

from .base import ExactOp, TensorSpec

__all__ = ["Repeat"]


@dataclass(frozen=True)
class Repeat(ExactOp):
    """Each element along ``axis`` ``times`` times: nearest-neighbour enlargement by a whole factor."""

    axis: int
    times: int

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ValueError(f"cannot repeat {self.times} times")

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if not -x.rank <= self.axis < x.rank:
            raise self.refused(x, because="the axis is out of range")
        shape = list(x.shape)
        size = shape[self.axis]
        shape[self.axis] = None if size is None else size * self.times
        return TensorSpec(tuple(shape), x.dtype)

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Unless it goes along the first axis."""
        return max(cut) if self.axis % specs[0].rank else None

    def _evaluate(self, *arrays: Array) -> Array:
        return np.repeat(arrays[0], self.times, axis=self.axis)
