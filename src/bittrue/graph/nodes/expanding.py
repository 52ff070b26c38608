"""A layer that is made of nodes, written out: the rows of its nodes one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bittrue.errors import ModelError, Unsupported
from bittrue.ops import TensorSpec

from ..formula import Formula, Value
from ..model import Call, LayerNode
from ..nodegraph import NODES, Node
from .table import Given, OwnSize, row_of

__all__ = ["expand_nodes", "node_specs"]


def expand_nodes(formula: Formula) -> tuple[Value, ...]:
    """What a layer of nodes returns. Raises Unsupported, naming the node, for one that has no row."""
    config = formula.layer.config
    formula.options.inert("nodes", "outputs", "specs", "weights")
    results: list[tuple[Value, ...]] = []
    for entry in config["nodes"]:
        operands = [_operand(formula, results, item) for item in entry["operands"]]
        results.append(_written(formula, Node(entry["name"], entry["op"], (), entry["attributes"]), operands))
    return tuple(results[at][output] for at, output in config["outputs"])


def node_specs(node: Node, operands: Sequence[TensorSpec | Any]) -> tuple[TensorSpec, ...] | None:
    """Shapes and dtypes of what ``node`` returns for tensors of these specs, or numbers known beforehand.

    None where it has no row, or its row does not take them.
    """
    specs = [item for item in operands if isinstance(item, TensorSpec)]
    layer = LayerNode(node.name, node.op, NODES, {}, (), ())
    formula = Formula.of(layer, Call(()), specs)
    tensors = iter(formula.inputs)
    given = [next(tensors) if isinstance(item, TensorSpec) else item for item in operands]
    try:
        return tuple(formula.spec(value.ref) for value in _written(formula, node, given))
    except ModelError:
        return None


def _written(formula: Formula, node: Node, operands: Sequence[Any]) -> tuple[Value, ...]:
    row = row_of(node.op)
    if row is None:
        layer = formula.layer.name
        raise Unsupported(f"layer {layer!r}: node {node.name!r} ({node.op}) has no expansion into ops", layer=layer)
    try:
        made = row.expander(Given(formula, node, operands, row))
    except (IndexError, TypeError, ValueError) as error:  # numbers that do not belong together
        raise ModelError(f"node {node.name!r:.200} ({node.op}) is malformed: {error}") from error
    return made if isinstance(made, tuple) else (made,)


def _operand(formula: Formula, results: Sequence[tuple[Value, ...]], item: Sequence[Any]) -> Any:
    match list(item):
        case ["input", index]:
            return formula.inputs[index]
        case ["weight", index]:
            return formula.weight_at(index)
        case ["node", index, output]:
            return results[index][output]
        case ["constant", numbers, dtype]:
            return formula.constant(np.asarray(numbers, dtype))
        case ["known", numbers]:
            return _numbers(numbers)
    raise AssertionError(item)


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return OwnSize(value["axis"]) if isinstance(value, Mapping) else value
