"""A TensorFlow graph as it is, before anything is made of it: nodes, constants, and the entries of a signature.

Attributes are kept in the JSON form of the GraphDef protocol buffer, which is what TensorFlow.js reads and what can be
written back without loss; `attribute` reads one.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from bittrue.errors import ModelError
from bittrue.ops import Shape
from bittrue.traces import Array

__all__ = ["LOOPS", "NODES", "Node", "NodeGraph", "Port", "Source", "attribute", "dtype_called", "ordered", "shape_of"]

Source = tuple[str, int]
"""The ``index``-th output of the node called so."""

NODES = "tensorflow.nodes"
"""The module of layers that are nodes of a TensorFlow graph, in place of a package's name.

The configuration of such a layer is ``nodes``, a list of ``{"name", "op", "attributes", "operands"}``, and
``outputs``, a list of ``[node, output]``. An operand is ``["input", n]``: the n-th tensor that the layer is called on;
``["weight", n]``: its n-th weight; ``["node", n, output]``: of an earlier node of the layer;
``["constant", numbers, dtype]``: numbers that are no weight; ``["known", numbers]``: numbers known beforehand, where
``{"axis": n}`` is the size of the first operand's axis n and null any size. Beside them stand ``weights``, the names of
the weights' nodes, and ``specs``, ``[dtype, shape]`` of each output or null.
"""

LOOPS = frozenset({"Enter", "Exit", "LoopCond", "Merge", "NextIteration", "RefEnter", "RefSwitch", "Switch"})
"""TensorFlow 1's control flow: nodes that may never fire, and cycles."""

_DTYPES: Mapping[str, str] = MappingProxyType(
    {
        "DT_BOOL": "bool",
        "DT_DOUBLE": "float64",
        "DT_FLOAT": "float32",
        "DT_HALF": "float16",
        "DT_INT16": "int16",
        "DT_INT32": "int32",
        "DT_INT64": "int64",
        "DT_INT8": "int8",
        "DT_UINT16": "uint16",
        "DT_UINT32": "uint32",
        "DT_UINT64": "uint64",
        "DT_UINT8": "uint8",
    }
)


@dataclass(frozen=True)
class Node:
    """One node. ``inputs`` are tensors alone: what merely has to run before it is left out."""

    name: str
    op: str
    inputs: tuple[Source, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Port:
    """An entry of the signature: its key, the tensor behind it, and what is known of that tensor beforehand.

    ``shape`` is None where not even the number of axes is known.
    """

    name: str
    source: Source
    dtype: np.dtype[Any] | None
    shape: Shape | None


@dataclass(frozen=True)
class NodeGraph:
    """``nodes`` in an order in which each follows what it reads, unless there are loops; constants are none of them.

    ``constants`` holds arrays by the name of their node; ``library`` the functions that nodes call, in JSON form.
    ``signature`` is the key of the signature that was chosen, empty where there was nothing to choose from. Where loops
    were written out, ``looping`` is the graph as it was before; where they could not be, ``obstacle`` says why.
    """

    name: str
    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    library: Mapping[str, Any] = field(default_factory=dict, repr=False)
    signature: str = ""
    looping: NodeGraph | None = field(default=None, repr=False)
    obstacle: str = ""

    @property
    def has_loops(self) -> bool:
        """Whether some nodes may never fire, or more than once."""
        return any(node.op in LOOPS for node in self.nodes)


def attribute(node: Node, name: str, kind: str) -> Any:
    """The attribute's value as Python has it, None where the node lacks it. ``kind`` is its key in the JSON form.

    Raises ModelError where it is of another kind.
    """
    value = node.attributes.get(name)
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ModelError(f"node {node.name!r:.200} ({node.op}): its attribute {name} is {value!r:.80}, which is none")
    if kind.startswith("list."):
        items = value.get("list", {}).get(kind[5:], []) if isinstance(value.get("list"), Mapping) else None
        if items is None:
            raise ModelError(f"node {node.name!r:.200} ({node.op}): its attribute {name} is no list")
        return [_read(node, name, kind[5:], item) for item in items]
    if kind not in value:
        # The JSON form leaves out what is zero, false or empty.
        return {"i": 0, "f": 0.0, "b": False, "s": ""}.get(kind) if not value else _absent(node, name, kind)
    return _read(node, name, kind, value[kind])


def _absent(node: Node, name: str, kind: str) -> Any:
    raise ModelError(f"node {node.name!r:.200} ({node.op}): its attribute {name} is not of the kind {kind!r}")


def _read(node: Node, name: str, kind: str, value: Any) -> Any:
    try:
        match kind:
            case "i":
                return int(value)
            case "f":
                return float(value)
            case "b":
                return bool(value)
            case "s":
                return _text(value)
            case "type":
                return str(value)
            case "shape":
                return shape_of(value)
    except (TypeError, ValueError, AttributeError) as error:
        message = f"node {node.name!r:.200} ({node.op}): its attribute {name} cannot be read: {error}"
        raise ModelError(message) from error
    raise AssertionError(kind)


def _text(value: Any) -> str:
    """Text is base64 in the JSON form; old converters wrote the bytes one by one."""
    raw = bytes(value) if isinstance(value, list) else base64.b64decode(value, validate=True)
    return raw.decode()


def shape_of(value: Any) -> Shape | None:
    """A shape in its JSON form; None where the number of axes is not known."""
    if not isinstance(value, Mapping):
        raise ValueError("it is no shape")
    if value.get("unknownRank") or value.get("unknown_rank"):
        return None
    sizes = [int(dim.get("size", 0)) for dim in value.get("dim", [])]
    return tuple(None if size < 0 else size for size in sizes)


def dtype_called(name: str) -> np.dtype[Any] | None:
    """The dtype that a GraphDef calls ``DT_…``, None where NumPy does not have it."""
    if name in ("DT_BFLOAT16", "DT_FLOAT8_E5M2", "DT_FLOAT8_E4M3FN"):
        import ml_dtypes

        found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name[3:].lower()))
        return found
    return np.dtype(_DTYPES[name]) if name in _DTYPES else None


