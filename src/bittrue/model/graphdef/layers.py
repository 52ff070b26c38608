"""A TensorFlow graph as a `Graph`, whose layers are its nodes, or those of a scope together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bittrue.errors import ModelError
from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef, Weight
from bittrue.graph.nodegraph import NODES, Node, NodeGraph, Port, Source
from bittrue.graph.nodes.expanding import node_specs
from bittrue.graph.nodes.table import row_of
from bittrue.ops import TensorSpec
from bittrue.traces import Array

from .folding import moved
from .grouping import layers_of, scopes_of
from .known import Numbers, SizeOf, follow, numbers_of

__all__ = ["graph_of_nodes"]

_SAME = frozenset({"Identity", "PreventGradient", "Snapshot", "StopGradient"})
_INLINE = 4096  # elements of a constant that is no weight
_LARGEST_FILL = 2**24  # elements
_LOOPING = "loops"


def graph_of_nodes(nodes: NodeGraph) -> Graph:
    """``nodes`` as layers, those that have an expansion into ops and those that have none.

    Raises ModelError for an input whose number of axes or whose dtype is not known.
    """
    inputs = tuple(_input(port) for port in nodes.inputs)
    facts = _Facts(nodes)
    return _Layers(facts, inputs).graph()


def _input(port: Port) -> InputSpec:
    if port.shape is None or port.dtype is None:
        missing = "takes text or another kind of tensor that TensorFlow.js models and NumPy do not have"
        advice = "look words up before the model, and export the part of it that takes their numbers"
        if port.shape is None:
            missing, advice = (
                "has a number of axes that the signature does not say",
                "export it with an input signature",
            )
        raise ModelError(f"input {port.name!r} {missing}: {advice}")
    return InputSpec(port.name, port.shape, port.dtype, TensorRef(port.name))


class _Facts:
    """What is known of every tensor before the model runs, and which tensors are merely others again.

    ``operands`` holds for each node, in place of every operand, a `Source`, an `Array` that is constant, or `Numbers`
    where the node's row asks for them; ``measured`` the tensor behind them that some nodes take a size of.
    """

    def __init__(self, nodes: NodeGraph) -> None:
        self.nodes = nodes
        self.specs: dict[Source, TensorSpec] = {}
        self.constants: dict[Source, Array] = {(name, 0): array for name, array in nodes.constants.items()}
        self.operands: dict[str, list[Any]] = {}
        self.measured: dict[str, Source] = {}
        self._same: dict[Source, Source] = {}
        self._numbers: dict[Source, Numbers | None] = {}
        for port in nodes.inputs:
            if port.shape is not None and port.dtype is not None:
                self.specs[port.source] = TensorSpec(port.shape, port.dtype)
        for source, array in self.constants.items():
            self._numbers[source] = numbers_of(array)
        for node in nodes.nodes:
            self._note(node)

    def resolved(self, source: Source) -> Source:
        """The tensor itself, for one that is another again."""
        return self._same.get(source, source)

    def _note(self, node: Node) -> None:
        sources = [self.resolved(source) for source in node.inputs]
        if self._is_same(node, sources):
            self._same.update({(node.name, at): source for at, source in enumerate(sources)})
            return
        node = replace(node, inputs=tuple(sources))
        numbers = follow(node, [self._numbers.get(source) for source in sources], self.specs)
        for at, found in enumerate(numbers or ()):
            self._numbers[node.name, at] = found
            self._keep_constant(node, at, found)
        self._fill(node)
        self.operands[node.name] = self._operands(node)
        self._infer(node)
        self._fold(node)

    def _fold(self, node: Node) -> None:
        """A constant whose elements are only moved is a constant: kernels are often transposed on the way."""
        operands = self.operands[node.name]
        arrays = [item for item in operands if isinstance(item, np.ndarray)]
        if any(isinstance(item, tuple) for item in operands) or len({array.dtype for array in arrays}) != 1:
            return
        for at, array in enumerate(moved(node, operands) or ()):
            self.constants[node.name, at] = array.astype(arrays[0].dtype)

    def _fill(self, node: Node) -> None:
        """A tensor of one number throughout, whose shape is known."""
        if node.op != "Fill" or len(node.inputs) != 2 or node.inputs[1] not in self.constants:
            return
        sizes = self._numbers.get(node.inputs[0])
        known = sizes is not None and all(isinstance(size, int) for size in sizes.ravel())
        if known and sizes is not None and math.prod(sizes.ravel()) <= _LARGEST_FILL:
            self.constants[node.name, 0] = np.full(tuple(sizes.ravel()), self.constants[node.inputs[1]])

    def _is_same(self, node: Node, sources: Sequence[Source]) -> bool:
        """Whether a node hands on what it is given and is nobody's layer: how TensorFlow returns from functions."""
        loose = len(scopes_of(node.name)) == 1 or any(source in self.constants for source in sources)
        return bool(sources) and (node.op == "IdentityN" or (node.op in _SAME and loose))

    def _keep_constant(self, node: Node, at: int, found: Numbers) -> None:
        """Whole numbers that are all known are a constant, if no formula makes them anyway."""
        if row_of(node.op) is None and all(isinstance(item, int) for item in found.ravel()):
            self.constants[node.name, at] = np.array(found.tolist(), np.int32).reshape(found.shape)

    def _operands(self, node: Node) -> list[Any]:
        row = row_of(node.op)
        wanted = row.places(len(node.inputs)) if row else frozenset()
        sizes = [self._numbers.get(source) for at, source in enumerate(node.inputs) if at in wanted]
        if row and row.measures and (source := _measured(sizes)):
            self.measured[node.name] = source
        own = self.measured.get(node.name, node.inputs[0] if node.inputs else ("", 0))
        listed = [self._operand(source, own, at in wanted) for at, source in enumerate(node.inputs)]
        return [*listed, own] if node.name in self.measured else listed

    def _operand(self, source: Source, own: Source, as_numbers: bool) -> Any:
        if as_numbers and source in self.constants:
            return {"known": self.constants[source].tolist()}
        numbers = self._numbers.get(source)
        if as_numbers and numbers is not None:
            return {"known": _plain(numbers, own)}
        return self.constants.get(source, source)

    def _infer(self, node: Node) -> None:
        given: list[Any] = []
        for item in self.operands[node.name]:
            if isinstance(item, tuple):
                given.append(self.specs.get(item))
            else:
                given.append(_known(item["known"]) if isinstance(item, dict) else TensorSpec.of(item))
        if any(
            item is None and isinstance(own, tuple) for item, own in zip(given, self.operands[node.name], strict=True)
        ):
            return
        for at, spec in enumerate(node_specs(node, given) or ()):
            self.specs[node.name, at] = spec


