"""A layer that behaves as in training: dropout drops, batch normalisation takes the batch's own statistics."""

from __future__ import annotations

from collections.abc import Callable
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
        batch = evidence.side.batch[0]
        axis = int(evidence.layer.config.get("axis", -1)) % batch.ndim
        for words, freedom in (("", 0), (", with n - 1 in the variance", 1)):
            if batch.size // batch.shape[axis] <= freedom:
                continue
            value, bound = _by_own_statistics(evidence, batch, axis, freedom)
            y = evidence.side.outputs[0]
            inside = int(y.size - np.count_nonzero(outside(y, value, bound)))
            found = Reproduction(0, y.size, inside, y.size - evidence.side.errors[0].outside)
            if found.proven:
                sentence = f"the {evidence.side.name} normalised by the batch's own statistics, as in training{words}"
                return found.finding(self.name, sentence, _FIX)
        return None


def _by_own_statistics(evidence: Evidence, batch: Array, axis: int, freedom: int) -> tuple[Array, Array]:
    """What normalising by ``batch``'s mean and variance gives, with its bound: of sums of n terms in any order."""
    axioms, layer = evidence.side.arithmetic.axioms, evidence.layer
    over = tuple(at for at in range(batch.ndim) if at != axis)
    count = batch.size // batch.shape[axis]

    def total(of: Callable[[Array], Array]) -> Array:
        """Σ over the whole batch, an example at a time."""
        return np.asarray(sum(of(x[None].astype(np.float64)).sum(axis=over, keepdims=True) for x in batch))

    mean = total(lambda x: x) / count
    variance = total(lambda x: np.square(x - mean)) / (count - freedom)
    errors = (
        0.0,
        axioms.gamma(count + 2) * total(np.abs) / count,
        axioms.gamma(count + 6) * total(lambda x: np.square(np.abs(x) + np.abs(mean))) / count,
    )
    held = {weight.name: np.asarray(weight.value, np.float64).reshape(mean.shape) for weight in layer.weights}
    affine = held.get("gamma", np.ones_like(mean)), held.get("beta", np.zeros_like(mean))
    op = Normalize(float(layer.config.get("epsilon", 1e-3)))
    operands = (np.asarray(evidence.side.inputs[0], np.float64), mean, variance, *affine)
    return op.evaluate(*operands)[0], op.error_bound(axioms, *operands, errors=(*errors, 0.0, 0.0))


_FIX = "predict with model.predict, or call the layer with training: false"
