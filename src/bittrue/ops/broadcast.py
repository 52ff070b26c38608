"""A tensor repeated along axes of size 1, and along new ones in front, until it has a given shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bittrue.traces import Array

from .base import ExactOp, TensorSpec

__all__ = ["Broadcast"]


@dataclass(frozen=True)
class Broadcast(ExactOp):
    """Broadcast to ``shape`` by NumPy's rules; every size of ``shape`` is a number."""

    shape: tuple[int, ...]

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        behind = self.shape[len(self.shape) - x.rank :]
        if x.rank > len(self.shape) or any(n not in (None, 1, m) for n, m in zip(x.shape, behind, strict=True)):
            raise self.refused(x, because=f"it does not broadcast to {self.shape}")
        return TensorSpec(self.shape, x.dtype)

    def _evaluate(self, *arrays: Array) -> Array:
        return np.broadcast_to(arrays[0], self.shape)
