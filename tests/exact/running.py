"""One operation in the module and in the oracle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bittrue.exact.engine import ExactModel
from bittrue.exact.file import ExactFile, digest
from bittrue.exact.oracle import apply, canonical
from bittrue.exact.plan import Constant, Input, Named, Operation, Plan
from bittrue.traces import Array


def model_of(
    inputs: Sequence[Array], operations: Sequence[Operation], outputs: Sequence[int], constants: Sequence[Array] = ()
) -> ExactModel:
    """A model of these operations, whose inputs may have any sizes."""
    given = tuple(Input(f"in{at}", (None,) * x.ndim, x.dtype.name) for at, x in enumerate(inputs))
    named = {f"constant{at}": x for at, x in enumerate(constants)}
    kept = tuple(Constant(name, x.shape, x.dtype.name) for name, x in named.items())
    plan = Plan("model", given, kept, tuple(operations), tuple(Named(f"out{value}", value) for value in outputs))
    return ExactModel(ExactFile(plan, named, digest(plan, named)))


def computed(name: str, operands: Sequence[Array], attributes: Sequence[int] = (), constant: bool = False) -> Array:
    """What the module makes of one operation; with ``constant``, of an operation whose second operand is a weight."""
    numbers = tuple(range(len(operands)))
    constants = [operands[1]] if constant else []
    inputs = [operands[0], *operands[2:]] if constant else list(operands)
    if constant:
        numbers = (0, len(inputs), *range(1, len(inputs)))
    step = Operation(name, numbers, tuple(attributes))
    result: Array = model_of(inputs, [step], [len(operands)], constants).predict(inputs)
    return result


def expected(name: str, operands: Sequence[Array], attributes: Sequence[int] = ()) -> Array:
    """What the specification says, by the oracle."""
    return canonical(apply(Operation(name, tuple(range(len(operands))), tuple(attributes)), operands))


def assert_same_bits(found: Array, wanted: Array) -> None:
    """Same shape, dtype and bits; says where they differ first."""
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    if found.tobytes() == wanted.tobytes():
        return
    unsigned = np.dtype(f"u{found.dtype.itemsize}")
    a, b = (np.ascontiguousarray(x).reshape(-1).view(unsigned) for x in (found, wanted))
    at = int(np.argmax(a != b))
    raise AssertionError(
        f"{int((a != b).sum())} of {a.size} differ, first at {at}: "
        f"{found.reshape(-1)[at]} ({a[at]:08x}) for {wanted.reshape(-1)[at]} ({b[at]:08x})"
    )


SPECIAL = np.array(
    [
        *(0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x3F800000, 0xBF800000, 0x7F7FFFFF),
        *(0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7F800001, 0x3EFFFFFF, 0x3F000000, 0x4B000001),
    ],
    np.uint32,
).view(np.float32)
"""Zeros, subnormals, ends, infinities, NaNs of several payloads, ties."""
