"""Nodes that TensorFlow's optimiser, or TensorFlow.js's converter, made of several: taken apart into the several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bittrue.errors import ModelError
from bittrue.graph.nodegraph import Node, Source, attribute

__all__ = ["unfused"]

_BASES = {
    "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative",
    "_FusedConv2D": "Conv2D",
    "_FusedDepthwiseConv2dNative": "DepthwiseConv2dNative",
    "_FusedMatMul": "MatMul",
}
_OWN = ("T", "data_format", "dilations", "explicit_paddings", "padding", "strides", "transpose_a", "transpose_b")
_FUNCTIONS = ("Elu", "Relu", "Relu6", "Sigmoid", "Tanh")


def unfused(node: Node) -> Iterator[Node]:
    """``node``, or the nodes that it stands for; the last of them bears its name.

    Raises ModelError for something fused that is not known.
    """
    if node.op == "Prelu":
        yield from _prelu(node.name, node.inputs[0], node.inputs[1], node.attributes)
        return
    base = _BASES.get(node.op)
    if base is None:
        yield node
        return
    steps = attribute(node, "fused_ops", "list.s") or []
    extra = list(node.inputs[2:])
    attributes = {key: value for key, value in node.attributes.items() if key in _OWN}
    last = _named(node, 0, len(steps))
    yield Node(last, base, node.inputs[:2], attributes)
    for at, step in enumerate(steps, 1):
        name = _named(node, at, len(steps))
        yield from _step(node, name, (last, 0), step, extra)
        last = name


def _named(node: Node, at: int, steps: int) -> str:
    return node.name if at == steps else f"{node.name}/fused_{at}"


def _step(node: Node, name: str, x: Source, step: str, extra: list[Source]) -> Iterator[Node]:
    typed = {key: value for key, value in node.attributes.items() if key == "T"}
    if step in _FUNCTIONS:
        yield Node(name, step, (x,), typed)
    elif step == "LeakyRelu":
        alpha = node.attributes.get("leakyrelu_alpha", {"f": 0.2})
        yield Node(name, step, (x,), {**typed, "alpha": alpha})
    elif step == "BiasAdd" and extra:
        layout = {key: value for key, value in node.attributes.items() if key == "data_format"}
        yield Node(name, step, (x, extra.pop(0)), {**typed, **layout})
    elif step == "Prelu" and extra:
        yield from _prelu(name, x, extra.pop(0), typed)
    else:
        raise ModelError(f"node {node.name!r:.200} ({node.op}) has {step!r:.80} fused into it, which is not known")


def _prelu(name: str, x: Source, alpha: Source, attributes: Mapping[str, Any]) -> Iterator[Node]:
    """relu(x) + alpha · -relu(-x): of the two terms one is always 0."""
    # TensorFlow has no such node: the converter of TensorFlow.js makes it, of floats, and gives it no type.
    typed = {"T": attributes.get("T", {"type": "DT_FLOAT"})}
    yield Node(f"{name}/above", "Relu", (x,), typed)
    yield Node(f"{name}/turned", "Neg", (x,), typed)
    yield Node(f"{name}/below", "Relu", ((f"{name}/turned", 0),), typed)
    yield Node(f"{name}/back", "Neg", ((f"{name}/below", 0),), typed)
    yield Node(f"{name}/scaled", "Mul", (alpha, (f"{name}/back", 0)), typed)
    yield Node(name, "AddV2", ((f"{name}/above", 0), (f"{name}/scaled", 0)), typed)
