"""Weights that lost something: cut short, cut to fewer bits, never set, or put on a coarse grid."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bittrue.traces import Array

from ..evidence import Evidence, Reproduction
from ..experiments import attempt, same_bits, with_weights
from ..result import Finding, Verdict
from ..weight_alterations import FIX, altered, truncated, unset
from .registry import cause

__all__ = ["WeightsQuantised", "WeightsTruncated", "WeightsUnset"]


@cause
class WeightsUnset:
    """Weights as they are before any file is loaded."""

    name: ClassVar[str] = "weights-unset"
    order: ClassVar[int] = 3

    def test(self, evidence: Evidence) -> Finding | None:
        fix = "check that every weight of model.json is found by its name, or convert the model again: " + FIX
        return altered(evidence, self.name, unset, fix=fix)


@cause
class WeightsTruncated:
    """A file cut short leaves zeros at the end; values cut short leave zeros in their lower bits."""

    name: ClassVar[str] = "weights-truncated"
    order: ClassVar[int] = 3

    def test(self, evidence: Evidence) -> Finding | None:
        return self._ended(evidence) or altered(evidence, self.name, truncated)

    def _ended(self, evidence: Evidence) -> Finding | None:
        held, layer = evidence.side.weights, evidence.layer
        if len(held) != len(layer.weights):
            return None
        pairs = [(w, v) for w, v in zip(layer.weights, held, strict=True) if not same_bits(w.value, v)]
        cuts = [(weight.name, _cut(weight.value, value)) for weight, value in pairs]
        if not cuts or any(cut is None for _, cut in cuts):
            return None
        found = attempt(evidence, with_weights(layer, held))
        if found is None or not found.proven:
            return None
        words = " and ".join(f"{name!r} whose last {cut:,} values are missing (zeros)" for name, cut in cuts)
        fix = "replace the weight files, one of which was cut short on its way: " + FIX
        return found.finding(self.name, f"the {evidence.side.name} computed with {words}", fix)


def _cut(model: Array, held: Array) -> int | None:
    """How many values at the end are zero while those before are the model's; None if that is not how they differ."""
    if model.shape != held.shape or model.dtype != held.dtype:
        return None
    mine, theirs = model.reshape(-1), held.reshape(-1)
    different = np.flatnonzero(mine != theirs)
    start = int(different[0]) if different.size else mine.size
    ended = start < mine.size and np.any(theirs[:start]) and not np.any(theirs[start:])
    return mine.size - start if ended else None


@cause
class WeightsQuantised:
    """The weights lie on a grid of at most 2¹⁶ steps about the model's own, or are those in 16 bits."""

    name: ClassVar[str] = "weights-quantised"
    order: ClassVar[int] = -1

    def test(self, evidence: Evidence) -> Finding | None:
        found = self._seen(evidence)
        if found is None:
            return None
        words, reproduction = found  # where rounding alone could have done as much, it is offered
        fix = "convert without quantisation, or compare with Python on the weights as they are dequantised"
        sentence = f"the {evidence.side.name} computed with weights quantised to {words}"
        return reproduction.finding(self.name, sentence, fix, Verdict.PRECISION)

    def _seen(self, evidence: Evidence) -> tuple[str, Reproduction] | None:
        layer, held = evidence.layer, evidence.side.weights
        if len(held) != len(layer.weights):
            return None
        pairs = [(w.value, v) for w, v in zip(layer.weights, held, strict=True) if not same_bits(w.value, v)]
        words = [_grid(model, value) for model, value in pairs]
        if not words or any(said is None for said in words):
            return None
        found = attempt(evidence, with_weights(layer, held))
        return None if found is None else (", ".join(sorted({str(said) for said in words})), found)


def _grid(model: Array, held: Array) -> str | None:
    """The format that ``held`` is ``model`` in: float16, or the affine 8 or 16 bits of TensorFlow.js; None if none."""
    if model.shape != held.shape or model.dtype != np.float32 or not np.isfinite(model).all() or not model.size:
        return None
    with np.errstate(over="ignore"):
        if same_bits(model.astype(np.float16).astype(np.float32), held):
            return "float16"
    for bits in (8, 16):
        if _affine(model.astype(np.float64), held.astype(np.float64), 2**bits - 1):
            return f"uint{bits}"
    return None


def _affine(model: Array, held: Array, steps: int) -> bool:
    """Whether every value of ``held`` is a whole number of steps from the lowest, and within one of its ``model``."""
    low, high = float(model.min()), float(model.max())
    step = (high - low) / steps
    if step <= 0:
        return False
    slack = 2.0**-21 * max(abs(low), abs(high))
    places = (held - held.min()) / step
    whole = np.abs(places - np.rint(places)) * step <= slack + 1e-3 * step
    return bool(np.all(whole) and np.all(np.abs(held - model) <= step * 1.01 + slack))
