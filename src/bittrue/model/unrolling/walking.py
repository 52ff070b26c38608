"""Running a graph on symbols: bodies of loops once for each step, calls and branches entered.

The nodes that remain are those that TensorFlow would have run, in the same order, on the same operands; but what a step
computes again from the same operands is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from bittrue.graph.nodegraph import Source
from bittrue.traces import Array

from ..graphdef.grouping import scopes_of
from .lists import LIST_OPS, ListNode, TensorList
from .straight import ADVICE, Obstacle, StraightLine

__all__ = ["MOST_NODES", "Unrolled", "has_control_flow", "unrolled"]

MOST_NODES = 50_000
"""Nodes in loops that are written out at most: beyond, loading takes longer than anyone waits."""

_LOOPS = frozenset({"StatelessWhile", "While"})
_BRANCHES = frozenset({"If", "StatelessIf"})
_CASES = frozenset({"Case", "StatelessCase"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_PASSED = frozenset({"Identity", "IdentityN"})


@dataclass(frozen=True)
class Unrolled:
    """A GraphDef without loops, and where in it the tensors are that were asked for."""

    graph_def: Any
    outputs: tuple[Source, ...]


def has_control_flow(graph_def: Any) -> bool:
    """Whether a graph has loops, branches or lists as TensorFlow 2 writes them, or calls that were not inlined."""
    ops = {node.op for node in graph_def.node}
    own = {function.signature.name for function in graph_def.library.function}
    return bool(ops & (_LOOPS | _BRANCHES | _CASES | _CALLS | own)) or any(op.startswith("TensorList") for op in ops)


def unrolled(graph_def: Any, outputs: Sequence[Source], most: int) -> Unrolled:
    """``graph_def``, frozen, as a straight line that makes the tensors ``outputs``.

    Raises Obstacle where a loop, a branch or a list depends on what is known only as the model runs, and where there
    would be more than ``most`` nodes.
    """
    line = StraightLine(graph_def.library, [node.name for node in graph_def.node], most)
    walk = _Walk(line, graph_def.library)
    with line.graph.as_default():
        values: dict[str, tuple[Any, ...]] = {}
        walk.block(_sorted(graph_def.node, [name for name, _ in outputs]), values, None)
        found = [_tensor(values[name][at], f"{name}:{at}") for name, at in outputs]
    return Unrolled(line.graph_def(), tuple((tensor.op.name, tensor.value_index) for tensor in found))


def _tensor(value: Any, what: str) -> Any:
    if isinstance(value, TensorList):
        raise Obstacle(f"its output {what!r} is a list of tensors")
    return value


@dataclass(frozen=True)
class _Function:
    """A function of the library: its arguments, its nodes in order, and the tensors that it returns."""

    arguments: tuple[str, ...]
    nodes: tuple[Any, ...]
    results: tuple[Source, ...]


Names = Callable[[str], str]


class _Walk:
    """Runs blocks of nodes on values: tensors of the line, and lists."""

    def __init__(self, line: StraightLine, library: Any) -> None:
        self.line = line
        self._library = {function.signature.name: function for function in library.function}
        self._functions: dict[str, _Function] = {}

    def block(self, nodes: Iterable[Any], values: dict[str, tuple[Any, ...]], names: Names | None) -> None:
        """Add what ``nodes`` return to ``values``; ``names`` are those of copies, None outside of any loop or call."""
        for node in nodes:
            if node.name in values:
                continue
            operands = [values[name][at] for name, at in map(_source, _inputs(node))]
            values[node.name] = self._node(node, operands, names)

    def _node(self, node: Any, operands: Sequence[Any], names: Names | None) -> tuple[Any, ...]:
        name = names(node.name) if names else node.name
        if names:
            self.line.count()
        if node.op in _LOOPS:
            return self._loop(node, operands, name)
        if node.op in _BRANCHES:
            branch = "then_branch" if self._truth(node, operands[0], "is taken") else "else_branch"
            return self._called(node.attr[branch].func.name, operands[1:], name)
        if node.op in _CASES:
            return self._called(self._case(node, operands[0]), operands[1:], name)
        if node.op in _CALLS:
            return self._called(node.attr["f"].func.name, operands, name)
        if node.op in self._library:
            return self._called(node.op, operands, name)
        if node.op in LIST_OPS:
            return LIST_OPS[node.op](ListNode(self.line, node, operands, name))
        if any(isinstance(value, TensorList) for value in operands):
            if node.op in _PASSED:
                return tuple(operands)
            raise Obstacle(f"its node {node.name!r} ({node.op}) works on a list of tensors")
        return self.line.add(node, operands, name if names else None)

    def _loop(self, node: Any, operands: Sequence[Any], name: str) -> tuple[Any, ...]:
        body, condition = node.attr["body"].func.name, node.attr["cond"].func.name
        state, step = tuple(operands), 0
        while True:
            (goes_on,) = self._called(condition, state, f"{name}/{step}", node.name)
            if not self._truth(node, goes_on, "runs"):
                return state
            state = self._called(body, state, f"{name}/{step}", node.name)
            step += 1

    def _truth(self, node: Any, tensor: Any, verb: str) -> bool:
        value = self._value(node, tensor, "how often" if verb == "runs" else "which branch of", verb)
        return bool(value) if value.ndim == 0 else value.size > 0

    def _case(self, node: Any, tensor: Any) -> str:
        value = self._value(node, tensor, "which branch of", "is taken")
        branches, at = node.attr["branches"].list.func, int(value)
        return str(branches[at if 0 <= at < len(branches) else -1].name)

    def _value(self, node: Any, tensor: Any, asked: str, verb: str) -> Array:
        value = None if isinstance(tensor, TensorList) else self.line.known(tensor)
        if value is None:
            name = "/".join(scopes_of(node.name))
            advice = ADVICE if verb == "runs" else "compute both and choose with tf.where or keras.ops.where"
            raise Obstacle(f"{asked} {name!r} ({node.op}) {verb} is known only as the model runs; {advice}")
        return value

    def _called(self, function: str, operands: Sequence[Any], name: str, scope: str | None = None) -> tuple[Any, ...]:
        """What ``function`` of the library returns; its nodes are named after ``name``, without ``scope``."""
        found = self._function(function)
        values = {argument: (value,) for argument, value in zip(found.arguments, operands, strict=True)}
        plain = "/".join(scopes_of(scope or name)) + "/"
        self.block(found.nodes, values, lambda own: f"{name}/{own.removeprefix(plain)}")
        return tuple(values[source][at] for source, at in found.results)

    def _function(self, name: str) -> _Function:
        if name not in self._functions:
            self._functions[name] = self._read(name)
        return self._functions[name]

    def _read(self, name: str) -> _Function:
        from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

        function = self._library[name]
        graph_def, flat = function_def_to_graph_def(function)
        arguments = tuple(argument.name for argument in function.signature.input_arg)
        results = tuple(_source(flat[function.ret[result.name]]) for result in function.signature.output_arg)
        nodes = _sorted(graph_def.node, [source for source, _ in results])
        return _Function(arguments, tuple(node for node in nodes if node.name not in set(arguments)), results)


def _sorted(nodes: Iterable[Any], wanted: Sequence[str]) -> list[Any]:
    """The nodes that ``wanted`` need, each after what it reads. Raises Obstacle where they go round in a circle."""
    table = {node.name: node for node in nodes}
    reads: Mapping[str, list[str]] = {
        name: [source for source, _ in map(_source, _inputs(node))] for name, node in table.items()
    }
    reached: dict[str, list[str]] = {}
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = reads[name]
            waiting += reads[name]
    try:
        return [table[name] for name in TopologicalSorter(reached).static_order()]
    except CycleError as error:
        raise Obstacle(f"its nodes go round in a circle through {error.args[1][0]!r}") from error


def _inputs(node: Any) -> list[str]:
    """The tensors that it reads: what merely has to run before it changes no number."""
    return [item for item in node.input if not item.startswith("^")]


def _source(text: str) -> Source:
    name, colon, index = text.rpartition(":")
    return (name, int(index)) if colon and index.isdecimal() else (text, 0)
