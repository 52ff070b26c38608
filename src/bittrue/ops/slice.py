"""A stretch of a tensor along one axis."""

from __future__ import annotations

from dataclasses import dataclass

from bittrue.traces import Array

from .base import ExactOp, TensorSpec

__all__ = ["Slice"]


@dataclass(frozen=True)
class Slice(ExactOp):
    """Elements ``start`` to ``stop`` of ``axis``, every ``step``-th, as Python slices."""

    axis: int
    start: int | None
    stop: int | None
    step: int = 1

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if not -x.rank <= self.axis < x.rank:
            raise self.refused(x, because="the axis is out of range")
        shape = list(x.shape)
        size = shape[self.axis]
        shape[self.axis] = None if size is None else len(range(size)[self.start : self.stop : self.step])
        return TensorSpec(tuple(shape), x.dtype)

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Unless it goes along the first axis."""
        return max(cut) if self.axis % specs[0].rank else None

    def _evaluate(self, *arrays: Array) -> Array:
        (x,) = arrays
        cut = [slice(None)] * x.ndim
        cut[self.axis] = slice(self.start, self.stop, self.step)
        return x[tuple(cut)]
