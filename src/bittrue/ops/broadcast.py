"""A tensor repeated along axes of size 1, and along new ones in front, until it has a given shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bittrue.traces import Array

from .base import ExactOp, TensorSpec
from .base import broadcast as broadcast_shapes

__all__ = ["Broadcast"]


@dataclass(frozen=True)
class Broadcast(ExactOp):
    """Broadcast to ``shape`` by NumPy's rules; every size of ``shape`` is a number."""

    shape: tuple[int, ...]

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        (x,) = specs
        if x.rank > len(self.shape) or broadcast_shapes(x.shape, self.shape) != self.shape:
            raise self.refused(x, because=f"it does not broadcast to {self.shape}")
        return TensorSpec(self.shape, x.dtype)

    def _evaluate(self, *arrays: Array) -> Array:
        return np.broadcast_to(arrays[0], self.shape)