def _measured(sizes: Sequence[Numbers | None]) -> Source | None:
    """The first tensor of which some of ``sizes`` are."""
    listed = (item for numbers in sizes if numbers is not None for item in numbers.ravel())
    return next((item.source for item in listed if isinstance(item, SizeOf)), None)


def _plain(numbers: Numbers, own: Source) -> Any:
    def item(value: Any) -> Any:
        if isinstance(value, SizeOf):
            return {"axis": value.axis} if value.source == own else None
        return value

    if numbers.ndim == 0:
        return item(numbers.item())
    return [_plain(part, own) if isinstance(part, np.ndarray) else item(part) for part in numbers]


def _known(value: Any) -> Any:
    from bittrue.graph.nodes.table import OwnSize

    if isinstance(value, list):
        return [_known(item) for item in value]
    return OwnSize(value["axis"]) if isinstance(value, Mapping) else value


class _Layers:
    """The layers of one graph."""

    def __init__(self, facts: _Facts, inputs: tuple[InputSpec, ...]) -> None:
        self.facts = facts
        self.inputs = inputs
        self.nodes = {node.name: node for node in facts.nodes.nodes}
        self.feeds = {port.source: TensorRef(port.name) for port in facts.nodes.inputs}
        self.outputs = [facts.resolved(port.source) for port in facts.nodes.outputs]
        self.live = self._live()
        self.layer_of = self._grouped()
        self.members: dict[str, list[str]] = {}
        for name in self.live:
            self.members.setdefault(self.layer_of[name], []).append(name)
        self.made = self._made()

    def graph(self) -> Graph:
        feeds = tuple(
            LayerNode(spec.name, "InputLayer", "keras.layers", _input_config(spec), (), ()) for spec in self.inputs
        )
        layers = [self._layer(name, members) for name, members in self._in_order()]
        constants = [self._constant(at, source) for at, source in enumerate(self.outputs) if source in self._loose()]
        outputs = tuple(self._ref(source) for source in self.outputs)
        return Graph(self.facts.nodes.name, "GraphDef", (*feeds, *layers, *constants), self.inputs, outputs)

    def _tensors(self, name: str) -> Iterator[Source]:
        return (item for item in self.facts.operands.get(name, []) if isinstance(item, tuple))

    def _live(self) -> list[str]:
        """The nodes that are computed as the model runs, in order."""
        if self.facts.nodes.has_loops:
            return [node.name for node in self.facts.nodes.nodes if node.name in self.facts.operands]
        reached: set[str] = set()
        waiting = [name for name, _ in self.outputs]
        while waiting:
            name = waiting.pop()
            if name in self.nodes and name not in reached:
                reached.add(name)
                waiting += [source for source, _ in self._tensors(name)]
        return [name for name in self.nodes if name in reached]

    def _grouped(self) -> dict[str, str]:
        taken = {spec.name for spec in self.inputs}
        if self.facts.nodes.has_loops:
            return dict.fromkeys(self.live, _free(_LOOPING, taken))
        found = layers_of({name: [source for source, _ in self._tensors(name)] for name in self.live})
        names = {layer: _free(layer, taken) for layer in dict.fromkeys(found.values())}
        return {node: names[layer] for node, layer in found.items()}

    def _made(self) -> dict[str, list[Source]]:
        """For each layer, the tensors that others read, in the order in which it makes them."""
        wanted = {source for source in self.outputs if source[0] in self.layer_of}
        for name in self.live:
            wanted |= {
                source
                for source in self._tensors(name)
                if source[0] in self.layer_of and self.layer_of[source[0]] != self.layer_of[name]
            }
        place = {name: at for at, name in enumerate(self.live)}
        found: dict[str, list[Source]] = {layer: [] for layer in self.members}
        for source in sorted(wanted, key=lambda item: (place[item[0]], item[1])):
            found[self.layer_of[source[0]]].append(source)
        return found

    def _in_order(self) -> Iterator[tuple[str, list[str]]]:
        """The layers, each after those it reads."""
        needs = {
            layer: {
                self.layer_of[source]
                for name in members
                for source, _ in self._tensors(name)
                if source in self.layer_of and self.layer_of[source] != layer
            }
            for layer, members in self.members.items()
        }
        done: set[str] = set()
        for first in needs:
            waiting = [first]
            while waiting:
                missing = [layer for layer in needs[waiting[-1]] if layer not in done]
                if missing:
                    waiting += missing
                    continue
                layer = waiting.pop()
                if layer not in done:
                    done.add(layer)
                    yield layer, self.members[layer]

    def _layer(self, layer: str, members: list[str]) -> LayerNode:
        entries = _Entries(self, members)
        outputs = [[members.index(name), at] for name, at in self.made[layer]]
        specs = [_described(self.facts.specs.get(source)) for source in self.made[layer]]
        config = {"name": layer, "nodes": entries.listed, "outputs": outputs, "specs": specs, "weights": entries.names}
        kind = self.nodes[members[0]].op if len(members) == 1 else "Nodes"
        weights = tuple(Weight(_short(name), array) for name, array in entries.weights.items())
        args = (tuple(self._ref(source) for source in entries.inputs),)
        return LayerNode(layer, kind, NODES, config, weights, (Call(args),))

    def _loose(self) -> set[Source]:
        """Outputs that are neither computed nor fed."""
        return {source for source in self.outputs if source[0] not in self.layer_of and source not in self.feeds}

    def _constant(self, at: int, source: Source) -> LayerNode:
        array = self.facts.constants[source]
        entry = {"name": source[0], "op": "Identity", "attributes": {}, "operands": [["weight", 0]]}
        config = {
            "nodes": [entry],
            "outputs": [[0, 0]],
            "specs": [_described(TensorSpec.of(array))],
            "weights": [source[0]],
        }
        return LayerNode(source[0], "Const", NODES, config, (Weight("value", array),), (Call(()),))

    def _ref(self, source: Source) -> TensorRef:
        if source in self.feeds:
            return self.feeds[source]
        if source[0] not in self.layer_of:
            return TensorRef(source[0])
        layer = self.layer_of[source[0]]
        return TensorRef(layer, 0, self.made[layer].index(source))


