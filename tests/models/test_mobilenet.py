"""The shared models are what tests and benchmarks take them for."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from tests.models.mobilenet import deep_recursion, dense_chain, image, mobilenet_v2, wide_model


@pytest.mark.slow
def test_mobilenet_activations_are_of_order_one() -> None:
    import keras

    model = mobilenet_v2()
    outputs = keras.Model(model.input, [layer.output for layer in model.layers]).predict(image(0), verbose=0)
    sizes = [float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) for array in outputs]
    assert len(outputs) == 156
    assert sum(array.size for array in outputs) == 21_815_960
    assert min(sizes[:-1]) > 0.1  # the last is a softmax over 1,000 classes
    assert max(sizes) < 10
    assert outputs[-1].max() > 0.005  # and says more than 1/1000 of some


@pytest.mark.slow
def test_mobilenet_is_the_same_every_time() -> None:
    first, second = (mobilenet_v2(size=96).get_weights() for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_image_is_seeded_and_in_range() -> None:
    assert np.array_equal(image(3, batch=2), image(3, batch=2))
    assert not np.array_equal(image(3), image(4))
    assert np.abs(image(3)).max() <= 1
    assert image(3, batch=2, size=50).shape == (2, 50, 50, 3)


@pytest.mark.slow
def test_dense_chain_keeps_the_size_of_its_input() -> None:
    given = np.random.default_rng(0).normal(size=(8, 32)).astype(np.float32)
    result = dense_chain(100)(given)
    assert 0.5 < float(np.std(result)) < 3


@pytest.mark.slow
def test_wide_model_has_at_least_the_activations_asked_for() -> None:
    model = wide_model(5 * 2**20)
    outputs = sum(np.prod(layer.output.shape[1:]) * 4 for layer in model.layers[1:])
    assert 5 * 2**20 <= outputs < 9 * 2**20


def test_deep_recursion_restores_the_limit() -> None:
    before = sys.getrecursionlimit()
    with deep_recursion(5000):
        assert sys.getrecursionlimit() >= 50_000
    assert sys.getrecursionlimit() == before
