"""No float32 computation lies outside the bound, in whatever order it sums; and the bound is not idle."""

from __future__ import annotations

from collections.abc import Callable

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bittrue import ops
from bittrue.diagnosis import ARITHMETICS
from bittrue.ops import Allowance, Axioms
from bittrue.traces import Array

AXIOMS = Axioms()
U = 2.0**-24


def draw(*shape: int, seed: int, scale: float = 1.0) -> Array:
    generator = np.random.default_rng(seed)
    # Magnitudes over several decades make the order of summation matter.
    return (generator.normal(size=shape) * 10 ** generator.uniform(-3, 3, size=shape) * scale).astype(np.float32)


def ascending(terms: Array) -> np.float32:
    total = np.float32(0)
    for term in terms:
        total = np.float32(total + term)
    return total


def pairwise(terms: Array) -> np.float32:
    while len(terms) > 1:
        terms = np.concatenate([terms[0:-1:2] + terms[1::2], terms[len(terms) // 2 * 2 :]])
    return np.float32(terms[0])


def fused(a: Array, b: Array) -> np.float32:
    total = np.float32(0)
    for x, y in zip(a, b, strict=True):
        total = np.float32(float(x) * float(y) + float(total))
    return total


ORDERS: dict[str, Callable[[Array, Array], np.float32]] = {
    "ascending": lambda a, b: ascending(a * b),
    "descending": lambda a, b: ascending((a * b)[::-1]),
    "by size": lambda a, b: ascending(np.array(sorted(a * b, key=abs), np.float32)),
    "pairwise": lambda a, b: pairwise(a * b),
    "fused": fused,
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(5))
def test_products_in_any_order_stay_within(order: str, seed: int) -> None:
    a, b = draw(4, 97, seed=seed), draw(97, 5, seed=seed + 1000)
    computed = np.array([[ORDERS[order](a[i], b[:, j]) for j in range(5)] for i in range(4)])
    op = ops.MatMul()
    assert np.all(np.abs(computed - op.evaluate(a, b)[0]) <= op.error_bound(AXIOMS, a, b))


def test_the_bound_of_a_product_is_gamma_of_its_length() -> None:
    a, b = draw(3, 50, seed=1), draw(50, 2, seed=2)
    bound = ops.MatMul().error_bound(AXIOMS, a, b)
    magnitudes = np.abs(a).astype(np.float64) @ np.abs(b)
    assert np.all(bound >= 50 * U * magnitudes)
    assert np.all(bound <= 52 * U * magnitudes)


def test_the_worst_case_is_nearly_reached_so_a_smaller_bound_would_be_wrong() -> None:
    # 1 + u + u + ...: every term is lost in turn, all in one direction.
    terms = np.array([1.0] + [U * 0.999] * 200, np.float32)[None]
    ones = np.ones((201, 1), np.float32)
    error = abs(float(ascending(terms[0])) - ops.MatMul().evaluate(terms, ones)[0][0, 0])
    assert 0.9 * 200 * U < error <= ops.MatMul().error_bound(AXIOMS, terms, ones)[0, 0]


@pytest.mark.parametrize("seed", range(5))
def test_convolution_stays_within(seed: int) -> None:
    x, kernel = draw(1, 6, 5, 4, seed=seed), draw(3, 2, 2, 6, seed=seed + 1)
    op = ops.Conv((2, 1), "same", groups=2)
    slide = naive.Slide.same((6, 5), (3, 2), (2, 1), (1, 1))
    rounded = np.zeros((1, 3, 5, 6), np.float32)
    for tap in np.ndindex(3, 2):
        part = np.zeros_like(kernel)
        part[tap] = kernel[tap]
        rounded += naive.conv(x, part, slide, groups=2).astype(np.float32)
    assert np.all(np.abs(rounded - op.evaluate(x, kernel)[0]) <= op.error_bound(AXIOMS, x, kernel))
    assert op.reduction_length(x.shape, kernel.shape) == 3 * 2 * 2


@pytest.mark.parametrize("op", [ops.Reduce("sum", (1,)), ops.Reduce("mean", (1,))], ids=lambda op: op.kind)
@pytest.mark.parametrize("order", [ascending, pairwise, lambda t: ascending(t[::-1])])
def test_sums_and_means_stay_within(op: ops.Reduce, order: Callable[[Array], np.float32]) -> None:
    x = draw(50, 300, seed=3)
    computed = np.array([order(row) for row in x])
    reciprocal = computed * np.float32(1 / 300)
    for result in [computed] if op.kind == "sum" else [computed / np.float32(300), reciprocal]:
        assert np.all(np.abs(result - op.evaluate(x)[0]) <= op.error_bound(AXIOMS, x))


def test_average_pooling_stays_within() -> None:
    x = draw(3, 9, 4, seed=5)
    op = ops.Pool("average", (3,), (1,))
    computed = ((x[:, :-2] + x[:, 1:-1]) + x[:, 2:]) / np.float32(3)
    assert np.all(np.abs(computed - op.evaluate(x)[0]) <= op.error_bound(AXIOMS, x))


@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide"])
def test_arithmetic_is_within_half_an_ulp(operation: str) -> None:
    a, b = draw(1000, seed=1), draw(1000, seed=2)
    op = ops.Binary(operation)
    computed = ops.binary.OPERATIONS[operation](a, b)
    exact = op.evaluate(a, b)[0]
    bound = op.error_bound(AXIOMS, a, b)
    assert np.all(np.abs(computed - exact) <= bound)
    assert np.all(bound <= 1.01 * U * np.abs(exact) + 2.0**-126)


@pytest.mark.parametrize(
    "function", ["exp", "tanh", "sigmoid", "erf", "log", "expm1", "log1p", "softplus", "sin", "rsqrt"]
)
def test_a_function_off_by_what_it_is_allowed_stays_within(function: str) -> None:
    x = np.abs(draw(500, seed=4, scale=0.1)) if function in ("log", "log1p", "rsqrt") else draw(500, seed=4, scale=0.01)
    axioms = Axioms(function=Allowance(3), functions={})
    exact = ops.Unary(function).evaluate(x)[0]
    rounded = exact.astype(np.float32)
    off = rounded + 2 * np.spacing(rounded)
    bound = ops.Unary(function).error_bound(axioms, x)
    assert np.all(np.abs(off - exact) <= bound)
    assert np.all(bound <= 3.1 * 2 * U * np.abs(exact) + 2.0**-125)


def softmax_in_float32(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / np.array([[ascending(row)] for row in e])


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_softmax_stays_within(scale: float) -> None:
    x = (np.random.default_rng(7).normal(size=(40, 200)) * scale).astype(np.float32)
    op = ops.Softmax()
    assert np.all(np.abs(softmax_in_float32(x) - op.evaluate(x)[0]) <= op.error_bound(AXIOMS, x))


def scanned(steps: int) -> tuple[ops.Scan, list[Array]]:
    """h = tanh(x + h @ kernel), looped."""
    body = (
        ops.ScanStep(ops.MatMul(), (1, 2)),
        ops.ScanStep(ops.Binary("add"), (0, 3)),
        ops.ScanStep(ops.Unary("tanh"), (4,)),
    )
    generator = np.random.default_rng(11)
    shapes = ((3, steps, 4), (1, 4), (4, 4))
    return ops.Scan(1, 1, body, (5,)), [generator.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_a_loop_stays_within(steps: int) -> None:
    op, (x, h, kernel) = scanned(steps)
    bound, exact = op.error_bound(AXIOMS, x, h, kernel), op.evaluate(x, h, kernel)[0]
    for at in range(steps):
        h = np.tanh(x[:, at] + h @ kernel)
        assert np.all(np.abs(h - exact[:, at]) <= bound[:, at])


def test_the_bound_of_a_loop_is_that_of_its_ops_one_after_the_other() -> None:
    op, (x, h, kernel) = scanned(2)
    error: Array | float = 0.0
    state: Array = h.astype(np.float64)
    for at in range(2):
        pieces = ops.MatMul().error_bound(AXIOMS, state, kernel, errors=(np.broadcast_to(error, state.shape), 0.0))
        product = ops.MatMul().evaluate(state, kernel)[0]
        total = ops.Binary("add").evaluate(x[:, at], product)[0]
        error = ops.Binary("add").error_bound(AXIOMS, x[:, at], product, errors=(0.0, pieces), terms=(0, 4))
        error = ops.Unary("tanh").error_bound(AXIOMS, total, errors=(error,))
        state = np.tanh(total)
    np.testing.assert_array_equal(op.error_bound(AXIOMS, x, h, kernel)[:, 1], error)
    assert op.reduction_length(x.shape, h.shape, kernel.shape) == 4


def begun_with(bias: Array, terms: Array) -> Array:
    """The sum over the last axis in float32, one after the other, from ``bias`` on."""
    total = bias
    for at in range(terms.shape[-1]):
        total = total + terms[..., at]
    return total


def test_a_sum_that_begins_with_the_bias_stays_within_and_needs_what_it_is_given() -> None:
    # Each product is lost in the bias: none of them moves it by half an ulp. Fifty ulps are lost together.
    bias, kernel = np.ones((1, 3), np.float32), np.full((125, 3), 0.4 * 2.0**-23, np.float32)
    x = np.ones((1, 125), np.float32)
    products = ops.MatMul().error_bound(AXIOMS, x, kernel)
    exact = ops.MatMul().evaluate(x, kernel)[0]
    op, errors = ops.Binary("add"), (products, 0.0)
    error = np.abs(begun_with(bias, (x[:, None, :] * kernel.T).astype(np.float32)) - op.evaluate(exact, bias)[0])
    unfinished = ops.MatMul().unfinished_terms((0, 0), x.shape, kernel.shape)
    assert np.all(error <= op.error_bound(AXIOMS, exact, bias, errors=errors, terms=(unfinished, 0)))
    assert np.all(error > op.error_bound(AXIOMS, exact, bias, errors=errors))
    assert op.unfinished_terms((unfinished, 0), exact.shape, bias.shape) == 126


def test_only_what_moves_a_sum_leaves_it_open() -> None:
    shape = (2, 6)
    assert ops.Reshape((3, 2), 1).unfinished_terms((9,), shape) == 9
    assert ops.Binary("add").unfinished_terms((0, 0), shape, shape) == 0
    assert ops.Binary("multiply").unfinished_terms((9, 0), shape, shape) == 0
    assert ops.Unary("tanh").unfinished_terms((9,), shape) == 0
    one = np.ones(shape)
    closed = ops.Binary("multiply").error_bound(AXIOMS, one, one)
    np.testing.assert_array_equal(ops.Binary("multiply").error_bound(AXIOMS, one, one, terms=(9, 0)), closed)


@pytest.mark.parametrize("wanted", [(7, 9), (3, 2), (10, 4)])
def test_interpolation_in_float32_stays_within(wanted: tuple[int, int]) -> None:
    x = draw(2, 5, 4, 3, seed=3)
    op, y = ops.Resize("linear", wanted), x
    for axis, n in enumerate(wanted, 1):
        size = y.shape[axis]
        place = (np.arange(n, dtype=np.float32) + np.float32(0.5)) * (np.float32(size) / np.float32(n)) - np.float32(
            0.5
        )
        low = np.floor(place)
        share = (place - low).astype(np.float32).reshape(-1, *(1,) * (3 - axis))
        a, b = (np.take(y, np.clip(low.astype(int) + step, 0, size - 1), axis=axis) for step in (0, 1))
        y = a + (b - a) * share
    assert y.dtype == np.float32
    assert np.all(np.abs(y - op.evaluate(x)[0]) <= op.error_bound(AXIOMS, x))


def test_the_nearest_element_is_in_doubt_only_between_two() -> None:
    x = np.arange(4.0).reshape(1, 4, 1)
    # Places 2/3, 2 and 10/3: the second lies on the border of elements 1 and 2.
    bound = ops.Resize("nearest", (3,)).error_bound(AXIOMS, x)
    assert list(bound.ravel() > 0) == [False, True, False]
    assert bound[0, 1, 0] >= 1


def test_a_largest_element_in_doubt_may_stand_elsewhere() -> None:
    x, errors = np.array([[1.0, 0.0, 0.9, 0.5]]), (np.full((1, 4), 0.06),)
    assert ops.ArgMax(1).error_bound(AXIOMS, x, errors=errors) == 2
    assert ops.ArgMax(1).error_bound(AXIOMS, x) == 0


@pytest.mark.parametrize(("name", "doubts"), [("and", [0, 0, 0, 1]), ("or", [1, 1, 0, 0]), ("xor", [1, 1, 1, 1])])
def test_a_doubt_passes_a_connective_only_where_it_decides(name: str, doubts: list[int]) -> None:
    doubtful, sure = np.array([False, True, False, True]), np.array([False, False, True, True])
    if name == "and":
        sure = np.array([False, False, False, True])
    bound = ops.Logical(name).error_bound(AXIOMS, doubtful, sure, errors=(np.ones(4), np.zeros(4)))
    np.testing.assert_array_equal(bound, doubts)


def test_a_logit_that_weighs_nothing_moves_no_other() -> None:
    x, errors = np.array([[1.0, 2.0, -1e9]]), (np.array([[0.0, 0.0, 60.0]]),)
    assert np.max(ops.Softmax().error_bound(AXIOMS, x, errors=errors)) < 1e-5


def test_both_ways_to_normalise_stay_within() -> None:
    x, mean, scale, shift = (draw(64, seed=s) for s in range(4))
    variance = np.abs(draw(64, seed=9))
    op = ops.Normalize(1e-3)
    bound = op.error_bound(AXIOMS, x, mean, variance, scale, shift)
    exact = op.evaluate(x, mean, variance, scale, shift)[0]
    inverse = scale / np.sqrt(variance + np.float32(1e-3))
    for computed in ((x - mean) * inverse + shift, x * inverse + (shift - mean * inverse)):
        assert computed.dtype == np.float32
        assert np.all(np.abs(computed - exact) <= bound)


def test_what_only_moves_values_has_no_error() -> None:
    x = draw(3, 4, seed=1)
    for op in (
        ops.Reshape((2, 2)),
        ops.Transpose((1, 0)),
        ops.Pad(((1, 1), (0, 0))),
        ops.Unary("relu"),
        ops.Slice(0, 1, None),
    ):
        assert not op.error_bound(AXIOMS, x).any()


def test_flushed_operands_and_results_are_allowed_for() -> None:
    tiny = np.array([2.0**-130], np.float32)
    big = np.array([2.0**100], np.float32)
    for op, a, b in (
        (ops.Binary("add"), tiny, tiny),
        (ops.Binary("multiply"), tiny, big),
        (ops.MatMul(), tiny[None], big[None]),
    ):
        exact = op.evaluate(a, b)[0]
        assert np.all(np.abs(0.0 - exact) <= op.error_bound(AXIOMS, a, b))
    assert ops.Reshape((1,), keep=0).error_bound(AXIOMS, tiny) >= 2.0**-130


def test_nothing_is_promised_where_it_may_overflow() -> None:
    big = np.array([[3e38, -3e38]], np.float32)
    assert np.isinf(ops.MatMul().error_bound(AXIOMS, big, np.ones((2, 1), np.float32)))
    assert np.isinf(ops.Binary("multiply").error_bound(AXIOMS, big, big)).all()


CARRYING = [
    ops.Unary("exp"),
    ops.Unary("tanh"),
    ops.Unary("abs"),
    ops.Unary("square"),
    ops.Unary("sigmoid"),
    ops.Unary("erf"),
    ops.Unary("softplus"),
    ops.Unary("sin"),
    ops.Unary("relu"),
    ops.Softmax(),
    ops.Reduce("mean", (1,)),
    ops.Reduce("max", (1,)),
    ops.Transpose((1, 0)),
    ops.Pad(((1, 0), (0, 2))),
    ops.Binary("add"),
    ops.Binary("multiply"),
    ops.Binary("divide"),
    ops.Binary("maximum"),
    ops.Binary("subtract"),
    ops.Normalize(0.1),
    ops.Broadcast((2, 3, 4)),
    ops.Position(1),
    ops.ArgMax(1),
]


@given(st.sampled_from(CARRYING), st.integers(0, 2**32 - 1), st.sampled_from([1e-6, 1e-2, 1.0]))
@settings(deadline=None, max_examples=300)
def test_operands_that_moved_move_the_result_no_further_than_the_bound(op: ops.Op, seed: int, size: float) -> None:
    generator = np.random.default_rng(seed)
    count = op.arity[0]
    arrays = [generator.normal(size=(3, 4)) for _ in range(count)]
    if isinstance(op, ops.Normalize):
        arrays[2] = np.abs(arrays[2])
    errors = tuple(np.abs(generator.normal(size=(3, 4))) * size for _ in range(count))
    moved = [a + np.sign(generator.normal(size=(3, 4))) * e for a, e in zip(arrays, errors, strict=True)]
    if isinstance(op, ops.Normalize):
        moved[2] = np.maximum(moved[2], 0)
    bound = op.error_bound(AXIOMS, *arrays, errors=errors)
    change = np.abs(op.evaluate(*moved)[0] - op.evaluate(*arrays)[0])
    assert np.all(change <= bound + 1e-14 * (1 + change))  # moved by no more than that, but for float64's own rounding


def test_a_comparison_in_doubt_costs_the_difference_of_both_branches() -> None:
    x = np.array([1e-3, 1.0])
    doubt = ops.Compare("greater").error_bound(AXIOMS, x, np.zeros(2), errors=(np.full(2, 1e-2), 0.0))
    np.testing.assert_array_equal(doubt, [1, 0])
    bound = ops.Select().error_bound(AXIOMS, x > 0, x, x * 5, errors=(doubt, 0.0, 0.0))
    np.testing.assert_allclose(bound, [4e-3, 0.0])


def test_a_maximum_over_a_window_promises_nothing_where_a_nan_is_in_it() -> None:
    """NaN compares as neither greater nor smaller: what a window makes of it depends on the comparison."""
    x = np.array([1.0, np.nan, 2.0, 3.0, 4.0])[None, :, None]
    bound = ops.Pool("max", (2,), (1,)).error_bound(Axioms(), x)
    assert bound[0, :, 0].tolist() == [np.inf, np.inf, 0.0, 0.0]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_power_by_logarithms_as_bad_as_wgsl_allows_stays_within(sign: float) -> None:
    """exp2(y · log2(x)), each step as far off as the specification lets it be, all to one side."""
    generator = np.random.default_rng(3)
    x = np.concatenate([generator.uniform(0.5, 2, 4000), np.exp2(generator.uniform(-12, 12, 4000))])
    y = generator.uniform(-6, 6, x.size) * generator.choice([0.1, 1.0], x.size)
    ulp = 2.0**-23
    near = (x >= 0.5) & (x <= 2)
    log2 = np.log2(x)
    log2 = log2 + sign * np.sign(y) * np.where(near, 2.0**-21, 3 * ulp * np.abs(log2))
    exponent = y * log2
    exponent = exponent + sign * ulp * np.abs(exponent)
    computed = np.exp2(exponent) * (1 + sign * (3 + 2 * np.abs(exponent)) * ulp)
    op = ops.Binary("power")
    bound = op.error_bound(ARITHMETICS["tfjs:webgpu"].axioms, x, y)
    off = np.abs(computed - op.evaluate(x, y)[0])
    assert np.all(off <= bound)
    assert np.median(bound / off) < 4  # no wider than it has to be
