"""Every expansion against Keras itself: no further apart than the bound that the expansion's ops allow float32."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from keras_layers import random_inputs, run_keras
from layer_cases import CASES, Case, label
from tests.conformance.subjects import SUBJECTS

from bittrue.errors import Unsupported
from bittrue.graph.evaluate import layer_bound, layer_truth
from bittrue.graph.examples import cut_of
from bittrue.graph.layers import expand, known_classes
from bittrue.graph.model import LayerNode
from bittrue.model.reading import graph_of
from bittrue.ops import Axioms, TensorSpec
from bittrue.traces import Array

ALIKE = {"SpatialDropout1D", "SpatialDropout3D"}
"""Classes whose expansion is that of another which is compared."""

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.slow]


@pytest.mark.parametrize("case", CASES, ids=label)
def test_keras_is_within_the_float32_bound(case: Case) -> None:
    name, options, shapes = case
    inputs = random_inputs(shapes)
    node, outputs = run_keras(name, options, inputs)
    bounds = layer_bound(node, inputs, Axioms())
    for (exact, bound), truth, output in zip(bounds, layer_truth(node, inputs), outputs, strict=True):
        np.testing.assert_array_equal(exact, truth)
        assert exact.shape == output.shape
        assert np.all(np.abs(output - exact) <= bound), np.max(np.abs(output - exact) - bound)
        # A bound that says nothing would let anything pass.
        assert np.max(bound) <= 1e-3 * max(1.0, np.max(np.abs(exact)))
    assert_examples_are_apart(node, inputs, bounds)


def assert_examples_are_apart(node: LayerNode, inputs: list[Array], bounds: tuple[tuple[Array, Array], ...]) -> None:
    """The last examples by themselves give what they give among others."""
    size = len(bounds[0][0])
    cut = cut_of(node, [TensorSpec.of(array) for array in inputs], 0, size)
    assert cut is not None
    part = slice(size // 2, size)
    for alone, among in zip(layer_bound(node, cut.of(inputs, part), Axioms()), bounds, strict=True):
        for found, whole in zip(alone, among, strict=True):
            np.testing.assert_allclose(found, np.broadcast_to(whole, (size, *found.shape[1:]))[part], 1e-9, 1e-15)


FIRST_OF_EACH_CLASS = list({case[0]: case for case in reversed(CASES)}.values())


@pytest.mark.parametrize("case", FIRST_OF_EACH_CLASS, ids=label)
def test_an_option_that_no_expansion_reads_is_refused(case: Case) -> None:
    name, options, shapes = case
    inputs = random_inputs(shapes)
    node, _ = run_keras(name, options, inputs)
    specs = [TensorSpec.of(array) for array in inputs]
    expand(node, specs)
    with pytest.raises(Unsupported, match="novel_option=1 is an option that Bittrue does not know"):
        expand(replace(node, config={**node.config, "novel_option": 1}), specs)


SAMPLED = (set(SUBJECTS) & set(known_classes())) - {name for name, _, _ in CASES} - {"InputLayer", "Embedding", *ALIKE}
"""Classes that are compared there and not here."""

SEQUENCES = ("Attention", "Bidirectional", "GRU", "LSTM", "RNN", "TimeDistributed")
"""Endings of the classes that are compared as parts of models, in their own test."""


def test_every_class_is_compared_with_keras() -> None:
    # Embedding takes integers; the others are those of keras.applications. They have tests of their own below.
    # The campaign's sample compares a case of every class that Keras exports (tests/conformance/test_sample.py).
    elsewhere = {name for name in known_classes() if name.endswith(SEQUENCES)} | SAMPLED
    special = {"InputLayer", "Embedding", "CustomScaleLayer", "LayerScale", "StochasticDepth", *ALIKE}
    assert set(known_classes()) - {name for name, _, _ in CASES} - elsewhere == special


def test_embedding_takes_rows() -> None:
    index = np.array([[0, 3, 1]], np.int32)
    node, outputs = run_keras("Embedding", {"input_dim": 4, "output_dim": 5}, [index])
    np.testing.assert_array_equal(layer_truth(node, [index])[0], outputs[0])


def test_layers_of_convnext_scale_and_pass_on() -> None:
    import keras
    from keras.src.applications.convnext import LayerScale, StochasticDepth

    entry = keras.Input((4, 3))
    model = keras.Model(entry, StochasticDepth(0.5)(LayerScale(0.5, 3)(entry)))
    model.set_weights([np.array([2, -1, 0.5])])
    x = random_inputs(((2, 4, 3),))[0]
    _, scale, depth = graph_of(model).layers
    np.testing.assert_array_equal(layer_truth(depth, layer_truth(scale, [x]))[0], np.asarray(model(x)))


def test_the_layer_of_inception_adds_a_part() -> None:
    import keras
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    entries = [keras.Input((4,), name=name) for name in ("a", "b")]
    model = keras.Model(entries, CustomScaleLayer(0.25)(entries))
    a, b = random_inputs(((2, 4), (2, 4)))
    np.testing.assert_allclose(layer_truth(graph_of(model).layers[-1], [a, b])[0], a + 0.25 * b, rtol=1e-6)
