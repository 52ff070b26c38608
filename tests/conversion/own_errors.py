"""Every layer's own error: what a runtime made of the very inputs that it gave the layer, held against float64.

Errors of the layers before are no part of it, so the bound stays that of one layer, however deep the model is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bittrue.graph.evaluate import layer_bound
from bittrue.graph.explicit_masks import with_masks
from bittrue.graph.model import Graph, LayerCall
from bittrue.graph.traversal import traverse
from bittrue.ops import Allowance, Axioms
from bittrue.traces import Array, Key, Provenance, Trace

__all__ = ["AXIOMS", "OwnError", "axioms_of", "composed", "own_errors", "ratio_of"]

AXIOMS = Axioms(functions={**Axioms().functions, "erf": Allowance(4, 8)})
"""TensorFlow.js's erf is a published approximation (Abramowitz and Stegun 7.1.26) with an error of 1.5e-7."""

_WEBGL = replace(AXIOMS, smallest_normal=2.0**-72)
"""TensorFlow.js's packed depthwise convolution on webgl adds its products to 1e-15, which it takes off at the end: they
are rounded to multiples of 2⁻⁷³."""

Pair = tuple[Array, Array]


def axioms_of(backend: str) -> Axioms:
    """What is asked of a backend: correct rounding, ordinary functions, and what its own code is known to do."""
    return _WEBGL if backend == "webgl" else AXIOMS


@dataclass(frozen=True)
class OwnError:
    """One output of one call: the worst ``ratio`` of its own error to the bound, 1 or less if it is rounding.

    ``looseness`` is the largest bound beside the largest value: a bound that is as wide as the values says nothing.
    """

    key: Key
    class_name: str
    ratio: float
    looseness: float


def own_errors(graph: Graph, trace: Trace, axioms: Axioms = AXIOMS) -> list[OwnError]:
    """Every output that ``trace`` holds of a call of a layer of ``graph``, in execution order."""
    explicit = with_masks(graph)
    feeds = [_exact(trace[Key("input", spec.name)].load().astype(spec.dtype)) for spec in graph.inputs]
    replay = _Replay(trace, axioms)
    traverse(explicit, feeds, replay)
    return replay.errors


def composed(graph: Graph, inputs: Mapping[str, Array], axioms: Axioms = AXIOMS) -> list[Pair]:
    """Each output of ``graph``: its exact value, and how far any computation of the whole may lie from it."""
    nothing = Trace.of(Provenance("memory", "none", "none", "0"), [])
    feeds = [_exact(inputs[spec.name]) for spec in graph.inputs]
    return traverse(with_masks(graph), feeds, _Replay(nothing, axioms))


def ratio_of(found: Array, exact: Array, bound: Array) -> float:
    """The worst of |found - exact| / bound. Infinite where a value differs that may not, or is not a number."""
    with np.errstate(all="ignore"):
        same = (found == exact) | (np.isnan(found) & np.isnan(exact))
        ratios = np.where(same, 0.0, np.abs(found - exact.astype(np.float64)) / bound)
    return float(np.max(np.where(np.isnan(ratios), np.inf, ratios), initial=0.0))


def _exact(array: Array) -> Pair:
    return array, np.zeros(())


class _Replay:
    """Hands each layer what the runtime had handed it; where nothing was captured, the exact value and its bound."""

    def __init__(self, trace: Trace, axioms: Axioms) -> None:
        self.errors: list[OwnError] = []
        self._trace = trace
        self._axioms = axioms

    def visit(self, call: LayerCall, operands: Sequence[Pair]) -> Sequence[Pair]:
        values, moved = [value for value, _ in operands], [error for _, error in operands]
        bounds = layer_bound(call.layer, values, self._axioms, call.nodes[-1], moved)
        return [self._result(call, index, exact, bound) for index, (exact, bound) in enumerate(bounds)]

    def _result(self, call: LayerCall, index: int, exact: Array, bound: Array) -> Pair:
        key = Key("output", call.name, call.call, index)
        if key not in self._trace.records:
            return exact, bound
        found = self._trace[key].load()
        ratio = ratio_of(found, exact, bound) if found.shape == exact.shape else np.inf
        largest = np.max(np.abs(exact), initial=0.0)
        looseness = float(np.max(bound, initial=0.0) / largest) if largest else 0.0
        self.errors.append(OwnError(key, call.layer.class_name, ratio, looseness))
        return _exact(found)

    def entered(self, call: LayerCall, operands: Sequence[Pair], masks: Sequence[Pair]) -> Sequence[Pair]:
        return operands

    def missing(self, call: LayerCall, operands: Sequence[Pair]) -> Pair:
        raise AssertionError(f"{call.name} returned less than others read")

    def made(self, call: LayerCall, results: Sequence[Pair]) -> None: ...
