"""Visiting every call of every layer of a model in an order in which its inputs are at hand, nested models entered."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from bittrue.errors import ModelError

from .model import Call, Graph, LayerCall, LayerNode, TensorRef

__all__ = ["Visitor", "operands_of", "schedule", "traverse"]

Item = TypeVar("Item")


class Visitor(Protocol[Item]):
    """What to do with each call. ``Item`` stands for one tensor."""

    def visit(self, call: LayerCall, operands: Sequence[Item]) -> Sequence[Item]:
        """What a call of a layer (not a nested model) makes of its operands; may be less than it really returns."""
        ...

    def entered(self, call: LayerCall, operands: Sequence[Item], masks: Sequence[Item]) -> Sequence[Item]:
        """What the inputs of a nested model are, called on ``operands`` with ``masks`` beside them."""
        ...

    def missing(self, call: LayerCall, operands: Sequence[Item]) -> Item:
        """Stands for an output that the call did not deliver."""
        ...

    def made(self, call: LayerCall, results: Sequence[Item]) -> None:
        """The call, a nested model's included, or the input layer is done, with these outputs."""
        ...


def traverse(graph: Graph, feeds: Sequence[Item], visitor: Visitor[Item]) -> list[Item]:
    """The model's outputs for ``feeds``, one for each of its inputs. A tensor is let go after its last use."""
    calls = {(call.path, call.nodes): call for call in graph.calls()}
    return _Walk(visitor, calls).run(graph, feeds, (), ())


def operands_of(layer: LayerNode, call: int) -> tuple[TensorRef, ...]:
    """The tensors a call is made on: positional ones, then keyword ones."""
    if not layer.calls:
        return ()
    return _refs(layer.calls[call])


def _refs(call: Call) -> tuple[TensorRef, ...]:
    return call.inputs + call.keyword_inputs


def schedule(graph: Graph) -> Iterator[tuple[LayerNode, int]]:
    """Every call in an order in which its operands are made first; layers never called are left out.

    Raises ModelError if there is none.
    """
    inputs = {spec.ref.layer for spec in graph.inputs}
    waiting = [(layer, at) for layer in graph.layers for at in range(len(layer.calls))]
    waiting += [(layer, 0) for layer in graph.layers if not layer.calls and layer.name in inputs]
    waiting.sort(key=lambda item: item[0].name not in inputs)
    done: set[tuple[str, int]] = set()
    while waiting:
        later = []
        for layer, at in waiting:
            if all((ref.layer, ref.call) in done for ref in operands_of(layer, at)):
                done.add((layer.name, at))
                yield layer, at
            else:
                later.append((layer, at))
        if len(later) == len(waiting):
            name = later[0][0].name
            raise ModelError(f"model {graph.name!r} is not connected: layer {name!r} waits for what nobody makes")
        waiting = later


class _Walk(Generic[Item]):
    def __init__(self, visitor: Visitor[Item], calls: dict[tuple[tuple[str, ...], tuple[int, ...]], LayerCall]) -> None:
        self._visitor = visitor
        self._calls = calls

    def run(self, graph: Graph, feeds: Sequence[Item], path: tuple[str, ...], nodes: tuple[int, ...]) -> list[Item]:
        given = {spec.ref: feed for spec, feed in zip(graph.inputs, feeds, strict=True)}
        readers = _Readers(graph)
        live: dict[TensorRef, Item] = {}
        for layer, at in schedule(graph):
            call = self._calls[(*path, layer.name), (*nodes, at)]
            refs = operands_of(layer, at)
            operands = [live[ref] for ref in refs]
            fed = given.get(TensorRef(layer.name, at))
            results = [fed] if fed is not None else self._results(call, operands)
            self._visitor.made(call, results)
            for ref in readers.made_by[layer.name, at]:
                enough = ref.output < len(results)
                live[ref] = results[ref.output] if enough else self._visitor.missing(call, operands)
            readers.release(live, refs)
        return [live[ref] for ref in graph.outputs]

    def _results(self, call: LayerCall, operands: Sequence[Item]) -> Sequence[Item]:
        if call.layer.subgraph is None:
            return self._visitor.visit(call, operands)
        made = call.layer.calls[call.nodes[-1]]
        masks = list(Call((made.kwargs.get("mask"),)).inputs)
        given = [item for item, ref in zip(operands, _refs(made), strict=True) if ref not in masks]
        beside = [item for item, ref in zip(operands, _refs(made), strict=True) if ref in masks]
        if len(given) != len(call.layer.subgraph.inputs):
            raise ModelError(f"model {call.name!r} is called on {len(given)} tensors, which are not its inputs")
        return self.run(call.layer.subgraph, self._visitor.entered(call, given, beside), call.path, call.nodes)


class _Readers:
    """How often each tensor of a graph is still to be read; the model's outputs are read once more, at the end."""

    def __init__(self, graph: Graph) -> None:
        self._left = Counter(graph.outputs)
        for layer in graph.layers:
            for at in range(len(layer.calls)):
                self._left.update(operands_of(layer, at))
        self.made_by: dict[tuple[str, int], list[TensorRef]] = defaultdict(list)
        for ref in self._left:
            self.made_by[ref.layer, ref.call].append(ref)

    def release(self, live: dict[TensorRef, Item], refs: Sequence[TensorRef]) -> None:
        """``refs`` have been read once more; those that nobody else will read leave ``live``."""
        for ref in refs:
            self._left[ref] -= 1
            if not self._left[ref]:
                del live[ref]