def ordered(
    nodes: Iterable[Node], constants: Mapping[str, Array], outputs: Sequence[Source], inputs: Sequence[Source]
) -> tuple[Node, ...]:
    """The nodes that ``outputs`` need, each after what it reads.

    Raises ModelError for a name that two nodes bear, for a tensor that nothing makes, and for a cycle, which only
    TensorFlow 1's loops may have.
    """
    table = _by_name(nodes)
    feeds = {name for name, _ in inputs}
    walk = _Walk(table, {*constants, *feeds})
    for name, _ in outputs:
        walk.reach(name, None)
    while walk.later:
        walk.reach(walk.later.pop(), None)
    return tuple(walk.found)


def _by_name(nodes: Iterable[Node]) -> dict[str, Node]:
    listed = list(nodes)
    twice = [name for name, count in Counter(node.name for node in listed).items() if count > 1]
    if twice:
        raise ModelError(f"two of its nodes are called {twice[0]!r:.200}")
    return {node.name: node for node in listed}


class _Walk:
    """Depth first and without recursion: graphs are deeper than Python's stack."""

    def __init__(self, table: Mapping[str, Node], leaves: set[str]) -> None:
        self.table = table
        self.leaves = leaves
        self.found: list[Node] = []
        self.later: list[str] = []
        """What begins the next round of a loop: it comes after its readers, not before them."""
        self._done: set[str] = set()
        self._open: dict[str, Iterator[Source]] = {}

    def reach(self, name: str, reader: str | None) -> None:
        self._enter(name, reader)
        while self._open:
            current = next(reversed(self._open))
            needed = next(self._open[current], None)
            if needed is None:
                del self._open[current]
                self._done.add(current)
                self.found.append(self.table[current])
            else:
                self._enter(needed[0], current)

    def _enter(self, name: str, reader: str | None) -> None:
        if name in self._done or name in self.leaves:
            return
        asked = f"node {reader!r:.200}" if reader else "the signature"
        if name not in self.table:
            raise ModelError(f"{asked} reads {name!r:.200}, which no node is called")
        if name in self._open:
            raise ModelError(f"its nodes go round in a circle through {name!r:.200}, so that none can run first")
        if reader is not None and self.table[name].op == "NextIteration":
            self.later.append(name)
            return
        self._open[name] = iter(self.table[name].inputs)
