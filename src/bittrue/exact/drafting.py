"""A plan in the making: operations are added one by one; what depends on constants alone is computed at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bittrue.errors import Unsupported
from bittrue.ops import TensorSpec
from bittrue.traces import Array

from .oracle import apply
from .plan import Constant, Input, Named, Operation, Plan

__all__ = ["Draft", "Tensor", "finished", "stored"]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value in the making: an input, a constant (``array``), or the result of an operation on ``operands``."""

    spec: TensorSpec
    array: Array | None = field(default=None, repr=False)
    step: Operation | None = None
    operands: tuple[Tensor, ...] = ()
    name: str = ""

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Sizes; None for those that are not known."""
        return self.spec.shape

    @property
    def dtype(self) -> str:
        """float32, int32 or bool."""
        return self.spec.dtype.name


def stored(array: Array, what: str = "a constant") -> Array:
    """``array`` as float32, int32 or bool. Raises Unsupported where that would change a weight."""
    if array.dtype.kind == "b" or array.dtype in (np.float32, np.int32):
        return array
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype.kind in "iu" and (array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)):
        return array.astype(np.int32)
    raise Unsupported(
        f"{what} is of {array.dtype}, which the exact runtime does not have: float32, int32 and bool only"
    )


@dataclass
class Draft:
    """Where the operations of a layer go. ``layer`` is the layer's path; ``known`` what an input of a body is."""

    layer: str = ""

    def constant(self, array: Array, name: str = "") -> Tensor:
        """A constant, as float32, int32 or bool."""
        value = stored(np.asarray(array), name or f"a constant of layer {self.layer!r}")
        return Tensor(TensorSpec.of(value), value, name=name)

    def add(
        self, name: str, operands: Sequence[Tensor], attributes: Iterable[int] = (), spec: TensorSpec | None = None
    ) -> Tensor:
        """The result of one operation, of ``spec`` where it is no constant (None: that of the first operand)."""
        step = Operation(name, (), tuple(int(word) for word in attributes), self.layer)
        if all(operand.array is not None for operand in operands):
            value = apply(step, [operand.array for operand in operands if operand.array is not None])
            return Tensor(TensorSpec.of(value), value)
        return Tensor(spec or operands[0].spec, None, step, tuple(operands))

    def scan(self, operands: Sequence[Tensor], counts: tuple[int, int], body: Body, spec: TensorSpec) -> Tensor:
        """A loop; ``operands`` are its sequences and states, to which come the constants that the body reads."""
        given = [*body.given]
        order, shared = _ordered(body.results, given)
        numbers = {id(tensor): at for at, tensor in enumerate([*given, *shared, *order])}
        steps = tuple(_numbered(tensor, numbers) for tensor in order)
        results = tuple(numbers[id(tensor)] for tensor in body.results)
        step = Operation("scan", (), counts, self.layer, steps, results)
        return Tensor(spec, None, step, (*operands, *shared))

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        """``x`` as ``dtype``."""
        if x.dtype == dtype:
            return x
        return self.add(f"cast_{dtype}", [x], spec=TensorSpec(x.shape, np.dtype(dtype)))


@dataclass(frozen=True)
class Body:
    """The body of a loop: what it is given (slices, states), outer tensors it reads, and the new states."""

    given: tuple[Tensor, ...]
    results: tuple[Tensor, ...]


def _numbered(tensor: Tensor, numbers: dict[int, int]) -> Operation:
    assert tensor.step is not None
    return replace(tensor.step, operands=tuple(numbers[id(operand)] for operand in tensor.operands))


def _ordered(roots: Sequence[Tensor], given: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """What ``roots`` are computed by, operands first; and the constants they read, in order of their first use."""
    seen = {id(tensor) for tensor in given}
    order: list[Tensor] = []
    constants: list[Tensor] = []
    waiting = [(root, False) for root in reversed(roots)]
    while waiting:
        tensor, ready = waiting.pop()
        if ready:
            order.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            if tensor.step is None:
                constants.append(tensor)
                continue
            waiting.append((tensor, True))
            waiting += [(operand, False) for operand in reversed(tensor.operands)]
    return order, constants


def finished(
    name: str,
    inputs: Sequence[tuple[Input, Tensor]],
    outputs: Sequence[tuple[Named, Tensor]],
    layers: Sequence[tuple[Named, Tensor]],
) -> tuple[Plan, dict[str, Array]]:
    """The plan and its constants by name. What leads to no output and no layer is left out."""
    given = [tensor for _, tensor in inputs]
    order, leaves = _ordered([tensor for _, tensor in (*layers, *outputs)], given)
    arrays: dict[str, Array] = {}
    places: dict[Any, int] = {}
    numbers = {id(tensor): at for at, tensor in enumerate(given)}
    for leaf in leaves:
        assert leaf.array is not None
        key = _identity(leaf.array)
        if key not in places:
            places[key] = len(given) + len(arrays)
            arrays[_free_name(leaf.name or "constant", arrays)] = leaf.array
        numbers[id(leaf)] = places[key]
    first = len(given) + len(arrays)
    numbers |= {id(tensor): first + at for at, tensor in enumerate(order)}
    plan = Plan(
        name,
        tuple(item for item, _ in inputs),
        tuple(Constant(label, array.shape, array.dtype.name) for label, array in arrays.items()),
        tuple(_numbered(tensor, numbers) for tensor in order),
        tuple(replace(item, value=numbers[id(tensor)]) for item, tensor in outputs),
        tuple(replace(item, value=numbers[id(tensor)]) for item, tensor in layers),
    )
    return plan, arrays


def _identity(array: Array) -> Any:
    """Small constants are the same if their bits are, large ones if they are the same array."""
    return (array.dtype.str, array.shape, array.tobytes()) if array.size <= 64 else id(array)


def _free_name(wanted: str, taken: dict[str, Array]) -> str:
    name, count = wanted, 1
    while name in taken:
        name, count = f"{wanted}_{count}", count + 1
    return name
