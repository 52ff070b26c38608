"""A TensorFlow graph as a TensorFlow.js graph-model, node by node: for what has no expansion into ops.

Nothing is rewritten, so nothing that TensorFlow.js computes otherwise than TensorFlow is repaired either; a node that
its executor does not know is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from bittrue.errors import Unsupported
from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef
from bittrue.graph.nodegraph import Node, NodeGraph, Port, Source
from bittrue.graph.nodes import places_of
from bittrue.traces import Array

from .graph_model import GraphModel, write_graph
from .lowering.attributes import shape, type_of
from .specs import known_specs
from .versions import Version

__all__ = ["FrozenModel", "executor_ops", "write_frozen"]

_NODES = "nodes-4.22.0.json"
_LARGEST = 2**31


@cache
def executor_ops() -> tuple[frozenset[str], frozenset[str]]:
    """The nodes that the bundled release's executor knows, and those that need ``executeAsync`` (tfjs_nodes.mjs)."""
    found = json.loads((files(__package__) / _NODES).read_text(encoding="utf-8"))
    return frozenset(found["ops"]), frozenset(found["asynchronous"])


class FrozenModel(GraphModel):
    """Nodes as TensorFlow made them, their constants, and which nodes are whose."""

    def __init__(self, nodes: NodeGraph, graph: Graph) -> None:
        super().__init__()
        self._entries: list[dict[str, Any]] = [_placeholder(port) for port in nodes.inputs]
        self._arrays = {name: _held(name, array) for name, array in nodes.constants.items()}
        self._entries += [_constant(name, array) for name, array in self._arrays.items()]
        self._entries += [_entry(node) for node in nodes.nodes]
        self.inputs = {port.name: _described(port) for port in nodes.inputs}
        self.outputs = self._outputs(nodes)
        found = places_of(graph, nodes)
        self.layers, self.calls = found["layers"], found["calls"]
        self.places = {
            layer["path"][0]: tuple(layer["weights"])
            for layer in self.layers
            if all(map(self._is_real, layer["weights"]))
        }

    def _is_real(self, name: str | None) -> bool:
        return name in self._arrays

    def _outputs(self, nodes: NodeGraph) -> dict[str, Any]:
        """Entries of the signature: TensorFlow.js forgets all but one of those that name the same tensor."""
        taken: set[Source] = {port.source for port in nodes.inputs}
        found = {}
        for port in nodes.outputs:
            source = port.source
            if source in taken:
                name = f"{port.name}/Identity"
                self._entries.append(_entry(Node(name, "Identity", (source,), {"T": {"type": "DT_FLOAT"}})))
                source = (name, 0)
            taken.add(source)
            found[port.name] = _described(Port(port.name, source, port.dtype, port.shape))
        return found

    @property
    def weights(self) -> Mapping[str, Array]:
        """Every constant by the name of its node."""
        return self._arrays

    @property
    def parts(self) -> Mapping[str, Any]:
        """What ``model.json`` says besides the weights."""
        found = super().parts
        return {**found, "modelTopology": {**found["modelTopology"], "node": self._entries}}


def write_frozen(nodes: NodeGraph, graph: Graph, version: Version) -> FrozenModel:
    """``nodes``, described as layers by ``graph``, as they are.

    Raises Unsupported, naming the node, for one that TensorFlow.js's executor lacks, runs only asynchronously or is
    known to get wrong, that calls functions of the graph's own, or whose constant is of a dtype that TensorFlow.js
    would round; and for a layer
    that could be rewritten, but that TensorFlow.js of ``version`` is known to compute otherwise.
    """
    _check_known(graph, version)
    known, asynchronous = executor_ops()
    layers = {node["name"]: layer.name for layer in graph.layers for node in layer.config.get("nodes", ())}
    for node in nodes.nodes:
        because = None
        if node.op not in known:
            because = "TensorFlow.js has no such node"
        elif node.op in asynchronous or any("func" in value for value in node.attributes.values()):
            because = "TensorFlow.js runs it only asynchronously, which model.execute does not"
        elif _counts_from_behind(node, nodes):
            because = "TensorFlow.js counts its axis from the front alone, and it is negative"
        elif node.op == "Einsum":
            because = "TensorFlow.js has no kernel for it on wasm, and pairs axes wrongly on others"
        if because:
            raise _refused(node.name, node.op, because, layers.get(node.name))
    return FrozenModel(nodes, graph)


def _counts_from_behind(node: Node, nodes: NodeGraph) -> bool:
    """Whether the node adds up or multiplies along a negative axis: TensorFlow.js returns nothing then, or crashes."""
    axis = nodes.constants.get(node.inputs[1][0]) if node.op in ("Cumprod", "Cumsum") else None
    return axis is not None and int(axis) < 0


def _check_known(graph: Graph, version: Version) -> None:
    """Write every layer that has an expansion into ops by itself, which refuses what is known to be unfaithful."""
    specs, _ = known_specs(graph)
    for layer in graph.layers:
        operands = layer.calls[0].inputs if layer.calls else ()
        if not layer.calls or TensorRef(layer.name) not in specs or any(ref not in specs for ref in operands):
            continue
        names = {ref: f"operand_{at}" for at, ref in enumerate(dict.fromkeys(operands))}
        inputs = tuple(
            InputSpec(name, specs[ref].shape, specs[ref].dtype, TensorRef(name)) for ref, name in names.items()
        )
        feeds = [LayerNode(name, "InputLayer", "keras.layers", {}, (), ()) for name in names.values()]
        alone = replace(layer, calls=(Call((tuple(TensorRef(names[ref]) for ref in operands),)),))
        write_graph(Graph(graph.name, graph.kind, (*feeds, alone), inputs, (TensorRef(layer.name),)), version)


def _refused(name: str, op: str, because: str, layer: str | None = None) -> Unsupported:
    return Unsupported(f"node {name!r} ({op}) cannot be in a graph-model: {because}", layer=layer or name)


def _held(name: str, array: Array) -> Array:
    """A constant as TensorFlow.js holds it without changing a value."""
    if array.dtype.kind in "iu" and (array.size == 0 or (array.min() >= -_LARGEST and array.max() < _LARGEST)):
        return array.astype(np.int32)
    if array.dtype.name in ("float32", "bool"):
        return array
    raise _refused(name, "Const", f"its values are {array.dtype}, which TensorFlow.js does not have")


def _constant(name: str, array: Array) -> dict[str, Any]:
    return {"name": name, "op": "Const", "attr": {"dtype": type_of(array.dtype)}}


def _placeholder(port: Port) -> dict[str, Any]:
    described = _described(port)
    attributes = {"dtype": {"type": described["dtype"]}, "shape": {"shape": described["tensorShape"]}}
    return {"name": port.source[0], "op": "Placeholder", "attr": attributes}


def _described(port: Port) -> dict[str, Any]:
    if port.dtype is None or port.dtype.kind not in "fiub" or port.dtype.name in ("float16", "float64"):
        raise _refused(port.source[0], port.name, f"it is {port.dtype}, which TensorFlow.js does not have")
    name, output = port.source
    called = f"{name}:{output}" if output else name
    sizes = {"unknownRank": True} if port.shape is None else shape(port.shape)["shape"]
    return {"name": called, "dtype": type_of(port.dtype)["type"], "tensorShape": sizes}


def _entry(node: Node) -> dict[str, Any]:
    attributes = {name: value for name, value in node.attributes.items() if not name.startswith("_")}
    inputs = [f"{name}:{output}" if output else name for name, output in node.inputs]
    return {"name": node.name, "op": node.op, "input": inputs, "attr": attributes}
