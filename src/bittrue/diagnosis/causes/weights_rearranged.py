"""The layer's own weights, in another order: transposed, in another layout, permuted, mirrored, shifted."""

from __future__ import annotations

from typing import ClassVar

from ..evidence import Evidence
from ..experiments import attempt, first_proven, same_bits, with_weights
from ..result import Finding
from ..weight_alterations import FIX, altered, gate_orders, rearranged, rows_moved
from .registry import cause

__all__ = ["GatesReordered", "WeightsRearranged"]


@cause
class WeightsRearranged:
    """Each weight that differs holds the model's values in other places; the layer with it must give the output."""

    name: ClassVar[str] = "weights-rearranged"
    order: ClassVar[int] = 4

    def test(self, evidence: Evidence) -> Finding | None:
        return self._permuted(evidence) or altered(evidence, self.name, rearranged)

    def _permuted(self, evidence: Evidence) -> Finding | None:
        """Slices in any order, which can only be told where the runtime's own weights were seen."""
        layer, held = evidence.layer, evidence.side.weights
        if len(held) != len(layer.weights) or any(
            weight.value.shape != value.shape for weight, value in zip(layer.weights, held, strict=True)
        ):
            return None
        pairs = [(w, v) for w, v in zip(layer.weights, held, strict=True) if not same_bits(w.value, v)]
        words = [(weight.name, rows_moved(weight.value, value)) for weight, value in pairs]
        if not words or any(said is None for _, said in words):
            return None
        found = attempt(evidence, with_weights(layer, held))
        if found is None or not found.proven:
            return None
        said = " and ".join(f"{name!r} {how}" for name, how in words)
        return found.finding(self.name, f"the {evidence.side.name} computed with {said}", FIX)


@cause
class GatesReordered:
    """The gates of a recurrent cell in the order of another framework."""

    name: ClassVar[str] = "gate-order"
    order: ClassVar[int] = 3

    def test(self, evidence: Evidence) -> Finding | None:
        layer = evidence.layer
        found = first_proven(
            evidence, ((words, with_weights(layer, values), None) for words, values in gate_orders(layer))
        )
        if found is None:
            return None
        words, reproduction = found
        fix = "store the gates in Keras's order (LSTM: i, f, c, o; GRU: z, r, h), or convert again: " + FIX
        return reproduction.finding(self.name, f"the {evidence.side.name} computed with the {words}", fix)
