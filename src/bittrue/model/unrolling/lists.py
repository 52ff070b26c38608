"""Lists of tensors, as loops of TensorFlow read and write them, held as what they hold while a graph is written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..framework import import_tensorflow
from ..graphdef.grouping import scopes_of
from .straight import ADVICE, Obstacle, StraightLine

__all__ = ["LIST_OPS", "ListNode", "TensorList"]


@dataclass(frozen=True)
class TensorList:
    """``elements``, of which None has not been set, all of ``dtype`` (TensorFlow's)."""

    elements: tuple[Any, ...]
    dtype: Any


@dataclass(frozen=True)
class ListNode:
    """A node that makes, reads or changes a list: ``operands`` are tensors and `TensorList`."""

    line: StraightLine
    node: Any
    operands: Sequence[Any]
    name: str

    @property
    def held(self) -> TensorList:
        """The list that it is given. Raises Obstacle where that is none."""
        found = self.operands[0]
        if not isinstance(found, TensorList):
            raise self.unknown("the list")
        return found

    @property
    def dtype(self) -> Any:
        """The elements' dtype."""
        return import_tensorflow().as_dtype(self.node.attr["element_dtype"].type)

    def numbers(self, place: int) -> list[int]:
        """An operand as whole numbers. Raises Obstacle where they are known only as the model runs."""
        value = self.line.known(self.operands[place])
        if value is None:
            raise self.unknown("a length or place")
        return [int(item) for item in np.atleast_1d(value)]

    def unknown(self, what: str) -> Obstacle:
        """The error for something that is known only as the model runs."""
        return Obstacle(f"{what} of {self._called} is known only as the model runs; {ADVICE}")

    @property
    def _called(self) -> str:
        return f"{'/'.join(scopes_of(self.node.name))!r} ({self.node.op})"

    def inside(self, at: int) -> int:
        """``at``, a place in the list. Raises Obstacle where it has none such: TensorFlow would fail as well."""
        if not 0 <= at < len(self.held.elements):
            raise Obstacle(f"{self._called} asks for place {at} of a list of {len(self.held.elements)}")
        return at

    def element(self, at: int) -> Any:
        """An element; what was never set is zeros in the shape of the others."""
        found = self.held.elements[self.inside(at)]
        if found is not None:
            return found
        other = next((one for one in self.held.elements if one is not None), None)
        if other is None:
            shape = self.line.known(self.operands[-1])
            if shape is None or (np.asarray(shape) < 0).any():
                raise self.unknown("the size of elements that were never set")
            return self.line.constant(np.zeros(np.atleast_1d(shape), self.dtype.as_numpy_dtype), f"{self.name}/unset")
        return self.line.make("ZerosLike", (other,), f"{self.name}/unset", T=self.dtype)[0]


Rule = Callable[[ListNode], tuple[Any, ...]]


def _reserve(given: ListNode) -> tuple[Any, ...]:
    (count,) = given.numbers(1)
    return (TensorList((None,) * count, given.dtype),)


def _empty(given: ListNode) -> tuple[Any, ...]:
    return (TensorList((), given.dtype),)


def _from_tensor(given: ListNode) -> tuple[Any, ...]:
    tensor = given.operands[0]
    count = tensor.shape[0] if tensor.shape.rank else None
    if count is None:
        raise given.unknown("the length")
    if count == 0:
        return (TensorList((), given.dtype),)
    parts = given.line.make("Unpack", (tensor,), given.name, num=count, axis=0, T=given.dtype)
    return (TensorList(parts, given.dtype),)


def _get(given: ListNode) -> tuple[Any, ...]:
    (at,) = given.numbers(1)
    return (given.element(at),)


def _set(given: ListNode) -> tuple[Any, ...]:
    (at,) = given.numbers(1)
    elements = list(given.held.elements)
    if given.node.attr["resize_if_index_out_of_bounds"].b and at >= len(elements):
        elements += [None] * (at + 1 - len(elements))
    else:
        given.inside(at)
    elements[at] = given.operands[2]
    return (replace(given.held, elements=tuple(elements)),)


def _push(given: ListNode) -> tuple[Any, ...]:
    return (replace(given.held, elements=(*given.held.elements, given.operands[1])),)


def _pop(given: ListNode) -> tuple[Any, ...]:
    last = given.element(len(given.held.elements) - 1)
    return replace(given.held, elements=given.held.elements[:-1]), last


def _length(given: ListNode) -> tuple[Any, ...]:
    return (given.line.constant(np.asarray(len(given.held.elements), np.int32), given.name),)


def _resize(given: ListNode) -> tuple[Any, ...]:
    (size,) = given.numbers(1)
    elements = given.held.elements[:size]
    return (replace(given.held, elements=elements + (None,) * (size - len(elements))),)


def _stack(given: ListNode) -> tuple[Any, ...]:
    return (_packed(given, range(len(given.held.elements))),)


def _gather(given: ListNode) -> tuple[Any, ...]:
    return (_packed(given, given.numbers(1)),)


def _packed(given: ListNode, places: Sequence[int]) -> Any:
    elements = [given.element(at) for at in places]
    if not elements:
        shape = given.line.known(given.operands[-1])
        if shape is None or (np.asarray(shape) < 0).any():
            raise given.unknown("the size of the elements")
        return given.line.constant(np.zeros((0, *np.atleast_1d(shape)), given.dtype.as_numpy_dtype), given.name)
    return given.line.make("Pack", elements, given.name, N=len(elements), axis=0, T=given.dtype)[0]


LIST_OPS: Mapping[str, Rule] = {
    "EmptyTensorList": _empty,
    "TensorListFromTensor": _from_tensor,
    "TensorListGather": _gather,
    "TensorListGetItem": _get,
    "TensorListLength": _length,
    "TensorListPopBack": _pop,
    "TensorListPushBack": _push,
    "TensorListReserve": _reserve,
    "TensorListResize": _resize,
    "TensorListSetItem": _set,
    "TensorListStack": _stack,
}
