"""The composed rigorous bound: how far any computation of the whole model may be from the exact answer.

The bounds of the layers are carried forward, each layer's enlarging what came in and adding its own. It holds for
every arithmetic within the axioms and is pessimistic by many powers of ten in deep models, where it is given up; what
it calls safe is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from bittrue.errors import ModelError
from bittrue.graph.evaluate import layer_bound
from bittrue.graph.examples import Cut, walk
from bittrue.graph.explicit_masks import with_masks
from bittrue.graph.model import Graph, LayerCall
from bittrue.graph.traversal import traverse
from bittrue.graph.truth import passes_unseen, unseen_mask
from bittrue.ops import Allowance, Axioms, TensorSpec
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


def compose(graph: Graph, inputs: Mapping[str, Array], axioms: Axioms, room: int | None = None) -> Composed:
    """The composed bound of every output of ``graph`` on ``inputs``, which are taken as exact.

    Where examples do not meet in the whole model, as many at a time as take about ``room`` bytes (None: all).
    """
    followed = with_masks(graph)
    feeds = [inputs[spec.name].astype(spec.dtype) for spec in graph.inputs]
    found = [_composed(followed, part, axioms) for part in _parts(followed, feeds, room)]
    known = [key for key in found[0] if all(key in part for part in found)]
    return Composed({key: _joined([part[key] for part in found]) for key in known})


def _composed(graph: Graph, feeds: Sequence[Array], axioms: Axioms) -> dict[Key, tuple[Array, Array]]:
    items = [_Item(feed, np.float64(0)) for feed in feeds]
    found = zip(graph.outputs, traverse(graph, items, _Composition(axioms)), strict=True)
    return {
        Key("output", ref.layer, ref.call, ref.output): (item.value, np.broadcast_to(item.bound, item.value.shape))
        for ref, item in found
        if item.value is not None
    }


def _joined(parts: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    if len(parts) == 1:
        return parts[0]
    values, bounds = zip(*parts, strict=True)
    return np.concatenate(values), np.concatenate(bounds)


_FLOATS = 12
"""Numbers of float64 that are held for each live element of a call: it, its bound, and what both are made from."""


def _parts(graph: Graph, feeds: Sequence[Array], room: int | None) -> Iterator[list[Array]]:
    """The inputs, as many examples at a time as fit; all at once where examples may meet."""
    size = len(feeds[0]) if feeds and feeds[0].ndim else 0
    marking = _Marking()
    if room is not None and all(feed.ndim and len(feed) == size for feed in feeds):
        made = traverse(graph, [(1, TensorSpec.of(feed)) for feed in feeds], marking)
        if all(found is not None and found[0] for found in made):
            cut = Cut(size, (True,) * len(feeds), marking.live, marking.fixed)
            yield from ([feed[part] for feed in feeds] for part in cut.parts(room // (8 * _FLOATS)))
            return
    yield list(feeds)


_Marked = tuple[int, TensorSpec] | None


class _Marking:
    """Follows whether tensors are cut as the inputs are, None where it is not known; ``live``, ``fixed`` as `Cut`."""

    def __init__(self) -> None:
        self.live = self.fixed = 0

    def visit(self, call: LayerCall, operands: Sequence[_Marked]) -> Sequence[_Marked]:
        known = [operand for operand in operands if operand is not None]
        if len(known) == len(operands):
            try:
                specs, marks = [spec for _, spec in known], [mark for mark, _ in known]
                walked = walk(call.layer, specs, marks, call.nodes[-1])
            except ModelError:  # it stops there, part or whole
                return []
            if walked is not None:
                self.live, self.fixed = max(self.live, walked.live), max(self.fixed, walked.fixed)
                return walked.outputs
        return []

    def entered(self, call: LayerCall, operands: Sequence[_Marked], masks: Sequence[_Marked]) -> Sequence[_Marked]:
        return operands

    def missing(self, call: LayerCall, operands: Sequence[_Marked]) -> _Marked:
        return None

    def made(self, call: LayerCall, results: Sequence[_Marked]) -> None:
        """Nothing is kept."""


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
