"""The backend returned zeros: its kernel did not run."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..evidence import Evidence
from ..result import Finding
from .registry import cause

__all__ = ["NotComputed"]


@cause
class NotComputed:
    """Every value is zero where hardly any should be: a kernel that was rejected leaves its output as it was made."""

    name: ClassVar[str] = "not-computed"
    order: ClassVar[int] = 2

    def test(self, evidence: Evidence) -> Finding | None:
        side = evidence.side
        zeros = [found for y, found in zip(side.outputs, side.rounding, strict=False) if y.size and not np.any(y)]
        if not any(np.count_nonzero(found.value) > found.value.size / 2 for found in zeros):
            return None
        reproduced = evidence.try_values([np.zeros(y.shape) for y in side.outputs])
        sentence = (
            f"the {side.name} returned nothing but zeros: {side.provenance.backend} did not run this layer's kernel"
        )
        return reproduced.finding(self.name, sentence, "run this model on another backend")