class _Entries:
    """The nodes of one layer in its configuration's terms, with the weights and inputs that they read."""

    def __init__(self, layers: _Layers, members: Sequence[str]) -> None:
        self.weights: dict[str, Array] = {}
        self.inputs: list[Source] = []
        self._places = {name: at for at, name in enumerate(members)}
        self._facts = layers.facts
        self.listed = [self._entry(layers.nodes[name]) for name in members]

    @property
    def names(self) -> list[str]:
        return list(self.weights)

    def _entry(self, node: Node) -> dict[str, Any]:
        sources = [self._facts.resolved(source) for source in node.inputs]
        sources += [self._facts.measured[node.name]] if node.name in self._facts.measured else []
        given = self._facts.operands[node.name]
        operands = [self._operand(item, source) for item, source in zip(given, sources, strict=True)]
        return {"name": node.name, "op": node.op, "attributes": dict(node.attributes), "operands": operands}

    def _operand(self, item: Any, source: Source) -> list[Any]:
        if isinstance(item, dict):
            return ["known", item["known"]]
        if isinstance(item, tuple):
            name, output = item
            if name in self._places:
                return ["node", self._places[name], output]
            if item not in self.inputs:
                self.inputs.append(item)
            return ["input", self.inputs.index(item)]
        narrow = item.astype(np.int32) if item.dtype.kind in "iu" and _fits(item) else item
        if narrow.dtype.kind in "iub" and narrow.size <= _INLINE:
            return ["constant", narrow.tolist(), narrow.dtype.name]
        self.weights.setdefault(source[0], narrow)
        return ["weight", list(self.weights).index(source[0])]


def _fits(array: Array) -> bool:
    return array.size == 0 or bool(array.min() >= -(2**31) and array.max() < 2**31)


def _input_config(spec: InputSpec) -> dict[str, Any]:
    return {"name": spec.name, "batch_shape": list(spec.shape), "dtype": spec.dtype.name}


def _described(spec: TensorSpec | None) -> list[Any] | None:
    return None if spec is None else [spec.dtype.name, list(spec.shape)]


def _short(name: str) -> str:
    """A weight's name without the scopes and without what TensorFlow puts behind it as it reads it."""
    parts = [part for part in name.split("/") if part not in ("ReadVariableOp", "resource")]
    return parts[-1] if parts else name


def _free(wanted: str, taken: set[str]) -> str:
    name, count = wanted, 0
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    taken.add(name)
    return name
