"""The side at fault computes with other weights than the model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from bittrue.floats import bits
from bittrue.graph.model import Weight
from bittrue.traces import Array

from ..evidence import Evidence
from ..result import Finding
from .registry import cause

__all__ = ["WeightsDiffer"]


@cause
class WeightsDiffer:
    """The weights that the runtime holds are not the model's; the layer with those weights must give its output."""

    name: ClassVar[str] = "weights-differ"
    order: ClassVar[int] = 10

    def test(self, evidence: Evidence) -> Finding | None:
        layer, held = evidence.layer, evidence.side.weights
        pairs = list(zip(layer.weights, held, strict=False))
        changed = [weight.name for weight, value in pairs if not _same(weight.value, value)]
        if not changed or len(held) != len(layer.weights):
            return None
        if any(weight.value.shape != value.shape for weight, value in pairs):
            sentence = f"{_listed(changed)} of {layer.name!r} have other shapes than in the model"
            return Finding(self.name, sentence, True, "the shapes as the runtime holds them", _FIX)
        altered = replace(layer, weights=tuple(replace(weight, value=np.asarray(value)) for weight, value in pairs))
        whose = " (unrelated to the model's: another weight file)" if _from_elsewhere(pairs) else ""
        sentence = f"the {evidence.side.name} holds other values than the model in {_listed(changed)}{whose}"
        return evidence.try_layer(altered).finding(self.name, sentence, _FIX)


_FIX = "convert the model again and replace every weight file: bittrue convert MODEL OUT"


_FEWEST = 16  # values, of which the correlation of two unrelated weights is under ½ but once in twenty times


def _from_elsewhere(pairs: Sequence[tuple[Weight, Array]]) -> bool:
    """Whether no weight even resembles the model's; nothing can be said of few values, or of constants."""
    found = [_correlation(weight.value, value) for weight, value in pairs]
    known = [correlation for correlation in found if correlation is not None]
    return bool(known) and all(abs(correlation) < 0.5 for correlation in known)


def _correlation(model: Array, held: Array) -> float | None:
    mine, theirs = (np.asarray(array, np.float64).reshape(-1) for array in (model, held))
    if mine.size < _FEWEST or not np.isfinite(theirs).all() or mine.std() == 0 or theirs.std() == 0:
        return None
    return float(np.corrcoef(mine, theirs)[0, 1])


def _same(mine: Array, theirs: Array) -> bool:
    if mine.shape != theirs.shape or mine.dtype != theirs.dtype or mine.dtype.kind not in "fiub":
        return bool(mine.shape == theirs.shape and np.array_equal(mine.astype(np.float64), theirs.astype(np.float64)))
    return bool(np.array_equal(bits(mine), bits(theirs)))


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
