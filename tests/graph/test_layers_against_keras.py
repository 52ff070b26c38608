"""Every expansion against Keras itself: no further apart than the bound that the expansion's ops allow float32."""

from __future__ import annotations

import numpy as np
import pytest
from keras_layers import random_inputs, run_keras
from layer_cases import CASES, Case, label

from bittrue.graph.evaluate import layer_bound, layer_truth
from bittrue.ops import Axioms

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.slow]


@pytest.mark.parametrize("case", CASES, ids=label)
def test_keras_is_within_the_float32_bound(case: Case) -> None:
    name, options, shapes = case
    inputs = random_inputs(shapes)
    node, outputs = run_keras(name, options, inputs)
    bounds = layer_bound(node, inputs, Axioms())
    assert len(bounds) == len(outputs)
    for (exact, bound), output in zip(bounds, outputs, strict=True):
        assert exact.shape == output.shape
        assert np.all(np.abs(output - exact) <= bound), np.max(np.abs(output - exact) - bound)
        # A bound that says nothing would let anything pass.
        assert np.max(bound) <= 1e-3 * max(1.0, np.max(np.abs(exact)))


@pytest.mark.parametrize("case", CASES, ids=label)
def test_the_bound_evaluates_the_same_numbers(case: Case) -> None:
    name, options, shapes = case
    inputs = random_inputs(shapes)
    node, _ = run_keras(name, options, inputs)
    for (exact, _), truth in zip(layer_bound(node, inputs, Axioms()), layer_truth(node, inputs), strict=True):
        np.testing.assert_array_equal(exact, truth)
