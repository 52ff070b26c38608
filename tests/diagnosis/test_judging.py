"""Bounds and expectations against float32 arithmetic itself, in any order of summation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.graph.graphs import call, dense

from bittrue.diagnosis import ARITHMETICS, Verdict
from bittrue.diagnosis.judging import MARGIN, judge, limit
from bittrue.graph.model import LayerNode, TensorRef
from bittrue.graph.rounding import Rounding, layer_rounding
from bittrue.ops import Axioms
from bittrue.traces import Array

F32 = np.float32


def summed(terms: Array, generator: np.random.Generator) -> Array:
    """The terms of the last axis added in float32: a random tree, from one after the other to pairwise."""
    parts = [terms[..., at] for at in generator.permutation(terms.shape[-1])]
    pairwise = generator.random() < 0.5
    while len(parts) > 1:
        first = parts.pop(0)
        parts.insert(len(parts) if pairwise else 0, first + parts.pop(0))
    return parts[0]


def in_float32(x: Array, layer: LayerNode, generator: np.random.Generator) -> Array:
    kernel, bias = (weight.value for weight in layer.weights)
    return summed(x[:, None, :] * kernel.T[None], generator) + bias


def a_layer(generator: np.random.Generator, terms: int, spread: float) -> tuple[LayerNode, Array]:
    kernel = (generator.normal(size=(terms, 12)) * 10.0 ** generator.uniform(-spread, spread, (terms, 12))).astype(F32)
    bias = generator.normal(size=12).astype(F32)
    return dense("d", kernel, call(TensorRef("x")), bias=bias), generator.normal(size=(9, terms)).astype(F32)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.floats(0, 6))
def test_float32_in_any_order_is_never_outside_and_never_suspicious(seed: int, terms: int, spread: float) -> None:
    generator = np.random.default_rng(seed)
    layer, x = a_layer(generator, terms, spread)
    (exact,) = layer_rounding(layer, [x], Axioms())
    found = judge(in_float32(x, layer, generator), exact)
    assert found.outside == 0
    assert found.verdict <= Verdict.ROUNDING


@pytest.mark.parametrize("terms", [8, 50, 400])
def test_the_expectation_is_that_of_adding_one_after_the_other(terms: int) -> None:
    generator = np.random.default_rng(terms)
    layer, x = a_layer(generator, terms, 0)
    kernel, bias = (weight.value for weight in layer.weights)
    total = np.zeros((9, 12), F32)
    for at in range(terms):
        total = total + x[:, at, None] * kernel[at]
    found = judge(total + bias, layer_rounding(layer, [x], Axioms())[0])
    assert found.expectation is not None
    assert 1 / 3 < found.expectation < 3


def test_equal_terms_whose_roundings_all_go_the_same_way_are_not_suspicious() -> None:
    layer = dense("d", np.full((300, 4), 1 / 3, F32), call(TensorRef("x")), bias=np.zeros(4, F32))
    total = np.zeros((1, 4), F32)
    for _ in range(300):
        total = total + F32(1 / 3)
    found = judge(total, layer_rounding(layer, [np.ones((1, 300), F32)], Axioms())[0])
    assert found.verdict == "rounding"


def one_after_the_other(x: Array, kernel: Array, bias: Array, *, bias_first: bool) -> Array:
    total = np.broadcast_to(bias, (len(x), kernel.shape[1])) if bias_first else np.zeros((len(x), kernel.shape[1]), F32)
    for at in range(len(kernel)):
        total = total + x[:, at, None] * kernel[at]
    return total if bias_first else total + bias


def test_sorted_terms_whose_sum_rises_and_falls_again_are_not_suspicious() -> None:
    generator = np.random.default_rng(3)
    kernel = np.abs(generator.normal(1, 0.2, (1000, 16))).astype(F32)
    kernel[500:] *= -1
    x = np.abs(generator.normal(1, 0.2, (9, 1000))).astype(F32)
    layer = dense("d", kernel, call(TensorRef("x")), bias=np.zeros(16, F32))
    (exact,) = layer_rounding(layer, [x], Axioms())
    found = one_after_the_other(x, kernel, np.zeros(16, F32), bias_first=False)
    assert judge(found, exact).verdict == "rounding"
    assert judge(found, replace(exact, in_order=None)).verdict == "suspicious"
    # Ten times as much is not excused by it.
    assert judge((exact.value + 10 * (found - exact.value)).astype(F32), exact).verdict >= "suspicious"


def test_a_sum_that_begins_with_a_large_bias_is_not_suspicious() -> None:
    generator = np.random.default_rng(4)
    kernel, bias = generator.normal(size=(300, 16)).astype(F32), generator.normal(size=16).astype(F32) * F32(1e4)
    x = generator.normal(size=(9, 300)).astype(F32)
    layer = dense("d", kernel, call(TensorRef("x")), bias=bias)
    found = judge(one_after_the_other(x, kernel, bias, bias_first=True), layer_rounding(layer, [x], Axioms())[0])
    assert (found.outside, found.verdict) == (0, "rounding")


def test_products_that_are_all_lost_in_the_bias_are_not_suspicious() -> None:
    kernel, bias = np.full((125, 4), 0.4 * 2.0**-23, F32), np.ones(4, F32)
    x = np.ones((2, 125), F32)
    (exact,) = layer_rounding(dense("d", kernel, call(TensorRef("x")), bias=bias), [x], Axioms())
    found = judge(one_after_the_other(x, kernel, bias, bias_first=True), exact)
    assert found.max_ulp is not None
    assert found.max_ulp > 49
    assert (found.outside, found.verdict) == (0, "rounding")


def test_sums_below_the_smallest_normal_number_are_not_suspicious() -> None:
    generator = np.random.default_rng(5)
    kernel = generator.normal(size=(40, 12)).astype(F32)
    x = (generator.normal(size=(9, 40)) * 1e-40).astype(F32)
    (exact,) = layer_rounding(dense("d", kernel, call(TensorRef("x"))), [x], Axioms())
    found = judge(one_after_the_other(x, kernel, np.zeros(12, F32), bias_first=True), exact)
    assert found.verdict == "rounding"


def test_ten_times_the_expected_error_inside_the_bound_is_suspicious() -> None:
    generator = np.random.default_rng(0)
    layer, x = a_layer(generator, 200, 0)
    (exact,) = layer_rounding(layer, [x], Axioms())
    found = judge((exact.value + 10 * np.sqrt(exact.variance)).astype(F32), exact)
    assert (found.outside, found.verdict) == (0, "suspicious")


def test_one_error_seen_many_times_counts_once_and_with_all_its_weight() -> None:
    """As a depthwise convolution of a constant image makes them: one channel, of one value, outweighs the others."""
    generator = np.random.default_rng(6)
    value = np.concatenate([np.full(5000, 1.9), generator.normal(size=1000) / 100])
    spread = np.where(np.arange(value.size) < 5000, 1e-6, 1e-8)
    exact = Rounding(value, np.full(value.size, 1e-4), np.square(spread), float(value.size))
    drawn = np.where(np.arange(value.size) < 5000, 4 * spread, 0)  # one draw of four standard deviations: 6e-5
    assert judge(value + drawn, exact).verdict == "rounding"
    apart = replace(exact, value=value + np.arange(value.size) * 1e-7)  # as many draws as elements
    assert judge(apart.value + drawn, apart).verdict == "suspicious"


@pytest.mark.parametrize(
    ("y", "verdict"), [(np.nan, "non-finite"), (np.inf, "non-finite"), (2.0, "bug"), (1.0, "identical")]
)
def test_single_values(y: float, verdict: str) -> None:
    one = Rounding(np.ones(1), np.full(1, 1e-7), np.full(1, 1e-15), 1.0)
    assert judge(np.array([y], F32), one).verdict == verdict


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_by_right_is_no_fault(value: float) -> None:
    exact = Rounding(np.array([value]), np.zeros(1), np.zeros(1), 1.0)
    assert judge(np.array([value], F32), exact).outside == 0
    unpromised = Rounding(np.array([1e39]), np.array([np.inf]), np.array([np.inf]), 1.0)
    assert judge(np.array([np.inf], F32), unpromised).verdict == "rounding"


def test_the_limit_is_a_quantile_of_chi_squared_times_the_margin() -> None:
    samples = np.random.default_rng(0).chisquare(5, 10**6) / 5
    assert limit(5) / MARGIN > np.quantile(samples, 1 - 1e-5)
    assert 23.9 < limit(1) / MARGIN < 28  # the quantile itself is 23.93
    assert limit(1e9) == pytest.approx(MARGIN, rel=1e-3)


def test_every_arithmetic_says_where_its_promise_stands() -> None:
    assert {name.split(":")[0] for name in ARITHMETICS} == {"exact", "keras", "tfjs"}
    for found in ARITHMETICS.values():
        assert found.source
        assert set(found.assumptions(frozenset({"Reshape"}))) == set(found.assumes)
    gpu = ARITHMETICS["tfjs:webgl"]
    assert any("promises nothing" in text for text in gpu.assumptions(frozenset({"Unary"})))
