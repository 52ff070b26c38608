"""What a kind of fault is: where it is planted, how, and which causes name it rightly.

A kind's function plants it in a `Plan` and returns the layer (or input) at fault, or None where the model has no place
for it. An empty set of causes: nothing that Bittrue knows explains it, and nothing may be claimed as proven.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .plan import Plan

__all__ = ["KINDS", "Array", "Draw", "Kind", "kind", "one"]

Array = NDArray[Any]
Draw = np.random.Generator
Plant = Callable[[Plan, Draw], str | None]


@dataclass(frozen=True)
class Kind:
    """``where``: artifact, page or input. ``causes`` that name it; ``subtle``: may stay inside the bound."""

    name: str
    where: str
    causes: frozenset[str]
    plant: Plant
    subtle: bool = False


KINDS: dict[str, Kind] = {}


def kind(where: str, *causes: str, subtle: bool = False) -> Callable[[Plant], Plant]:
    """Registers a function as the kind of its name."""

    def register(plant: Plant) -> Plant:
        name = plant.__name__.replace("_", " ")
        KINDS[name] = Kind(name, where, frozenset(causes), plant, subtle)
        return plant

    return register


def one(draw: Draw, found: list[Any]) -> Any:
    return found[int(draw.integers(len(found)))] if found else None
