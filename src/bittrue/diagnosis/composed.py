"""The composed rigorous bound: how far any computation of the whole model may be from the exact answer.

The bounds of the layers are carried forward, each layer's enlarging what came in and adding its own. It holds for
every arithmetic within the axioms and is pessimistic by many powers of ten in deep models, where it is given up; what
it calls safe is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from bittrue.errors import ModelError
from bittrue.graph.evaluate import layer_bound
from bittrue.graph.explicit_masks import with_masks
from bittrue.graph.model import Graph, LayerCall
from bittrue.graph.traversal import traverse
from bittrue.graph.truth import passes_unseen, unseen_mask
from bittrue.ops import Allowance, Axioms
from bittrue.traces import Array, Key

__all__ = ["Composed", "compose", "weakest"]


@dataclass(frozen=True)
class Composed:
    """For each output of the model that could be followed: its exact value and the bound, elementwise."""

    outputs: Mapping[Key, tuple[Array, Array]]

    def of(self, key: Key) -> tuple[Array, Array] | None:
        """The exact value and the bound of an output, None where there is none."""
        return self.outputs.get(key)


def weakest(axioms: Sequence[Axioms]) -> Axioms:
    """Axioms that hold for every one of ``axioms``: of each promise the weaker."""
    names = {name for found in axioms for name in found.functions}
    functions = {name: _looser([found.functions.get(name, found.function) for found in axioms]) for name in names}
    return Axioms(
        max(found.unit_roundoff for found in axioms),
        max(found.division for found in axioms),
        max(found.smallest_normal for found in axioms),
        min(found.largest for found in axioms),
        _looser([found.function for found in axioms]),
        functions,
    )


def _looser(allowances: Sequence[Allowance]) -> Allowance:
    return Allowance(
        max(found.ulps for found in allowances),
        max(found.absolute for found in allowances),
        max(found.per_argument for found in allowances),
    )


def compose(graph: Graph, inputs: Mapping[str, Array], axioms: Axioms) -> Composed:
    """The composed bound of every output of ``graph`` on ``inputs``, which are taken as exact."""
    feeds = [_Item(inputs[spec.name].astype(spec.dtype), np.float64(0)) for spec in graph.inputs]
    found = traverse(with_masks(graph), feeds, _Composition(axioms))
    keys = [Key("output", ref.layer, ref.call, ref.output) for ref in graph.outputs]
    return Composed(
        {
            key: (item.value, np.broadcast_to(item.bound, item.value.shape))
            for key, item in zip(keys, found, strict=True)
            if item.value is not None
        }
    )


@dataclass(frozen=True)
class _Item:
    """A tensor on its way; ``value`` None where it could not be followed."""

    value: Array | None
    bound: Array | np.float64
    masked: bool = False


class _Composition:
    def __init__(self, axioms: Axioms) -> None:
        self._axioms = axioms

    def visit(self, call: LayerCall, operands: Sequence[_Item]) -> Sequence[_Item]:
        masked = any(operand.masked for operand in operands)
        values = [operand.value for operand in operands if operand.value is not None]
        if len(values) < len(operands) or unseen_mask(call, masked):
            return []
        try:
            made = layer_bound(call.layer, values, self._axioms, call.nodes[-1], [item.bound for item in operands])
        except ModelError:
            return []
        if any(_hopeless(value, bound) for value, bound in made):
            return []
        return [_Item(value, bound, passes_unseen(call, masked)) for value, bound in made]

    def entered(self, call: LayerCall, operands: Sequence[_Item], masks: Sequence[_Item]) -> Sequence[_Item]:
        masked = bool(masks) or any(operand.masked for operand in operands)
        return [replace(operand, masked=masked) for operand in operands]

    def missing(self, call: LayerCall, operands: Sequence[_Item]) -> _Item:
        return _Item(None, np.float64(inf))

    def made(self, call: LayerCall, results: Sequence[_Item]) -> None:
        """Nothing is kept."""


_HOPELESS = 1e3


def _hopeless(value: Array, bound: Array) -> bool:
    """Whether a bound says nothing any more of any value; what follows is left alone, to save the time."""
    if value.dtype.kind != "f" or value.size == 0:
        return False
    return bool(np.min(bound) > _HOPELESS * np.max(np.abs(value)))
