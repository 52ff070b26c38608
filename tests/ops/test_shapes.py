"""`infer` tells the shape and dtype that `evaluate` delivers, and leaves unknown what it cannot know."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bittrue import ops
from bittrue.ops import TensorSpec

SIZE = st.integers(1, 6)
FLOAT = np.dtype(np.float32)


def check(op: ops.Op, *shapes: tuple[int, ...]) -> None:
    """The shape found in advance is the shape delivered, with any one size unknown and with none."""
    arrays = [np.ones(shape, np.float32) for shape in shapes]
    (result,) = op.evaluate(*arrays)
    (known,) = op.infer(*(TensorSpec(shape, FLOAT) for shape in shapes))
    assert known.shape == result.shape
    hidden = [TensorSpec((None, *shape[1:]), FLOAT) for shape in shapes[:1]]
    (partly,) = op.infer(*hidden, *(TensorSpec(shape, FLOAT) for shape in shapes[1:]))
    assert len(partly.shape) == result.ndim
    assert all(want in (None, have) for want, have in zip(partly.shape, result.shape, strict=True))


@given(st.data(), st.integers(1, 3), st.sampled_from(["valid", "same"]))
@settings(deadline=None, max_examples=80)
def test_conv_and_pool(data: st.DataObject, spatial: int, padding: str) -> None:
    kernel = tuple(data.draw(st.integers(1, 3)) for _ in range(spatial))
    strides = tuple(data.draw(st.integers(1, 3)) for _ in range(spatial))
    dilation = tuple(data.draw(st.integers(1, 2)) for _ in range(spatial))
    n = tuple((k - 1) * d + 1 + data.draw(st.integers(0, 3)) for k, d in zip(kernel, dilation, strict=True))
    groups, depth, each = data.draw(SIZE), data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    x = (data.draw(SIZE), *n, groups * depth)
    check(ops.Conv(strides, padding, dilation, groups), x, (*kernel, depth, groups * each))
    check(ops.Pool("average", kernel, strides, padding), x)
    check(ops.Resize("linear", factors=strides), x)
    check(ops.Resize("nearest", kernel), x)
    check(ops.ConvTranspose(strides, ((0, -1),) * spatial, dilation), x, (*kernel, each, groups * depth))


@given(st.lists(SIZE, min_size=1, max_size=4), st.data())
@settings(deadline=None)
def test_ops_on_any_rank(sizes: list[int], data: st.DataObject) -> None:
    shape, rank = tuple(sizes), len(sizes)
    axis = data.draw(st.integers(-rank, rank - 1))
    axes = tuple(data.draw(st.sets(st.integers(0, rank - 1), min_size=1)))
    check(ops.Reduce("mean", axes, data.draw(st.booleans())), shape)
    check(ops.Softmax(axis), shape)
    check(ops.Transpose(tuple(data.draw(st.permutations(range(rank))))), shape)
    check(ops.Slice(axis, data.draw(st.integers(0, 2)), data.draw(st.integers(3, 6))), shape)
    check(ops.Repeat(axis, 3), shape)
    check(ops.Pad(((1, 2),) * rank), shape)
    check(ops.Concat(axis), shape, shape)
    check(ops.Reshape((-1,), keep=data.draw(st.integers(0, rank))), shape)
    check(ops.MatMul(), shape, (shape[-1], 3))
    check(ops.Position(axis), shape)
    check(ops.ArgMax(axis), shape)
    check(ops.Broadcast((2, *shape)), shape)


@given(st.lists(st.tuples(SIZE, st.booleans(), st.booleans()), min_size=1, max_size=4))
def test_broadcasting_is_numpys(sizes: list[tuple[int, bool, bool]]) -> None:
    first = tuple(1 if one else size for size, one, _ in sizes)
    second = tuple(1 if one else size for size, _, one in sizes)
    check(ops.Binary("multiply"), first, second)


def test_numbers_stay_in_the_width_of_the_tensor_beside_them() -> None:
    half, single = TensorSpec((2,), np.dtype(np.float16)), TensorSpec((2,), FLOAT)
    integer = TensorSpec((2,), np.dtype(np.int32))
    assert ops.Binary("add").infer(half, single)[0].dtype == np.float32
    assert ops.Binary("add").infer(integer, half)[0].dtype == np.float16
    assert ops.Compare("less").infer(single, single)[0].dtype == np.bool_


@given(SIZE, SIZE, SIZE)
def test_scan(batch: int, time: int, width: int) -> None:
    steps = (ops.ScanStep(ops.MatMul(), (1, 2)), ops.ScanStep(ops.Binary("add"), (0, 3)))
    check(ops.Scan(1, 1, steps, (4,)), (batch, time, width), (1, width), (width, width))
