"""The ``modelTopology`` of a TensorFlow.js graph-model as a `NodeGraph`. All is checked; nothing is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bittrue.errors import ModelError
from bittrue.graph.nodegraph import Node, NodeGraph, Port, Source, attribute, dtype_called, ordered, shape_of
from bittrue.traces import Array

__all__ = ["read_topology"]

_PLACEHOLDERS = ("Placeholder", "PlaceholderWithDefault", "PlaceholderV2")


def read_topology(
    topology: Mapping[str, Any], signature: Mapping[str, Any] | None, constants: Mapping[str, Array], name: str
) -> NodeGraph:
    """The nodes that the outputs need, with ``constants`` by the names of their nodes.

    Without a signature, the inputs are the placeholders and the outputs the nodes that nobody reads. Raises ModelError
    for what is malformed, for a constant without a weight, and for nodes that go round in a circle.
    """
    listed = topology.get("node")
    if not isinstance(listed, list):
        raise ModelError("its modelTopology has no list of nodes")
    nodes = [_node(entry) for entry in listed]
    by_name = {node.name: node for node in nodes}
    for node in nodes:
        if node.op == "Const" and node.name not in constants:
            raise ModelError(f"its node {node.name!r:.200} is a constant, but no weight is called so")
    feeds = {node.name for node in nodes if node.op in _PLACEHOLDERS}
    inputs = _ports(signature, "inputs", by_name) or [_placeholder(node) for node in nodes if node.op in _PLACEHOLDERS]
    outputs = _ports(signature, "outputs", by_name) or _unread(nodes)
    if not outputs:
        raise ModelError("it has no outputs")
    if not inputs:
        raise ModelError("it has no inputs")
    unfed = feeds - {port.source[0] for port in inputs}
    sources = [port.source for port in inputs]
    found = ordered(nodes, constants, [port.source for port in outputs], [*sources, *((name, 0) for name in unfed)])
    _check_fed(found, outputs, unfed)
    return NodeGraph(name, found, constants, tuple(inputs), tuple(outputs), topology.get("library") or {})


def _check_fed(nodes: Sequence[Node], outputs: Sequence[Port], unfed: set[str]) -> None:
    read = {name for node in nodes for name, _ in node.inputs} | {port.source[0] for port in outputs}
    if missing := sorted(unfed & read):
        raise ModelError(f"its placeholder {missing[0]!r:.200} is no input of its signature")


def _node(entry: Any) -> Node:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str) or not isinstance(entry.get("op"), str):
        raise ModelError(f"its modelTopology holds something that is no node: {entry!r:.80}")
    inputs, attributes = entry.get("input", []), entry.get("attr", {})
    sound = isinstance(inputs, list) and all(isinstance(item, str) for item in inputs)
    if not sound or not isinstance(attributes, Mapping):
        raise ModelError(f"its node {entry['name']!r:.200} is malformed")
    sources = tuple(_source(item) for item in inputs if not item.startswith("^"))
    return Node(entry["name"], entry["op"], sources, attributes)


def _source(text: str) -> Source:
    name, colon, index = text.rpartition(":")
    return (name, int(index)) if colon and index.isdecimal() else (text, 0)


def _ports(signature: Mapping[str, Any] | None, kind: str, nodes: Mapping[str, Node]) -> list[Port]:
    entries = signature.get(kind) if isinstance(signature, Mapping) else None
    if not isinstance(entries, Mapping):
        return []
    return [_port(str(key), entry, nodes) for key, entry in entries.items()]


def _port(key: str, entry: Any, nodes: Mapping[str, Node]) -> Port:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name", key), str):
        raise ModelError(f"its signature's entry {key!r:.200} is malformed")
    source = _source(entry.get("name", key))
    if source[0] not in nodes:
        raise ModelError(f"its signature names {source[0]!r:.200}, which no node is called")
    dtype = dtype_called(str(entry.get("dtype", "DT_FLOAT")))
    try:
        shape = shape_of(entry["tensorShape"]) if "tensorShape" in entry else None
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"its signature's entry {key!r:.200} has a shape that is none: {error}") from error
    if shape is None and nodes[source[0]].op in _PLACEHOLDERS:
        shape = _placeholder(nodes[source[0]]).shape
    return Port(key, source, dtype, shape)


def _placeholder(node: Node) -> Port:
    dtype = dtype_called(attribute(node, "dtype", "type") or "")
    return Port(node.name, (node.name, 0), dtype, attribute(node, "shape", "shape"))


def _unread(nodes: Sequence[Node]) -> list[Port]:
    read = {name for node in nodes for name, _ in node.inputs}
    return [
        Port(node.name, (node.name, 0), None, None) for node in nodes if node.name not in read and node.op != "Const"
    ]
