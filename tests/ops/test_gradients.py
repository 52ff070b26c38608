"""Vector-Jacobian products of every op against central differences: ⟨Jᵀg, d⟩ = ⟨g, J d⟩ for any g and direction d."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bittrue import ops
from bittrue.errors import ModelError
from bittrue.ops.binary import OPERATIONS
from bittrue.ops.gradients import backward
from bittrue.ops.unary import FUNCTIONS
from bittrue.traces import Array

_CELL = (  # h' = tanh(x·k + h·r), c' = c·sigmoid(h') + h'
    ops.ScanStep(ops.MatMul(), (0, 3)),
    ops.ScanStep(ops.MatMul(), (1, 4)),
    ops.ScanStep(ops.Binary("add"), (5, 6)),
    ops.ScanStep(ops.Unary("tanh"), (7,)),
    ops.ScanStep(ops.Unary("sigmoid"), (8,)),
    ops.ScanStep(ops.Binary("multiply"), (2, 9)),
    ops.ScanStep(ops.Binary("add"), (10, 8)),
)
_KEEPING = (ops.ScanStep(ops.Binary("multiply"), (0, 2)), ops.ScanStep(ops.Select(), (1, 3, 2)))  # masked steps keep h

CASES: list[tuple[ops.Op, tuple[tuple[int, ...], ...]]] = [
    *((ops.Unary(name), ((3, 4),)) for name in FUNCTIONS),
    *((ops.Binary(name), shapes) for name in OPERATIONS for shapes in (((3, 4), (3, 4)), ((2, 1, 4), (3, 1)))),
    (ops.MatMul(), ((3, 5), (5, 4))),
    (ops.MatMul(), ((5,), (5, 4))),
    (ops.MatMul(), ((2, 3, 5), (5, 4))),
    (ops.MatMul(), ((2, 1, 3, 5), (4, 5, 2))),
    (ops.MatMul(), ((3, 5), (2, 5, 4))),
    (ops.Einsum("bth,hnd->btnd"), ((2, 3, 4), (4, 2, 5))),
    (ops.Einsum("abc,cd->ad"), ((2, 3, 4), (4, 5))),
    (ops.Einsum("ab,cd->"), ((2, 3), (4, 2))),
    (ops.Conv((1,)), ((2, 7, 3), (3, 3, 4))),
    (ops.Conv((2, 1), "same", (1, 2)), ((2, 5, 6, 4), (3, 2, 4, 3))),
    (ops.Conv((3, 2), "same", groups=2), ((2, 8, 5, 4), (2, 3, 2, 6))),
    (ops.Conv((1, 1), "same", groups=3), ((2, 4, 5, 3), (3, 3, 1, 3))),
    (ops.Conv((2, 2), groups=3), ((1, 6, 5, 3), (2, 2, 1, 6))),
    (ops.Conv((1,), ((3, 1),)), ((1, 5, 2), (3, 2, 4))),
    (ops.Conv((2, 1, 2), "same"), ((1, 4, 5, 3, 2), (2, 3, 1, 2, 3))),
    (ops.ConvTranspose((2,), ((1, 0),)), ((2, 4, 3), (3, 5, 3))),
    (ops.ConvTranspose((2, 3), ((0, 2), (-1, 1)), (2, 1)), ((2, 3, 4, 3), (2, 3, 2, 3))),
    (ops.Pool("max", (2, 3), (2, 1)), ((2, 6, 5, 3),)),
    (ops.Pool("max", (3,), (2,), "same"), ((2, 6, 3),)),
    (ops.Pool("average", (2, 3), (2, 1), "same"), ((2, 5, 5, 3),)),
    (ops.Pool("average", (2,), (3,)), ((1, 9, 2),)),
    *(
        (ops.Reduce(kind, axes, keepdims), ((2, 3, 4),))
        for kind in ("sum", "mean", "max", "min")
        for axes, keepdims in (((1,), False), ((2, 0), True), ((-1, 1), False))
    ),
    (ops.Softmax(), ((3, 5),)),
    (ops.Softmax(1), ((2, 4, 3),)),
    (ops.Normalize(1e-3), ((2, 4, 3), (1, 1, 3), (1, 4, 1), (3,), (1, 1, 3))),
    (ops.Resize("linear", (7, 3)), ((2, 4, 5, 2),)),
    (ops.Resize("linear", factors=(2,)), ((1, 4, 3),)),
    (ops.Resize("nearest", (7, 3)), ((2, 4, 5, 2),)),
    (ops.Reshape((-1, 2)), ((2, 3, 4),)),
    (ops.Transpose((2, 0, 1)), ((2, 3, 4),)),
    (ops.Slice(1, 4, None, -2), ((2, 5, 3),)),
    (ops.Repeat(1, 3), ((2, 3, 2),)),
    (ops.Broadcast((2, 3, 4)), ((3, 1),)),
    (ops.Concat(1), ((2, 3), (2, 1), (2, 2))),
    (ops.Pad(((1, 0), (0, 2)), 3.5), ((2, 3),)),
    (ops.Cast("float32"), ((2, 3),)),
    (ops.Scan(1, 2, _CELL, (8, 11)), ((2, 4, 3), (1, 5), (2, 5), (3, 5), (5, 5))),
]
FIXED: list[tuple[ops.Op, tuple[Array, ...]]] = [
    (ops.Gather(), (np.arange(12.0).reshape(4, 3), np.array([[3, 0], [3, 1]]))),
    (ops.Select(), (np.array([True, False, True]), np.arange(6.0).reshape(2, 3), np.array([2.5]))),
    (
        ops.Scan(2, 1, _KEEPING, (4,)),
        (np.arange(6.0).reshape(2, 3, 1), np.array([[True, False, True], [False] * 3])[..., None], np.ones((2, 1))),
    ),
]
"""With operands that are no floats."""

_WITHOUT = {"ArgMax", "Compare", "Logical", "Position"}
"""Ops whose results are never floats."""

_POSITIVE = {"log", "log1p", "rsqrt", "sqrt", "power"}


def drawn(op: ops.Op, shapes: tuple[tuple[int, ...], ...], seed: int) -> tuple[Array, ...]:
    generator = np.random.default_rng(seed)
    arrays = [generator.normal(size=shape) for shape in shapes]
    if getattr(op, "function", getattr(op, "operation", "")) in _POSITIVE:
        arrays[0] = np.abs(arrays[0]) + 0.3
    if getattr(op, "operation", "") == "divide":
        arrays[1] = np.sign(arrays[1]) * (np.abs(arrays[1]) + 0.3)
    if isinstance(op, ops.Normalize):
        arrays[2] = np.abs(arrays[2]) + 0.3
    return tuple(arrays)


def assert_transposed(op: ops.Op, arrays: tuple[Array, ...], seed: int) -> None:
    """Each operand by itself, in a random direction with a random gradient."""
    generator = np.random.default_rng(seed + 1)
    gradient = generator.normal(size=op.evaluate(*arrays)[0].shape)
    pulled = op.pullback(*arrays, gradient=gradient)
    for at, (array, found) in enumerate(zip(arrays, pulled, strict=True)):
        if array.dtype.kind != "f":
            assert found is None
            continue
        assert found is not None
        assert (found.shape, found.dtype) == (array.shape, np.dtype(np.float64))
        direction, step = generator.normal(size=array.shape), 1e-6
        ahead, behind = (
            op.evaluate(*arrays[:at], array + sign * step * direction, *arrays[at + 1 :])[0] for sign in (1, -1)
        )
        moved = np.sum(gradient * (ahead - behind)) / (2 * step)
        assert np.sum(found * direction) == pytest.approx(moved, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("op", "shapes"), CASES, ids=lambda value: str(value) if isinstance(value, ops.Op) else "")
def test_the_pullback_is_the_transposed_derivative(op: ops.Op, shapes: tuple[tuple[int, ...], ...]) -> None:
    for seed in range(3):
        assert_transposed(op, drawn(op, shapes, seed), seed)


@pytest.mark.parametrize(("op", "arrays"), FIXED, ids=lambda value: value.name if isinstance(value, ops.Op) else "")
def test_operands_that_are_no_floats_get_nothing_and_the_others_theirs(op: ops.Op, arrays: tuple[Array, ...]) -> None:
    assert_transposed(op, arrays, 0)


def test_every_op_that_gives_floats_is_here() -> None:
    here = {op.name for op, _ in CASES} | {op.name for op, _ in FIXED}
    every = {
        name for name in ops.__all__ if isinstance(found := getattr(ops, name), type) and issubclass(found, ops.Op)
    }
    assert every - here - {"Op"} == _WITHOUT


@pytest.mark.parametrize(
    ("op", "arrays"),
    [
        (ops.ArgMax(1), (np.ones((2, 3)),)),
        (ops.Compare("less"), (np.ones(3), np.zeros(3))),
        (ops.Cast("int32"), (np.ones(3),)),
        (ops.Position(0), (np.ones(3),)),
    ],
)
def test_a_result_that_is_no_float_hands_nothing_back(op: ops.Op, arrays: tuple[Array, ...]) -> None:
    gradient = np.ones(op.evaluate(*arrays)[0].shape)
    assert op.pullback(*arrays, gradient=gradient) == (None,) * len(arrays)


@given(st.integers(0, 2**32 - 1), st.lists(st.booleans(), min_size=5, max_size=5))
@settings(deadline=None, max_examples=25)
def test_what_is_not_wanted_is_left_out_and_changes_nothing_else(seed: int, wanted: list[bool]) -> None:
    op, shapes = CASES[-1]
    arrays = drawn(op, shapes, seed)
    gradient = np.random.default_rng(seed).normal(size=op.evaluate(*arrays)[0].shape)
    everything = op.pullback(*arrays, gradient=gradient)
    for found, full, want in zip(
        op.pullback(*arrays, gradient=gradient, wanted=wanted), everything, wanted, strict=True
    ):
        if want:
            assert found is not None
            np.testing.assert_array_equal(found, full)
        else:
            assert found is None


def test_at_a_kink_the_derivative_is_that_on_one_side() -> None:
    one, zero = np.ones(1), np.zeros(1)
    assert ops.Unary("relu").pullback(zero, gradient=one)[0] == 1
    assert ops.Unary("abs").pullback(zero, gradient=one)[0] == 1
    tied = ops.Binary("maximum").pullback(one, one, gradient=one)
    assert [float(found[0]) for found in tied if found is not None] == [1, 0]
    pooled = ops.Pool("max", (2,), (2,)).pullback(np.ones((1, 2, 1)), gradient=np.ones((1, 1, 1)))[0]
    assert pooled is not None
    assert pooled.ravel().tolist() == [1, 0]


def test_nothing_comes_back_through_an_infinite_slope_that_nothing_hangs_on() -> None:
    assert ops.Unary("sqrt").pullback(np.zeros(2), gradient=np.array([0.0, 1.0]))[0].tolist() == [0.0, np.inf]  # type: ignore[union-attr]


def test_an_op_without_a_derivative_says_so() -> None:
    class Strange(ops.Cast):
        def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
            return ops.Op._pullback(self, at, operands, exact, gradient)

    with pytest.raises(ModelError, match="has no derivative here"):
        Strange("float32").pullback(np.ones(2), gradient=np.ones(2))


def test_gradients_add_up_over_all_uses_of_a_value() -> None:
    # x·x + x, of which the derivative is 2x + 1.
    x = np.array([3.0])
    program = [(ops.Binary("multiply"), (0, 0), 1), (ops.Binary("add"), (1, 0), 2)]
    gradients: list[Array | None] = [None, None, np.ones(1)]
    backward(program, [x, x * x, x * x + x], gradients, [True] * 3)
    assert gradients[0] is not None
    assert gradients[0].tolist() == [7.0]


def test_every_op_of_every_step_is_told_of_with_what_came_to_it() -> None:
    # h' = (x + h) + w·w, in three steps: 1, 2 and 3 of the later states hang on the first, second and third product.
    body = (
        ops.ScanStep(ops.Binary("multiply"), (2, 2)),
        ops.ScanStep(ops.Binary("add"), (0, 1)),
        ops.ScanStep(ops.Binary("add"), (4, 3)),
    )
    scan = ops.Scan(1, 1, body, (5,))
    told: list[tuple[str, float]] = []

    def seen(op: ops.Op, operands: tuple[Array, ...], exact: Array, gradient: Array, terms: tuple[int, ...]) -> None:
        told.append((getattr(op, "operation", ""), float(gradient.sum())))

    arrays = (np.ones((1, 3, 1)), np.zeros((1, 1)), np.ones((1, 1)))
    for wanted in ([True] * 3, [True, False, False]):
        told.clear()
        scan.pullback(*arrays, gradient=np.ones((1, 3, 1)), wanted=wanted, seen=seen)
        assert sorted(came for name, came in told if name == "multiply") == [1, 2, 3]
        assert len(told) == 9
