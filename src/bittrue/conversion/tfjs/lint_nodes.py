"""What TensorFlow.js would make of a TensorFlow graph: which nodes it lacks, and which are written as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from bittrue.errors import Unsupported
from bittrue.graph.model import Graph
from bittrue.graph.nodegraph import NodeGraph

from .facts import facts
from .frozen_model import executor_ops, write_frozen
from .graph_model import write_graph
from .lint import Finding, Lint
from .specs import known_specs
from .versions import Version, parse_version

__all__ = ["lint_nodes"]


def lint_nodes(graph: Graph, nodes: NodeGraph, *, version: str = "4.22.0") -> Lint:
    """The same as `lint` for a SavedModel or a graph-model, ``nodes``, which ``graph`` describes as layers."""
    found = (_model_wide(graph), *_layers(graph, nodes.obstacle))
    form: Literal["graph-model"] | None = "graph-model" if _is_writable(graph, nodes, parse_version(version)) else None
    return Lint(graph.name, version, facts().tfjs, len(graph.layers), form, found)


def _model_wide(graph: Graph) -> Finding:
    effect = "it does not load as a layers-model"
    why = "it is a graph of TensorFlow's nodes, not of Keras's layers"
    return Finding("", graph.kind, "rejected", None, effect, why, "written as a graph-model", False)


def _layers(graph: Graph, obstacle: str) -> Iterator[Finding]:
    """A finding for each layer that has no expansion into ops; ``obstacle``: why loops could not be written out."""
    known, asynchronous = executor_ops()
    _, refusals = known_specs(graph)
    for layer in graph.layers:
        if layer.name not in refusals:
            continue
        ops = {entry["op"] for entry in layer.config.get("nodes", ())}
        if missing := sorted(ops - known):
            effect, remedy = f"TensorFlow.js's executor lacks {', '.join(missing)}", "refused"
            yield Finding(
                layer.name, layer.class_name, "rejected", None, effect, str(refusals[layer.name]), remedy, False
            )
        elif late := sorted(ops & asynchronous):
            effect, remedy = f"TensorFlow.js runs {', '.join(late)} only asynchronously", "refused"
            why = obstacle or str(refusals[layer.name])
            yield Finding(layer.name, layer.class_name, "rejected", None, effect, why, remedy, False)
        else:
            effect = "what TensorFlow.js computes otherwise than TensorFlow in it is not repaired"
            remedy = "the model is written node by node, as TensorFlow made it"
            yield Finding(
                layer.name, layer.class_name, "hazard", None, effect, str(refusals[layer.name]), remedy, False
            )


def _is_writable(graph: Graph, nodes: NodeGraph, version: Version) -> bool:
    try:
        write_graph(graph, version)
        return True
    except Unsupported:
        pass
    try:
        write_frozen(nodes, graph, version)
        return True
    except Unsupported:
        return False
