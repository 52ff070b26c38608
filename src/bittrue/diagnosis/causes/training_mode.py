"""A layer that behaves as in training: dropout drops, batch normalisation takes the batch's own statistics."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bittrue.ops import Normalize
from bittrue.traces import Array

from ..evidence import Evidence, Reproduction
from ..judging import outside
from ..result import Finding
from .registry import cause

__all__ = ["TrainingMode"]

_DROPOUTS = frozenset({"Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"})
_CLOSE = 2.0**-21  # a scale of 1 / (1 - rate), itself rounded, and a product


@cause
class TrainingMode:
    """The layer as it is in training must give what came out."""

    name: ClassVar[str] = "training-mode"
    order: ClassVar[int] = 6

    def test(self, evidence: Evidence) -> Finding | None:
        if evidence.layer.class_name in _DROPOUTS:
            return self._dropped(evidence)
        if evidence.layer.class_name == "BatchNormalization":
            return self._normalised(evidence)
        return None

    def _dropped(self, evidence: Evidence) -> Finding | None:
        rate = float(evidence.layer.config.get("rate", 0.0))
        x, y = (np.asarray(array, np.float64) for array in (evidence.side.inputs[0], evidence.side.outputs[0]))
        if not 0 < rate < 1 or x.shape != y.shape:
            return None
        kept = np.abs(y * (1 - rate) - x) <= _CLOSE * np.abs(x)
        inside = int(np.count_nonzero(kept | (y == 0)))
        found = Reproduction(0, y.size, inside, y.size - evidence.side.errors[0].outside)
        if not found.proven or np.count_nonzero(kept & (x != 0)) < 0.5 * (1 - rate) * np.count_nonzero(x):
            return None
        sentence = f"the {evidence.side.name} dropped values as in training: each is 0 or x / (1 - {rate:g})"
        return found.finding(self.name, sentence, _FIX)

    def _normalised(self, evidence: Evidence) -> Finding | None:
        x = np.asarray(evidence.side.inputs[0], np.float64)
        axis = int(evidence.layer.config.get("axis", -1)) % x.ndim
        for words, freedom in (("", 0), (", with n - 1 in the variance", 1)):
            if x.size // x.shape[axis] <= freedom:
                continue
            value, bound = _by_own_statistics(evidence, x, axis, freedom)
            y = evidence.side.outputs[0]
            inside = int(y.size - np.count_nonzero(outside(y, value, bound)))
            found = Reproduction(0, y.size, inside, y.size - evidence.side.errors[0].outside)
            if found.proven:
                sentence = f"the {evidence.side.name} normalised by the batch's own statistics, as in training{words}"
                return found.finding(self.name, sentence, _FIX)
        return None


def _by_own_statistics(evidence: Evidence, x: Array, axis: int, freedom: int) -> tuple[Array, Array]:
    """What normalising by the mean and variance of ``x`` gives, with its bound: of sums of n terms in any order."""
    axioms, layer = evidence.side.arithmetic.axioms, evidence.layer
    over = tuple(at for at in range(x.ndim) if at != axis)
    count = x.size // x.shape[axis]
    mean, variance = x.mean(axis=over, keepdims=True), x.var(axis=over, ddof=freedom, keepdims=True)
    squares = np.square(np.abs(x) + np.abs(mean)).mean(axis=over, keepdims=True)
    errors = (
        0.0,
        axioms.gamma(count + 2) * np.abs(x).mean(axis=over, keepdims=True),
        axioms.gamma(count + 6) * squares,
    )
    held = {weight.name: np.asarray(weight.value, np.float64).reshape(mean.shape) for weight in layer.weights}
    affine = held.get("gamma", np.ones_like(mean)), held.get("beta", np.zeros_like(mean))
    op = Normalize(float(layer.config.get("epsilon", 1e-3)))
    operands = (x, mean, variance, *affine)
    return op.evaluate(*operands)[0], op.error_bound(axioms, *operands, errors=(*errors, 0.0, 0.0))


_FIX = "predict with model.predict, or call the layer with training: false"
