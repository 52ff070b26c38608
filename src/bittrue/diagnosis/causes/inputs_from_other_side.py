"""The side at fault did not compute with the inputs that its trace shows, but with those of the other side."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..evidence import Evidence
from ..result import Finding
from .registry import cause

__all__ = ["InputsDiffer"]


@cause
class InputsDiffer:
    """What a layer returned belongs to other inputs: those that the same call has on the other side."""

    name: ClassVar[str] = "inputs-differ"
    order: ClassVar[int] = 20

    def test(self, evidence: Evidence) -> Finding | None:
        mine, theirs = evidence.side.inputs, evidence.other.inputs
        shapes = [array.shape for array in mine] == [array.shape for array in theirs]
        if not shapes or all(
            np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(mine, theirs, strict=True)
        ):
            return None
        found = evidence.try_layer(inputs=theirs)
        if not found.proven:
            return None
        sentence = f"the {evidence.side.name} computed this layer on other tensors than the layers before it returned"
        return found.finding(self.name, sentence, "check what changes the tensors between the two layers")
