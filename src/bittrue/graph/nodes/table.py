"""Which node is expanded by which formula, and how a formula reads its node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bittrue.errors import Unsupported
from bittrue.ops import Op

from ..formula import Formula, Number, Value
from ..nodegraph import Node, attribute, dtype_called

__all__ = ["Given", "OwnSize", "Row", "known_nodes", "node", "row_of"]

Outputs = Value | tuple[Value, ...]
Expander = Callable[["Given"], Outputs]

_WIDER = {"int64": "int32"}
"""What TensorFlow's 64-bit whole numbers become: expansions count in 32 bits, as every target does."""


@dataclass(frozen=True)
class OwnSize:
    """A size that is known only as the model runs: that of ``axis`` of the node's first operand.

    Of the last, for rows that measure others.
    """

    axis: int


@dataclass(frozen=True)
class Row:
    """How nodes of one op are expanded.

    ``known``: the places of operands that must be numbers known beforehand (shapes, axes), negative ones from the end.
    ``attributes``: those that change what is computed and are read; ``inert``: those that do not. ``measures``: sizes
    among the numbers may be those of a tensor that the node does not read; it then stands behind the operands.
    """

    expander: Expander
    known: tuple[int, ...]
    attributes: frozenset[str]
    inert: frozenset[str]
    measures: bool = False

    def places(self, count: int) -> frozenset[int]:
        """``known`` for a node of ``count`` operands, counted from the front."""
        return frozenset(place % count for place in self.known if -count <= place < count)


_ROWS: dict[str, Row] = {}


def node(
    *ops: str,
    known: Sequence[int] = (),
    reads: Sequence[str] = (),
    inert: Sequence[str] = (),
    measures: bool = False,
) -> Callable[[Expander], Expander]:
    """Registers the formula for nodes of ``ops``: a row of the table each."""

    def register(expander: Expander) -> Expander:
        for op in ops:
            if op in _ROWS:
                raise ValueError(f"{op} has two expansions")
            _ROWS[op] = Row(expander, tuple(known), frozenset(reads), frozenset(inert), measures)
        return expander

    return register


def row_of(op: str) -> Row | None:
    """The row of ``op``, None if it has none."""
    return _ROWS.get(op)


def known_nodes() -> Mapping[str, Row]:
    """The table, by TensorFlow's name of the op."""
    return dict(sorted(_ROWS.items()))


class Given:
    """One node, being written out: its operands and attributes. All methods raise Unsupported, naming the node."""

    def __init__(self, formula: Formula, node: Node, operands: Sequence[Value | Any], row: Row) -> None:
        self.formula = formula
        self.node = node
        self._operands = tuple(operands)
        self._row = row
        self._check_attributes()

    def __len__(self) -> int:
        return len(self._operands)

    def __getitem__(self, place: int) -> Value:
        try:
            value = self._operands[place]
        except IndexError:
            raise self.refused(f"it lacks its operand {place}") from None
        if not isinstance(value, Value):
            raise self.refused(f"its operand {place} is no tensor")
        return value

    @property
    def tensors(self) -> tuple[Value, ...]:
        """All operands that are tensors, in order."""
        return tuple(value for value in self._operands if isinstance(value, Value))

    def numbers(self, place: int) -> Any:
        """The operand as numbers that are known beforehand: one, or a (nested) list; `OwnSize` or None among them."""
        try:
            value = self._operands[place]
        except IndexError:
            raise self.refused(f"it lacks its operand {place}") from None
        if isinstance(value, Value):
            raise self.refused(f"its operand {place} is known only as the model runs")
        return value

    def wholes(self, place: int) -> list[int]:
        """The operand as a list of whole numbers, a single one as a list of one."""
        found = self.numbers(place)
        listed = found if isinstance(found, list) else [found]
        if not all(isinstance(item, int) for item in listed):
            raise self.refused(f"its operand {place} holds a size that is known only as the model runs")
        return [int(item) for item in listed]

    def whole(self, place: int) -> int:
        """The operand as one whole number."""
        found = self.wholes(place)
        if len(found) != 1:
            raise self.refused(f"its operand {place} is {found}, where one number is expected")
        return found[0]

    def sizes(self, place: int) -> list[int | OwnSize | None]:
        """The operand as a list of sizes, of which some may be known only as the model runs."""
        found = self.numbers(place)
        if not isinstance(found, list) or any(isinstance(item, list) for item in found):
            raise self.refused(f"its operand {place} is no list of sizes")
        return list(found)

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean attribute."""
        return bool(self._attribute(name, "b", default))

    def number(self, name: str, default: float) -> float:
        """A real attribute."""
        return float(self._attribute(name, "f", default))

    def integer(self, name: str, default: int = 0) -> int:
        """A whole attribute."""
        return int(self._attribute(name, "i", default))

    def text(self, name: str, default: str, *allowed: str) -> str:
        """A textual attribute, one of ``allowed`` if there are any."""
        value = str(self._attribute(name, "s", default))
        if allowed and value not in allowed:
            raise self.refused(f"its {name} is {value}")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        return list(self._attribute(name, "list.s", []))

    def whole_numbers(self, name: str) -> list[int]:
        """A list of whole numbers."""
        return list(self._attribute(name, "list.i", []))

    def real_numbers(self, name: str) -> list[float]:
        """A list of real numbers."""
        return list(self._attribute(name, "list.f", []))

    def dtype(self, name: str) -> str:
        """A dtype, as expansions have it."""
        called = str(self._attribute(name, "type", ""))
        found = dtype_called(called)
        if found is None:
            raise self.refused(f"its {name} is {called or 'missing'}")
        return _WIDER.get(found.name, found.name)

    def apply(self, op: Op, *operands: Number) -> Value:
        """The result of an op."""
        return self.formula.apply(op, *operands)

    def constant(self, value: Any) -> Value:
        """A number or an array of numbers."""
        return self.formula.constant(np.asarray(value))

    def axis(self, value: int, rank: int) -> int:
        """An axis counted from the front."""
        if not -rank <= value < rank:
            raise self.refused(f"its axis {value} is none of the {rank} that its operand has")
        return value % rank

    def refused(self, because: str) -> Unsupported:
        """The error for a node that cannot be expressed."""
        layer = self.formula.layer.name
        message = f"layer {layer!r}: node {self.node.name!r} ({self.node.op}) cannot be expressed faithfully: {because}"
        return Unsupported(message, layer=layer)

    def _attribute(self, name: str, kind: str, default: Any) -> Any:
        value = attribute(self.node, name, kind)
        return default if value is None else value

    def _check_attributes(self) -> None:
        """Every attribute is read, or is a type, an annotation, or known to change nothing."""
        for name, value in self.node.attributes.items():
            known = name == "N" or name.startswith("_") or name in self._row.attributes | self._row.inert
            if not known and not _is_type(value):
                raise self.refused(f"it has the attribute {name}, which is not known")


def _is_type(value: Any) -> bool:
    """Types say nothing that the operands do not."""
    if not isinstance(value, Mapping):
        return False
    inside = value.get("list", {"type": None})
    return set(value) <= {"type", "list"} and isinstance(inside, Mapping) and set(inside) == {"type"}
