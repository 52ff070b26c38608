"""`NodeGraph` from TensorFlow's own GraphDef, and back. TensorFlow is imported here, by those who call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bittrue.errors import ModelError
from bittrue.graph.nodegraph import Node, NodeGraph, Port, ordered
from bittrue.traces import Array

from ..framework import import_tensorflow
from .frames import entered
from .unfused import unfused

__all__ = ["LARGEST", "graph_def_of", "node_of", "nodes_of_graph_def"]

LARGEST = 2**31 - 2**20
"""Bytes of constants that a graph can have: a protocol buffer ends at 2 GiB."""


def nodes_of_graph_def(
    graph_def: Any, inputs: Sequence[Port], outputs: Sequence[Port], name: str, signature: str = ""
) -> NodeGraph:
    """A frozen GraphDef: the nodes that ``outputs`` need, with the values of its constants."""
    constants = {node.name: _value(node) for node in graph_def.node if node.op == "Const"}
    nodes = [node_of(node) for node in graph_def.node if node.op != "Const"]
    needed = ordered(nodes, constants, [port.source for port in outputs], [port.source for port in inputs])
    read = {source for node in needed for source, _ in node.inputs} | {port.source[0] for port in outputs}
    kept = {key: array for key, array in constants.items() if key in read}
    return NodeGraph(name, needed, kept, tuple(inputs), tuple(outputs), _library(graph_def), signature)


def _value(node: Any) -> Array:
    tf = import_tensorflow()

    found: Array = tf.make_ndarray(node.attr["value"].tensor)
    return found


def node_of(node: Any) -> Node:
    """A NodeDef as it is kept, without what merely has to run before it."""
    from google.protobuf.json_format import MessageToDict

    sources = tuple(_source(item) for item in node.input if not item.startswith("^"))
    return Node(node.name, node.op, sources, MessageToDict(node).get("attr", {}))


def _source(text: str) -> tuple[str, int]:
    name, colon, index = text.rpartition(":")
    return (name, int(index)) if colon and index.isdecimal() else (text, 0)


def _library(graph_def: Any) -> Mapping[str, Any]:
    from google.protobuf.json_format import MessageToDict

    found: Mapping[str, Any] = MessageToDict(graph_def.library)
    return found


def graph_def_of(nodes: NodeGraph) -> Any:
    """A GraphDef that computes ``nodes`` with TensorFlow's own operations: what was fused is taken apart again.

    Raises ModelError where TensorFlow cannot read an attribute, or for more than 2 GiB of constants.
    """
    import_tensorflow()  # before any part of it, which would not be quiet
    from google.protobuf.json_format import ParseDict, ParseError
    from tensorflow.core.framework import graph_pb2

    if sum(array.nbytes for array in nodes.constants.values()) > LARGEST:
        raise ModelError("its constants take more than 2 GiB, which TensorFlow cannot hold in one graph")
    made = graph_pb2.GraphDef()
    made.node.extend(_constants(nodes.constants))
    made.node.extend(_placeholders(nodes))
    try:
        ParseDict(dict(nodes.library), made.library)
        for node in entered(list(_taken_apart(nodes.nodes)), dict(_types(made))):
            ParseDict(_entry(node), made.node.add(), ignore_unknown_fields=True)
    except ParseError as error:
        raise ModelError(f"its nodes are not what TensorFlow reads: {error}") from error
    return made


def _types(made: Any) -> Iterator[tuple[str, str]]:
    """Of the constants and placeholders, by name and as TensorFlow calls them."""
    from tensorflow.core.framework import types_pb2

    for node in made.node:
        yield node.name, types_pb2.DataType.Name(node.attr["dtype"].type)


def _taken_apart(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        yield from unfused(node)


def _entry(node: Node) -> dict[str, Any]:
    inputs = [f"{name}:{output}" if output else name for name, output in node.inputs]
    return {"name": node.name, "op": node.op, "input": inputs, "attr": dict(node.attributes)}


def _constants(constants: Mapping[str, Array]) -> Iterator[Any]:
    tf = import_tensorflow()
    from tensorflow.core.framework import node_def_pb2

    for name, array in constants.items():
        node = node_def_pb2.NodeDef(name=name, op="Const")
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.asarray(array)))
        node.attr["dtype"].type = node.attr["value"].tensor.dtype
        yield node


def _placeholders(nodes: NodeGraph) -> Iterator[Any]:
    tf = import_tensorflow()
    from tensorflow.core.framework import node_def_pb2

    for port in nodes.inputs:
        node = node_def_pb2.NodeDef(name=port.source[0], op="Placeholder")
        node.attr["dtype"].type = tf.as_dtype(port.dtype).as_datatype_enum
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(port.shape).as_proto())
        yield node
