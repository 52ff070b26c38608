"""What each op computes, against its definition written out in plain Python."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import naive
import numpy as np
import pytest

from bittrue import ops
from bittrue.errors import InputError, ModelError
from bittrue.traces import Array


def draw(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def one(op: ops.Op, *arrays: Array) -> Array:
    (result,) = op.evaluate(*arrays)
    return result


SLIDES = [
    ((7,), (3,), (1,), (1,)),
    ((7,), (3,), (2,), (1,)),
    ((8,), (2,), (3,), (1,)),
    ((9,), (3,), (1,), (2,)),
    ((6, 5), (3, 2), (2, 1), (1, 1)),
    ((6, 7), (2, 3), (1, 1), (3, 2)),
    ((4, 5, 3), (2, 3, 1), (2, 1, 2), (1, 1, 1)),
]


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("n", "kernel", "strides", "dilation"), SLIDES)
def test_conv_is_the_sum_over_taps(
    padding: str, n: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> None:
    x, weights = draw(2, *n, 4), draw(*kernel, 2, 6, seed=1)
    slide = getattr(naive.Slide, padding)(n, kernel, strides, dilation)
    found = one(ops.Conv(strides, padding, dilation, groups=2), x, weights)
    np.testing.assert_allclose(found, naive.conv(x, weights, slide, groups=2), rtol=1e-12, atol=1e-12)


def test_conv_pads_by_the_amounts_given() -> None:
    x, weights = draw(1, 5, 2), draw(3, 2, 4, seed=1)
    found = one(ops.Conv((1,), ((3, 1),)), x, weights)
    np.testing.assert_allclose(found, naive.conv(x, weights, naive.Slide((1,), (1,), (3,), (7,))), atol=1e-12)


def test_depthwise_conv_keeps_channels_apart() -> None:
    x, weights = draw(2, 6, 5, 3), draw(2, 2, 1, 6, seed=1)
    slide = naive.Slide.valid((6, 5), (2, 2), (1, 1), (1, 1))
    np.testing.assert_allclose(
        one(ops.Conv((1, 1), groups=3), x, weights), naive.conv(x, weights, slide, 3), atol=1e-12
    )


def test_conv_in_blocks_of_examples_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weights = draw(5, 6, 3), draw(2, 3, 4, seed=1)
    whole = one(ops.Conv((1,)), x, weights)
    monkeypatch.setattr("bittrue.ops.conv._BLOCK", 1)
    np.testing.assert_allclose(one(ops.Conv((1,)), x, weights), whole, rtol=1e-14)


@pytest.mark.parametrize(("n", "kernel", "strides", "dilation"), SLIDES)
def test_conv_transpose_is_the_transpose_of_conv(
    n: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> None:
    forward = naive.Slide.same(n, kernel, strides, dilation)
    y, weights = draw(2, *forward.sizes, 3), draw(*kernel, 4, 3, seed=1)
    back = naive.Slide(strides, dilation, forward.low, n)
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    full = [(o - 1) * s + e for o, s, e in zip(forward.sizes, strides, extents, strict=True)]
    crop = tuple((low, f - low - size) for low, f, size in zip(forward.low, full, n, strict=True))
    found = one(ops.ConvTranspose(strides, crop, dilation), y, weights)
    np.testing.assert_allclose(found, naive.conv_transpose(y, weights, back), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize(("n", "size", "strides", "dilation"), [slide for slide in SLIDES if max(slide[3]) == 1])
def test_pool_counts_only_what_lies_inside(
    padding: str,
    kind: str,
    n: tuple[int, ...],
    size: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> None:
    x = draw(2, *n, 3) - 5
    slide = getattr(naive.Slide, padding)(n, size, strides, dilation)
    found = one(ops.Pool(kind, size, strides, padding), x)
    np.testing.assert_allclose(found, naive.pool(x, kind, size, slide), rtol=1e-12)


def test_matmul_is_exact_where_float64_is() -> None:
    a, b = np.round(draw(3, 4) * 8), np.round(draw(4, 2, seed=1) * 8)
    for i, j in product(range(3), range(2)):
        exact = sum(Fraction(float(a[i, k])) * Fraction(float(b[k, j])) for k in range(4))
        assert Fraction(float(one(ops.MatMul(), a, b)[i, j])) == exact


def test_matmul_broadcasts_leading_axes() -> None:
    a, b = draw(2, 1, 3, 4), draw(5, 4, 6, seed=1)
    found = one(ops.MatMul(), a, b)
    np.testing.assert_allclose(found[1, 4], a[1, 0].astype(np.float64) @ b[4], rtol=1e-12)


def test_einsum_sums_over_letters_that_vanish() -> None:
    a, b = draw(2, 3, 4), draw(4, 5, seed=1)
    found = one(ops.Einsum("bij,jk->kbi"), a, b)
    assert found.shape == (5, 2, 3)
    expected = math.fsum(float(a[1, 2, j]) * float(b[j, 3]) for j in range(4))
    assert found[3, 1, 2] == pytest.approx(expected, rel=1e-14)


SCALARS = {
    "abs": abs,
    "ceil": math.ceil,
    "cos": math.cos,
    "erf": math.erf,
    "exp": math.exp,
    "expm1": math.expm1,
    "floor": math.floor,
    "log": math.log,
    "log1p": math.log1p,
    "negative": lambda x: -x,
    "relu": lambda x: x if x > 0 else 0.0,
    "round": round,
    "rsqrt": lambda x: 1 / math.sqrt(x),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "sign": lambda x: math.copysign(1, x),
    "sin": math.sin,
    "softplus": lambda x: math.log1p(math.exp(x)),
    "sqrt": math.sqrt,
    "square": lambda x: x * x,
    "tanh": math.tanh,
}


@pytest.mark.parametrize("name", sorted(ops.unary.FUNCTIONS))
def test_every_function_is_the_one_of_its_name(name: str) -> None:
    points = [0.1, 0.5, 1.0, 1.5, 2.5, 9.75]
    points += [] if name in ("log", "log1p", "rsqrt", "sqrt") else [-0.25, -1.5, -9.75]
    found = one(ops.Unary(name), np.array(points))
    np.testing.assert_allclose(found, [SCALARS[name](x) for x in points], rtol=1e-14)


@pytest.mark.parametrize(("name", "low", "high"), [("sigmoid", 0.0, 1.0), ("tanh", -1.0, 1.0), ("softplus", 0.0, 1e4)])
def test_functions_do_not_overflow_far_out(name: str, low: float, high: float) -> None:
    np.testing.assert_array_equal(one(ops.Unary(name), np.array([-1e4, 1e4])), [low, high])


BINARIES = {
    "add": lambda a, b: a + b,
    "divide": lambda a, b: a / b,
    "maximum": max,
    "minimum": min,
    "multiply": lambda a, b: a * b,
    "power": lambda a, b: a**b,
    "subtract": lambda a, b: a - b,
}


@pytest.mark.parametrize("name", sorted(ops.binary.OPERATIONS))
def test_every_operation_broadcasts_and_is_the_one_of_its_name(name: str) -> None:
    a, b = np.abs(draw(2, 1, 3)), np.abs(draw(4, 1, seed=1))
    found = one(ops.Binary(name), a, b)
    expected = [
        [[BINARIES[name](float(a[i, 0, k]), float(b[j, 0])) for k in range(3)] for j in range(4)] for i in range(2)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


RELATIONS = {"equal": "==", "greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<=", "not_equal": "!="}


@pytest.mark.parametrize("name", sorted(ops.compare.RELATIONS))
def test_every_relation_is_the_one_of_its_name(name: str) -> None:
    a, b = np.array([1.0, 2.0, 2.0]), np.array([2.0, 2.0, 1.0])
    expected = [eval(f"{x} {RELATIONS[name]} {y}") for x, y in zip(a, b, strict=True)]
    np.testing.assert_array_equal(one(ops.Compare(name), a, b), expected)


def test_select_takes_from_either_side() -> None:
    found = one(ops.Select(), np.array([[True], [False]]), np.array([1.0, 2.0]), np.array(0.0))
    np.testing.assert_array_equal(found, [[1, 2], [0, 0]])


@pytest.mark.parametrize(
    ("kind", "expected"), [("sum", [3.0, 12.0]), ("mean", [1.0, 4.0]), ("max", [2.0, 5.0]), ("min", [0.0, 3.0])]
)
def test_reduce_along_the_last_axis(kind: str, expected: list[float]) -> None:
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(one(ops.Reduce(kind, (-1,)), x), expected)
    np.testing.assert_array_equal(one(ops.Reduce(kind, (1,), keepdims=True), x), [[e] for e in expected])


def test_softmax_is_the_ratio_of_exponentials_and_survives_large_logits() -> None:
    x = np.array([[1000.0, 1001.0, 998.0]])
    e = [math.exp(v) for v in (-1, 0, -3)]
    np.testing.assert_allclose(one(ops.Softmax(), x)[0], [v / sum(e) for v in e], rtol=1e-14)


def test_normalize_by_given_statistics() -> None:
    found = one(ops.Normalize(0.5), *(np.array([v]) for v in (3.0, 1.0, 3.5, 4.0, 10.0)))
    assert found[0] == 14.0


def test_reshape_keeps_leading_axes() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    assert one(ops.Reshape((-1,)), x).shape == (2, 12)
    assert one(ops.Reshape((2, -1), keep=2), x)[1, 2, 1, 0] == x[1, 2, 2]


def test_moving_ops_move() -> None:
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(one(ops.Transpose((1, 0)), x), [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(one(ops.Concat(1), x, x[:, :1]), [[0, 1, 2, 0], [3, 4, 5, 3]])
    np.testing.assert_array_equal(one(ops.Pad(((0, 1), (1, 0)), 9.0), x), [[9, 0, 1, 2], [9, 3, 4, 5], [9, 9, 9, 9]])
    np.testing.assert_array_equal(one(ops.Slice(1, 1, None), x), [[1, 2], [4, 5]])
    np.testing.assert_array_equal(one(ops.Repeat(0, 2), x), [[0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]])
    np.testing.assert_array_equal(one(ops.Cast("int32"), np.array([-1.7, 1.7])), [-1, 1])


@pytest.mark.parametrize("kind", ["linear", "nearest"])
@pytest.mark.parametrize(("given", "wanted"), [((5, 4), (7, 9)), ((7, 6), (3, 4)), ((5, 4), (10, 2)), ((5,), (5,))])
def test_resize_samples_at_the_centres(kind: str, given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    x = draw(2, *given, 3)
    found = one(ops.Resize(kind, wanted), x)
    np.testing.assert_allclose(found, naive.resize(x, kind, wanted), rtol=1e-12, atol=1e-12)


def test_resize_by_factors_is_resize_to_the_size_they_make() -> None:
    x = draw(1, 3, 4, 2)
    np.testing.assert_array_equal(one(ops.Resize("linear", factors=(2, 3)), x), one(ops.Resize("linear", (6, 12)), x))


@pytest.mark.parametrize(("name", "expected"), [("and", [0, 0, 0, 1]), ("or", [0, 1, 1, 1]), ("xor", [0, 1, 1, 0])])
def test_connectives(name: str, expected: list[int]) -> None:
    a, b = np.array([False, False, True, True]), np.array([False, True, False, True])
    np.testing.assert_array_equal(one(ops.Logical(name), a, b), np.array(expected, bool))
    np.testing.assert_array_equal(one(ops.Logical("not"), a), [True, True, False, False])


def test_broadcast_position_and_argmax() -> None:
    x = np.array([[3.0, 1.0, 3.0], [0.0, 2.0, 1.0]])
    np.testing.assert_array_equal(one(ops.Broadcast((2, 2, 3)), x[:1]), [[[3, 1, 3]] * 2] * 2)
    np.testing.assert_array_equal(one(ops.Position(-1), x), [[0, 1, 2]])
    np.testing.assert_array_equal(one(ops.Position(0), x), [[0], [1]])
    np.testing.assert_array_equal(one(ops.ArgMax(1), x), [0, 1])
    np.testing.assert_array_equal(one(ops.ArgMax(0), x), [0, 1, 0])


DECAY = ops.Scan(
    1,
    2,
    (
        ops.ScanStep(ops.Binary("multiply"), (1, 3)),
        ops.ScanStep(ops.Binary("add"), (4, 0)),
        ops.ScanStep(ops.Binary("subtract"), (2, 5)),
    ),
    (5, 6),
)
"""a = factor · a + x; b = b - a."""


def test_scan_loops_over_time() -> None:
    x = np.array([[[1.0], [2.0], [3.0]], [[0.0], [1.0], [0.0]]])
    found = one(DECAY, x, np.array([[4.0]]), np.zeros((2, 1)), np.array(0.5))
    np.testing.assert_array_equal(found[0], [[3.0, -3.0], [3.5, -6.5], [4.75, -11.25]])
    np.testing.assert_array_equal(found[1], [[2.0, -2.0], [2.0, -4.0], [1.0, -5.0]])


@pytest.mark.parametrize(
    ("shapes", "reason"), [([(2, 0, 1), (1, 1), (1, 1), ()], "empty"), ([(2,), (1, 1), (1, 1), ()], "time axis")]
)
def test_scan_needs_steps(shapes: list[tuple[int, ...]], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        DECAY.evaluate(*(np.zeros(shape) for shape in shapes))


def test_gather_takes_rows_and_refuses_numbers_outside() -> None:
    table = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(one(ops.Gather(), table, np.array([[2, 0]])), [[[4, 5], [0, 1]]])
    with pytest.raises(InputError, match="holds the number 3"):
        one(ops.Gather(), table, np.array([0, 3]))


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (ops.MatMul(), [(2, 3), (4, 5)]),
        (ops.Conv((1,)), [(1, 5, 3), (2, 4, 6)]),
        (ops.Conv((1,)), [(1, 2, 3), (5, 3, 6)]),
        (ops.Pool("max", (3,), (1,)), [(1, 2, 3)]),
        (ops.Binary("add"), [(2, 3), (2, 4)]),
        (ops.Reshape((5,)), [(2, 6)]),
        (ops.Reshape((4, -1)), [(2, 6)]),
        (ops.Transpose((1, 0)), [(2, 3, 4)]),
        (ops.Concat(0), [(2, 3), (2, 4)]),
        (ops.Reduce("sum", (2,)), [(2, 3)]),
        (ops.Einsum("ab,bc->ac"), [(2, 3), (4, 2)]),
        (ops.Broadcast((2, 4)), [(3,)]),
        (ops.Position(2), [(2, 3)]),
        (ops.ArgMax(-3), [(2, 3)]),
        (ops.Resize("linear", (2, 2)), [(2, 3, 1)]),
        (ops.Logical("and"), [(2, 3), (2, 3)]),
        (ops.Normalize(0.1), [(3,), (2, 3), (3,), (3,), (3,)]),
    ],
)
def test_shapes_that_do_not_fit_are_refused_in_one_sentence(op: ops.Op, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(ModelError, match=rf"^{op.name}.* cannot take float64\("):
        op.evaluate(*(np.zeros(shape) for shape in shapes))
