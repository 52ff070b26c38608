"""Nodes that move the elements of constants without computing anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bittrue.errors import ModelError
from bittrue.graph.evaluate import layer_truth
from bittrue.graph.layers import expand
from bittrue.graph.model import Call, LayerNode, Weight
from bittrue.graph.nodegraph import NODES, Node
from bittrue.graph.nodes.table import row_of
from bittrue.ops import Broadcast, Concat, Repeat, Reshape, Slice, Transpose
from bittrue.traces import Array

__all__ = ["moved"]

_MOVES = (Broadcast, Concat, Repeat, Reshape, Slice, Transpose)


def moved(node: Node, operands: Sequence[Any]) -> tuple[Array, ...] | None:
    """What ``node`` makes of constants and known numbers, widened; None where it does more than move elements."""
    if row_of(node.op) is None:
        return None
    weights: list[Weight] = []
    given: list[list[Any]] = []
    for item in operands:
        if isinstance(item, np.ndarray):
            given.append(["weight", len(weights)])
            weights.append(Weight("value", item))
        else:
            given.append(["known", item["known"]])
    entry = {"name": node.name, "op": node.op, "attributes": node.attributes, "operands": given}
    layer = LayerNode(node.name, node.op, NODES, {"nodes": [entry], "outputs": [[0, 0]]}, tuple(weights), (Call(()),))
    try:
        expansion = expand(layer, ())
        if not expansion.nodes or not all(isinstance(op, _MOVES) for op in expansion.ops()):
            return None
        return layer_truth(layer, ())
    except ModelError:
        return None
