"""The same elements with the axes in another order."""

from __future__ import annotations

from dataclasses import dataclass

from bittrue.traces import Array

from .base import ExactOp, TensorSpec

__all__ = ["Transpose"]


@dataclass(frozen=True)
class Transpose(ExactOp):
    """Axis i of the result is axis ``permutation[i]`` of the operand."""

    permutation: tuple[int, ...]

    def __post_init__(self) -> None:
        if sorted(self.permutation) != list(range(len(self.permutation))):
            raise ValueError(f"{self.permutation} is no permutation")

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if x.rank != len(self.permutation):
            raise self.refused(x, because=f"it needs {len(self.permutation)} axes")
        return TensorSpec(tuple(x.shape[axis] for axis in self.permutation), x.dtype)

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Where the first axis stays the first."""
        return max(cut) if self.permutation[:1] == (0,) else None

    def _evaluate(self, *arrays: Array) -> Array:
        return arrays[0].transpose(self.permutation)
