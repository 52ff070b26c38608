"""What rounding is expected to do, beside what it can do at most."""

from __future__ import annotations

import numpy as np
import pytest

from bittrue import ops
from bittrue.ops import Allowance, Axioms
from bittrue.ops.variance import ROUNDING, coherent, repeats
from bittrue.traces import Array

AXIOMS = Axioms()
RNG = np.random.default_rng(0)


def drawn(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


_BODY = (ops.ScanStep(ops.Binary("add"), (0, 1)), ops.ScanStep(ops.Unary("tanh"), (2,)))

CASES = [
    (ops.MatMul(), (drawn(4, 9), drawn(9, 5))),
    (ops.Conv((1, 1), "same"), (drawn(1, 6, 6, 2), drawn(3, 3, 2, 4))),
    (ops.Conv((1, 1), groups=4), (drawn(1, 6, 6, 4), drawn(3, 3, 1, 4))),
    (ops.ConvTranspose((2, 2), ((0, 0), (0, 0))), (drawn(1, 3, 3, 2), drawn(3, 3, 4, 2))),
    (ops.Einsum("abc,cd->abd"), (drawn(2, 3, 7), drawn(7, 4))),
    (ops.Reduce("mean", (1,)), (drawn(3, 50),)),
    (ops.Pool("average", (2, 2), (1, 1)), (drawn(1, 5, 5, 3),)),
    (ops.Softmax(), (drawn(3, 10),)),
    (ops.Normalize(1e-3), (drawn(4, 6), drawn(1, 6), np.abs(drawn(1, 6)), drawn(1, 6), drawn(1, 6))),
    (ops.Resize("linear", (7, 7)), (drawn(1, 4, 4, 2),)),
    (ops.Unary("exp"), (drawn(30),)),
    (ops.Binary("divide"), (drawn(30), drawn(30))),
    (ops.Scan(1, 1, _BODY, (3,)), (drawn(2, 5, 3), drawn(2, 3))),
]


@pytest.mark.parametrize(("op", "arrays"), CASES, ids=lambda value: getattr(value, "name", ""))
def test_what_is_expected_is_more_than_nothing_and_less_than_what_is_possible(
    op: ops.Op, arrays: tuple[Array, ...]
) -> None:
    variance, bound = op.rounding_variance(AXIOMS, *arrays), op.error_bound(AXIOMS, *arrays)
    assert variance.shape == bound.shape
    assert np.all(variance > 0)
    assert np.all(np.sqrt(variance) <= bound)


@pytest.mark.parametrize(("op", "arrays"), CASES, ids=lambda value: getattr(value, "name", ""))
def test_what_the_operands_carry_is_added(op: ops.Op, arrays: tuple[Array, ...]) -> None:
    carried = tuple(np.full(array.shape, 1e-8) for array in arrays)
    moved = op.rounding_variance(AXIOMS, *arrays, variances=carried)
    assert np.all(moved >= op.rounding_variance(AXIOMS, *arrays))
    assert moved.sum() > op.rounding_variance(AXIOMS, *arrays).sum()


def test_moving_values_rounds_nothing_and_moves_what_they_carry() -> None:
    x, carried = drawn(2, 3), np.arange(6.0).reshape(2, 3)
    op = ops.Transpose((1, 0))
    assert not op.rounding_variance(AXIOMS, x).any()
    np.testing.assert_allclose(op.rounding_variance(AXIOMS, x, variances=(carried,)), carried.T)


def test_one_rounding_has_the_mean_square_of_its_constant() -> None:
    values = np.exp2(np.random.default_rng(1).uniform(0, 1, 10**6))
    errors = values.astype(np.float32).astype(np.float64) - values
    assert np.mean(np.square(errors / values)) / 2.0**-48 == pytest.approx(ROUNDING, rel=0.01)


@pytest.mark.parametrize(
    ("weights", "terms", "together"),
    [(np.full(300, 0.1), 300, True), (np.arange(300.0), 300, False), (np.ones(2), 2, False)],
)
def test_few_different_products_may_round_together(weights: Array, terms: int, together: bool) -> None:
    assert coherent(terms, np.ones(9), weights) is together


def test_the_errors_of_equal_products_add_up() -> None:
    x, kernel, variance = np.full((3, 20), [[0.1], [0.2], [0.3]]), np.full((20, 2), 0.7), np.full((3, 20), 1e-3)
    op = ops.MatMul()
    carried = op.rounding_variance(AXIOMS, x, kernel, variances=(variance, 0.0))
    np.testing.assert_allclose(carried, (20 * 0.7) ** 2 * 1e-3, rtol=1e-6)
    mixed = np.random.default_rng(0).normal(size=(20, 2))
    carried = op.rounding_variance(AXIOMS, x, mixed, variances=(variance, 0.0))
    np.testing.assert_allclose(carried, np.square(mixed).sum(axis=0) * 1e-3 * np.ones((3, 1)), rtol=1e-6)


def test_an_example_of_zeros_says_nothing_of_repeats() -> None:
    kernel = np.arange(1.0, 301.0)
    assert repeats(300, np.zeros((2, 300)), kernel) == 1
    assert repeats(300, np.stack([np.zeros(300), kernel]), np.ones(300)) == 1
    assert repeats(300, np.ones((2, 300)), np.ones(300)) == 300
    assert repeats(300, np.zeros((0, 300)), np.ones(300)) >= 1


def test_an_allowance_may_grow_with_the_argument() -> None:
    axioms = Axioms(functions={"exp": Allowance(3, 0, 2)})
    bound = ops.Unary("exp").error_bound(axioms, np.array([0.0, 10.0]))
    ulps = bound / (np.exp([0.0, 10.0]) * 2.0**-23)
    np.testing.assert_allclose(ulps, [3, 23], rtol=1e-3)
