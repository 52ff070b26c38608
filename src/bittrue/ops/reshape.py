"""The same elements in another shape."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from bittrue.traces import Array

from .base import ExactOp, Shape, TensorSpec

__all__ = ["Reshape"]


@dataclass(frozen=True)
class Reshape(ExactOp):
    """Keeps the first ``keep`` axes and lays the rest out, row-major, as ``shape``; one -1 fits what is left."""

    shape: tuple[int, ...]
    keep: int = 1

    def __post_init__(self) -> None:
        if sum(size == -1 for size in self.shape) > 1 or any(size < -1 for size in self.shape):
            raise ValueError(f"{self.shape} is not a shape with at most one -1")

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if x.rank < self.keep:
            raise self.refused(x, because=f"it needs at least {self.keep} axes")
        return TensorSpec((*x.shape[: self.keep], *self._rest(x)), x.dtype)

    def _rest(self, x: TensorSpec) -> Shape:
        rest = x.shape[self.keep :]
        known = None if None in rest else prod(size for size in rest if size is not None)
        fixed = prod(size for size in self.shape if size != -1)
        if -1 not in self.shape:
            if known is not None and known != fixed:
                raise self.refused(x, because=f"{known} elements do not fill {fixed} places")
            return self.shape
        if known is not None and (known % fixed if fixed else known):
            raise self.refused(x, because=f"{known} elements are no multiple of {fixed}")
        free = None if known is None else (known // fixed if fixed else 0)
        return tuple(free if size == -1 else size for size in self.shape)

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Where the first axis is kept, or what an example has fills whole rows of the result."""
        (rows,), (x,) = cut, specs
        if self.keep:
            return rows
        if self.shape[:1] != (-1,) or None in x.shape:
            return None
        elements, row = rows * prod(size or 0 for size in x.shape[1:]), prod(self.shape[1:])
        return elements // row if row and elements and elements % row == 0 else None

    def _evaluate(self, *arrays: Array) -> Array:
        (x,) = arrays
        (spec,) = self.infer(TensorSpec.of(x))
        return x.reshape([size for size in spec.shape if size is not None])
