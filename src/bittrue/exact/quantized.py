"""Constants stored in 8 or 16 bits: spec.md, 2.3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bittrue.traces import Array

__all__ = ["Quantized"]

_AT_ONCE = 2**20  # elements that are widened to float64 together


@dataclass(frozen=True, eq=False)
class Quantized:
    """A float32 constant as a file holds it: uint8 or uint16 steps of ``scale`` from ``minimum``; or float16."""

    stored: Array
    scale: float = 1.0
    minimum: float = 0.0

    @property
    def affine(self) -> tuple[float, float] | None:
        """Scale and minimum; None of float16."""
        return None if self.stored.dtype == np.float16 else (self.scale, self.minimum)

    def loaded(self) -> Array:
        """The float32 numbers that are computed with."""
        if self.affine is None:
            return self.stored.astype(np.float32)
        found = np.empty(self.stored.shape, np.float32)
        flat, given = found.reshape(-1), self.stored.reshape(-1)
        with np.errstate(over="ignore"):
            for at in range(0, flat.size, _AT_ONCE):
                flat[at : at + _AT_ONCE] = given[at : at + _AT_ONCE].astype(np.float64) * self.scale + self.minimum
        return found
