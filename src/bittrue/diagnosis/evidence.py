"""What a cause is given to experiment with: one call of one layer, on the side at fault and on the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bittrue.graph.model import Graph, LayerCall, LayerNode
from bittrue.graph.rounding import Rounding, layer_rounding
from bittrue.ops import Op
from bittrue.traces import Array, Check, Provenance

from .axioms import Arithmetic
from .judging import outside
from .result import Finding, OwnError, SideName, Verdict

__all__ = ["Evidence", "Reproduction", "Side"]


@dataclass(frozen=True)
class Side:
    """One run's view of the call.

    ``inputs`` are the tensors that the call is made on (positional, then keyword ones; masks that the graph names are
    among them), ``outputs`` what it returned, ``weights`` what the runtime holds in Keras's order (the graph's own
    where they were not recorded), ``masks`` and ``states`` what else the runtime was seen to pass. ``rounding`` is,
    for each output, the exact answer on ``inputs`` with its bound; ``errors`` how the outputs lie to it. All of these
    may be of a part of the examples; ``batch`` are the inputs of all.
    """

    name: SideName
    provenance: Provenance
    arithmetic: Arithmetic
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    weights: tuple[Array, ...]
    masks: tuple[Array, ...]
    states: tuple[Array, ...]
    rounding: tuple[Rounding, ...]
    errors: tuple[OwnError, ...]
    batch: tuple[Array, ...]

    @property
    def within(self) -> bool:
        """Whether every element lies inside the rigorous bound of the layer as it should be."""
        return all(not error.outside for error in self.errors)


@dataclass(frozen=True)
class Reproduction:
    """What came of re-computing the call with a cause: ``bits`` of ``of`` values equal to the bit, ``inside`` the bound
    of the layer with that cause (None: the emulation claims the bits), and whether the layer without the cause
    holds the values in its own bound (``without``).
    """

    bits: int
    of: int
    inside: int | None
    without: int

    @property
    def proven(self) -> bool:
        """To the bit; or inside the bound with the cause, and outside of it without."""
        if self.of == 0:
            return False
        return self.bits == self.of or (self.inside == self.of and self.without < self.of)

    @property
    def proof(self) -> str:
        """How it was shown, in a clause."""
        if self.bits == self.of:
            return f"{self.bits} of {self.of} values reproduced to the bit"
        if self.inside is None:
            return f"{self.bits} of {self.of} values reproduced to the bit, which is not enough"
        outside = self.of - self.without
        return (
            f"with the cause {self.inside} of {self.of} values lie within the bound, without it {outside} lie outside"
        )

    def finding(self, cause: str, sentence: str, fix: str = "", verdict: Verdict | None = None) -> Finding:
        """The finding that this reproduction supports; ``verdict`` is what it makes of the layer if proven."""
        return Finding(cause, sentence, self.proven, self.proof, fix, verdict)


@dataclass(frozen=True)
class Evidence:
    """One call of one layer of which one side is at fault (``side``), to be explained by causes.

    ``siblings`` are the outputs of the same call on the other targets of the same run, by target, and
    ``sibling_errors`` how they lie to the exact answer on their own inputs. ``checks`` are the experiments on the run
    of the side at fault.
    """

    graph: Graph
    call: LayerCall
    side: Side
    other: Side
    siblings: Mapping[str, tuple[Array, ...]] = field(default_factory=dict)
    sibling_errors: Mapping[str, tuple[OwnError, ...]] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()

    @property
    def layer(self) -> LayerNode:
        """The layer, with the graph's own weights."""
        return self.call.layer

    @property
    def node(self) -> int:
        """Which call of the layer in its own graph: what `layer_truth` and `layer_bound` take."""
        return self.call.nodes[-1]

    def try_layer(self, layer: LayerNode | None = None, inputs: Sequence[Array] | None = None) -> Reproduction:
        """Re-compute the call as ``layer`` (default: as it is) on ``inputs`` (default: those of the side at fault).

        Compared with what the side at fault returned. Raises ModelError where that does not fit.
        """
        return self._tried(layer or self.layer, self.side.inputs if inputs is None else tuple(inputs), None)

    def try_ops(self, replaced: Callable[[Op], Op]) -> Reproduction:
        """Re-compute the call with other ops in the place of some: a backend's own form of a function."""
        return self._tried(self.layer, self.side.inputs, replaced)

    def _tried(self, layer: LayerNode, inputs: Sequence[Array], replaced: Callable[[Op], Op] | None) -> Reproduction:
        found = layer_rounding(layer, inputs, self.side.arithmetic.axioms, self.node, replaced=replaced)
        inside = sum(
            int(np.count_nonzero(_promised(y, exact) & ~outside(y, exact.value, exact.bound)))
            for y, exact in zip(self.side.outputs, found, strict=False)
        )
        return self._reproduction([exact.value for exact in found], inside)

    def try_values(self, values: Sequence[Array]) -> Reproduction:
        """Hold ``values``, an emulation that claims to know the arithmetic, against the side at fault, bit by bit."""
        return self._reproduction(values, None)

    def _reproduction(self, values: Sequence[Array], inside: int | None) -> Reproduction:
        outputs = self.side.outputs
        bits = sum(_equal_bits(y, value) for y, value in zip(outputs, values, strict=False))
        size = sum(y.size for y in outputs)
        without = size - sum(error.outside for error in self.side.errors)
        return Reproduction(bits, size, inside, without)


def _promised(y: Array, exact: Rounding) -> Array:
    """Where lying inside the bound says something: it is finite, or the value itself is not, and is what came out."""
    if y.shape != exact.value.shape:
        return np.zeros(y.shape, bool)
    same = (y == exact.value) | (np.isnan(exact.value) & (y != y))
    return np.asarray(np.isfinite(np.broadcast_to(exact.bound, y.shape)) | same)


def _equal_bits(y: Array, value: Array) -> int:
    """How many values of ``y`` are those of ``value`` rounded once to its type, the sign of zero included."""
    if y.shape != value.shape:
        return 0
    with np.errstate(all="ignore"):
        rounded = value.astype(y.dtype)
    if y.dtype.kind != "f":
        return int(np.count_nonzero(y == rounded))
    same = (y == rounded) & (np.signbit(y) == np.signbit(rounded))
    return int(np.count_nonzero(same | (np.isnan(y) & np.isnan(rounded))))
