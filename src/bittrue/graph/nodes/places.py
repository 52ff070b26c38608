"""Where the layers of a graph of nodes are found again by whoever runs the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model import Graph, LayerNode
from ..nodegraph import NODES, NodeGraph

__all__ = ["places_of"]


def places_of(graph: Graph, nodes: NodeGraph) -> Mapping[str, Any]:
    """Each layer with the nodes of its weights, and each call with those of its outputs, as docs/protocol.md has it.

    A weight is null whose node is not a constant, but makes it of one. An output is ``name``, or ``name:1`` where it
    is not the node's first.
    """
    ports = {port.name: port for port in nodes.inputs}
    layers, calls = [], []
    for layer in graph.layers:
        if layer.module == NODES:
            outputs = _outputs(layer)
            weights = [name if name in nodes.constants else None for name in layer.config["weights"]]
        else:
            port = ports[layer.name]
            dtype = port.dtype.name if port.dtype is not None else "float32"
            outputs = [{"node": _called(*port.source), "dtype": dtype, "shape": list(port.shape or ())}]
            weights = []
        layers.append({"path": [layer.name], "class": layer.class_name, "weights": weights})
        calls.append({"path": [layer.name], "nodes": [0], "outputs": outputs})
    return {"layers": layers, "calls": calls}


def _outputs(layer: LayerNode) -> list[dict[str, Any]]:
    found = []
    for (at, output), spec in zip(layer.config["outputs"], layer.config["specs"], strict=True):
        dtype, shape = spec if spec is not None else ("float32", [None, None])
        found.append({"node": _called(layer.config["nodes"][at]["name"], output), "dtype": dtype, "shape": shape})
    return found


def _called(name: str, output: int) -> str:
    return f"{name}:{output}" if output else name
