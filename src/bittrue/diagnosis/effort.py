"""How much is spent on causes that are not found: a model that is wrong everywhere must not take minutes."""

from __future__ import annotations

from collections import Counter
from math import prod

from bittrue.graph.model import LayerNode

from .evidence import Evidence

__all__ = ["NOT_SEARCHED", "Effort", "products"]

_MOST = 2**27
"""Products of layers whose causes were searched for in vain, on one target; every experiment computes them once."""

NOT_SEARCHED = "its causes were not searched for, as those of the large layers before it were not found"


def products(layer: LayerNode, size: int) -> int:
    """About how many products ``layer`` has for outputs of ``size`` elements, each a sum over a kernel's fan-in."""
    return size * max((prod(weight.value.shape[:-1]) for weight in layer.weights), default=1)


class Effort:
    """What was spent in vain so far, target by target."""

    def __init__(self) -> None:
        self._spent: Counter[str] = Counter()

    def is_left(self, target: str) -> bool:
        """Whether causes may still be searched for."""
        return self._spent[target] <= _MOST

    def in_vain(self, target: str, evidence: Evidence) -> None:
        """Note a search that found nothing."""
        self._spent[target] += products(evidence.layer, sum(y.size for y in evidence.side.outputs))
