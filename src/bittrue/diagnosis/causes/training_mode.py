"""A layer that behaves as in training: dropout drops, batch normalisation takes the batch's own statistics."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bittrue.traces import Array

from ..evidence import Evidence, Reproduction
from ..experiments import attempt, with_weights
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
        over = tuple(at for at in range(x.ndim) if at != axis)
        for words, freedom in (("", 0), (", with n - 1 in the variance", 1)):
            if x.size // x.shape[axis] <= freedom:
                continue
            own: dict[str, Array] = {"moving_mean": x.mean(axis=over), "moving_variance": x.var(axis=over, ddof=freedom)}
            layer = with_weights(evidence.layer, [own.get(weight.name) for weight in evidence.layer.weights])
            found = attempt(evidence, layer)
            if found is not None and found.proven:
                sentence = f"the {evidence.side.name} normalised by the batch's own statistics, as in training{words}"
                return found.finding(self.name, sentence, _FIX)
        return None




_FIX = "predict with model.predict, or call the layer with training: false"
