"""`Op.cuts`: where it promises so, the op of a part is the part of the op; where examples meet, it promises nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bittrue import ops
from bittrue.ops import (
    ArgMax,
    Axioms,
    Binary,
    Broadcast,
    Cast,
    Compare,
    Concat,
    Conv,
    ConvTranspose,
    Einsum,
    Gather,
    Logical,
    MatMul,
    Normalize,
    Op,
    Pad,
    Pool,
    Position,
    Reduce,
    Repeat,
    Reshape,
    Resize,
    Scan,
    ScanStep,
    Select,
    Slice,
    Softmax,
    TensorSpec,
    Transpose,
    Unary,
)
from bittrue.traces import Array

N = 4


def real(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape)


def whole(*shape: int, below: int = 3) -> Array:
    return np.random.default_rng(sum(shape)).integers(0, below, shape)


def truth(*shape: int) -> Array:
    return real(*shape) > 0


STEP = (ScanStep(MatMul(), (0, 2)), ScanStep(Binary("add"), (3, 1)), ScanStep(Unary("tanh"), (4,)))
LOOP = Scan(1, 1, STEP, (5,))
MEETING = Scan(1, 1, (ScanStep(Reduce("mean", (0,), True), (0,)), ScanStep(Binary("add"), (1, 2))), (3,))

APART: list[tuple[Op, str, Sequence[Array]]] = [
    (Unary("exp"), "c", [real(N, 3)]),
    (Cast("int32"), "c", [real(N)]),
    (Binary("add"), "cc", [real(N, 3), real(N, 3)]),
    (Binary("multiply"), "c-", [real(N, 3), real(3)]),
    (Binary("subtract"), "-c", [real(1, 3), real(N, 3)]),
    (Compare("greater"), "c-", [real(N, 3), real(1, 1)]),
    (Logical("and"), "cc", [truth(N, 3), truth(N, 1)]),
    (Select(), "c-c", [truth(N, 3), real(3), real(N, 3)]),
    (Normalize(1e-3), "cc---", [real(N, 3), real(N, 1), 1 + real(3), real(3), real(3)]),
    (Reduce("sum", (1,)), "c", [real(N, 3, 2)]),
    (Reduce("max", (-1, 1), True), "c", [real(N, 3, 2)]),
    (Softmax(-1), "c", [real(N, 3)]),
    (ArgMax(1), "c", [real(N, 3)]),
    (Slice(1, 0, 2), "c", [real(N, 3)]),
    (Repeat(-1, 2), "c", [real(N, 3)]),
    (Position(1), "c", [real(N, 3)]),
    (Concat(-1), "cc", [real(N, 3), real(N, 2)]),
    (Pad(((0, 0), (1, 2))), "c", [real(N, 3)]),
    (Transpose((0, 2, 1)), "c", [real(N, 3, 2)]),
    (Reshape((-1,), 1), "c", [real(N, 3, 2)]),
    (Reshape((-1, 2), 0), "c", [real(N, 3, 2)]),
    (Reshape((-1, 3, 2), 0), "3", [real(3 * N, 2)]),
    (Reshape((-1, 4), 0), "2", [real(2 * N, 3, 2)]),
    (Binary("add"), "2-", [real(2 * N, 3), real(3)]),
    (MatMul(), "3-", [real(3 * N, 2), real(2, 5)]),
    (Gather(), "-c", [real(3, 2), whole(N, 5)]),
    (MatMul(), "c-", [real(N, 3), real(3, 2)]),
    (MatMul(), "c-", [real(N, 5, 3), real(3, 2)]),
    (MatMul(), "cc", [real(N, 5, 3), real(N, 3, 2)]),
    (MatMul(), "-c", [real(5, 3), real(N, 3, 2)]),
    (Einsum("bth,hnd->btnd"), "c-", [real(N, 2, 3), real(3, 2, 2)]),
    (Einsum("bqd,bkd->bqk"), "cc", [real(N, 2, 3), real(N, 4, 3)]),
    (Conv((1, 1), "same"), "c-", [real(N, 5, 5, 2), real(3, 3, 2, 3)]),
    (ConvTranspose((2,), ((0, 0),)), "c-", [real(N, 5, 2), real(3, 3, 2)]),
    (Pool("max", (2,), (2,)), "c", [real(N, 6, 2)]),
    (Resize("linear", (7, 3)), "c", [real(N, 5, 4, 2)]),
    (LOOP, "cc-", [real(N, 5, 2), real(N, 3), real(2, 3)]),
    (LOOP, "c--", [real(N, 5, 2), real(1, 3), real(2, 3)]),
]

TOGETHER: list[tuple[Op, str, Sequence[Array]]] = [
    (Binary("add"), "c-", [real(N, 3), real(N, 3)]),
    (Binary("add"), "cc", [real(N, N), real(N)]),
    (Binary("add"), "-c", [real(N, 3), real(3)]),
    (Select(), "c-c", [truth(N, 3), real(N, 3), real(N, 3)]),
    (Reduce("mean", (0,)), "c", [real(N, 3)]),
    (Reduce("sum", (1, -2)), "c", [real(N, 3)]),
    (Softmax(0), "c", [real(N, 3)]),
    (Softmax(-2), "c", [real(N, 3)]),
    (ArgMax(-1), "c", [real(N)]),
    (Slice(0, 0, 2), "c", [real(N, 3)]),
    (Repeat(0, 2), "c", [real(N, 3)]),
    (Position(0), "c", [real(N, 3)]),
    (Concat(0), "cc", [real(N, 3), real(N, 3)]),
    (Concat(-1), "c-", [real(N, 3), real(N, 2)]),
    (Pad(((1, 0), (0, 0))), "c", [real(N, 3)]),
    (Transpose((1, 0)), "c", [real(N, 3)]),
    (Reshape((-1, 2), 0), "c", [real(N, 3)]),
    (Reshape((N, 3), 0), "c", [real(N, 3, 1)]),
    (Reshape((-1, 6), 0), "c", [real(N, 3)]),
    (Concat(-1), "c2", [real(N, 3), real(N, 3)]),
    (Gather(), "c-", [real(N, 2), whole(5)]),
    (Broadcast((N, 3)), "c", [real(N, 1)]),
    (MatMul(), "-c", [real(2, N), real(N, 3)]),
    (MatMul(), "cc", [real(N, N), real(N, 3)]),
    (MatMul(), "c-", [real(N, 5, 3), real(N, 3, 2)]),
    (Einsum("bi,bj->ij"), "cc", [real(N, 2), real(N, 3)]),
    (Einsum("bi,bj->bij"), "c-", [real(N, 2), real(N, 3)]),
    (Einsum("bi,ij->jb"), "c-", [real(N, 2), real(2, 3)]),
    (Conv((1,), "same"), "-c", [real(2, 5, 2), real(3, 2, 3)]),
    (MEETING, "cc", [real(N, 5, 3), real(N, 3)]),
]


def rows(which: str) -> tuple[int, ...]:
    """How many rows of each operand an example has: ``c`` one, ``-`` it has none of its own."""
    return tuple(int({"c": "1", "-": "0"}.get(mark, mark)) for mark in which)


def promised(op: Op, which: str, operands: Sequence[Array]) -> int | None:
    return op.cuts(rows(which), *map(TensorSpec.of, operands))


def part(array: Array, count: int, start: int, stop: int) -> Array:
    return array[start * count : stop * count] if count else array


@pytest.mark.parametrize(("op", "which", "operands"), APART, ids=lambda item: item.name if isinstance(item, Op) else "")
def test_the_op_of_a_part_is_the_part_of_the_op(op: Op, which: str, operands: Sequence[Array]) -> None:
    found = promised(op, which, operands)
    (result,) = op.evaluate(*operands)
    assert found == (0 if isinstance(op, Position) else len(result) // N)
    bound = op.error_bound(Axioms(), *operands)
    for start, stop in ((0, 1), (1, 4), (2, 3)):
        given = [part(x, count, start, stop) for x, count in zip(operands, rows(which), strict=True)]
        np.testing.assert_allclose(op.evaluate(*given)[0], part(result, found, start, stop), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(op.error_bound(Axioms(), *given), part(bound, found, start, stop), rtol=1e-9)


@pytest.mark.parametrize(
    ("op", "which", "operands"), TOGETHER, ids=lambda item: item.name if isinstance(item, Op) else ""
)
def test_nothing_is_promised_where_examples_meet(op: Op, which: str, operands: Sequence[Array]) -> None:
    op.infer(*map(TensorSpec.of, operands))  # it takes them
    assert promised(op, which, operands) is None


def test_every_op_is_among_them() -> None:
    public = [getattr(ops, name) for name in ops.__all__]
    known = {found.__name__ for found in public if isinstance(found, type) and issubclass(found, Op)} - {"Op"}
    assert {type(op).__name__ for op, _, _ in (*APART, *TOGETHER)} == known
