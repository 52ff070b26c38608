"""Where the inputs of every call stand in a trace: outputs of the calls before, the model's inputs, masks made here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bittrue.graph.evaluate import layer_truth
from bittrue.graph.explicit_masks import with_masks
from bittrue.graph.model import Graph, InputSpec, LayerCall
from bittrue.graph.traversal import traverse
from bittrue.graph.truth import passes_unseen, unseen_mask
from bittrue.traces import Array, Key, Trace

__all__ = ["Source", "Wired", "load", "wire"]


@dataclass(frozen=True)
class Source:
    """Where one tensor is found. The first of ``keys`` that a trace holds; or it is made by ``maker`` of ``operands``.

    ``spec`` is the input it is, ``masked`` says that Keras sends a mask along that no call of the graph names.
    """

    keys: tuple[Key, ...] = ()
    maker: LayerCall | None = None
    operands: tuple[Source, ...] = ()
    spec: InputSpec | None = None
    masked: bool = False


@dataclass(frozen=True)
class Wired:
    """One call of a layer and its operands. ``passes`` are what a nested model hands out as its own output.

    ``obstacle`` says why it cannot be evaluated, None if nothing is known to be in the way.
    """

    call: LayerCall
    operands: tuple[Source, ...]
    passes: tuple[Source, ...] = ()
    obstacle: str | None = None

    @property
    def key(self) -> Key:
        """The key of its first output."""
        return Key("output", self.call.name, self.call.call)


def wire(graph: Graph) -> tuple[Wired, ...]:
    """Every call of every layer in an order in which its operands are made first, nested models after their layers.

    Input layers, and the operations that make masks, are left out. Raises ModelError for a graph that hangs loose.
    """
    visitor = _Wiring({call.name for call in graph.calls()}, _most_outputs(graph))
    traverse(with_masks(graph), [_fed(spec) for spec in graph.inputs], visitor)
    return tuple(visitor.found)


def load(source: Source, trace: Trace) -> Array:
    """The tensor as ``trace`` has it. Raises KeyError, with the key that is missing, where it was not captured."""
    if source.maker is not None:
        operands = [load(operand, trace) for operand in source.operands]
        return layer_truth(source.maker.layer, operands, source.maker.nodes[-1])[0]
    for key in source.keys:
        if key in trace.records:
            array = trace[key].load()
            return array.astype(source.spec.dtype) if source.spec is not None else array
    raise KeyError(source.keys[0])


def _fed(spec: InputSpec) -> Source:
    """An input as the model's first layers see it."""
    keys = (Key("output", spec.ref.layer, spec.ref.call, spec.ref.output), Key("input", spec.name))
    return Source(keys, spec=spec)


def _most_outputs(graph: Graph) -> int:
    """One more than the highest number by which any layer reads an output."""
    inner = [layer.subgraph for layer in graph.layers if layer.subgraph is not None]
    refs = [ref for layer in graph.layers for call in layer.calls for ref in call.inputs + call.keyword_inputs]
    own = max((ref.output for ref in [*refs, *graph.outputs]), default=0) + 1
    return max([own, *map(_most_outputs, inner)])


class _Wiring:
    """Visits the calls; a tensor is a `Source`."""

    def __init__(self, recorded: set[str], most: int) -> None:
        self.found: list[Wired] = []
        self._recorded = recorded
        self._most = most

    def visit(self, call: LayerCall, operands: Sequence[Source]) -> Sequence[Source]:
        masked = any(operand.masked for operand in operands)
        onward = passes_unseen(call, masked)
        if call.name not in self._recorded:
            return [Source(maker=call, operands=tuple(operands), masked=onward)]
        self.found.append(Wired(call, tuple(operands), obstacle=unseen_mask(call, masked)))
        return [Source((Key("output", call.name, call.call, at),), masked=onward) for at in range(self._most)]

    def entered(self, call: LayerCall, operands: Sequence[Source], masks: Sequence[Source]) -> Sequence[Source]:
        masked = bool(masks) or any(operand.masked for operand in operands)
        return [replace(operand, masked=masked) for operand in operands]

    def missing(self, call: LayerCall, operands: Sequence[Source]) -> Source:
        return Source((Key("output", call.name, call.call),))

    def made(self, call: LayerCall, results: Sequence[Source]) -> None:
        if call.layer.subgraph is not None:
            self.found.append(Wired(call, (), tuple(results)))
