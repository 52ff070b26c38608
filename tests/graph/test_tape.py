"""Derivatives through a layer, backwards: against differences, and through whole models against TensorFlow's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gradients import input_gradients
from graphs import call, dense, layer
from keras_graphs import keras_model
from keras_layers import random_inputs
from layer_cases import CASES, label
from operation_cases import CASES as OPERATIONS
from operation_cases import Case
from sequence_cases import CASES as SEQUENCES
from test_operations_against_keras import built, inputs_of

from bittrue import ops
from bittrue.errors import ModelError, Unsupported
from bittrue.graph.evaluate import layer_bound, layer_truth
from bittrue.graph.model import TensorRef
from bittrue.graph.tape import Tape
from bittrue.model.reading import graph_of
from bittrue.ops import Axioms
from bittrue.traces import Array

X = TensorRef("x")
RNG = np.random.default_rng(5)
DENSE = dense("d", RNG.normal(size=(4, 3)).astype(np.float32), call(X), bias=np.ones(3, np.float32), activation="tanh")


def test_the_pullback_of_a_layer_is_its_transposed_derivative() -> None:
    x, gradient, direction = (RNG.normal(size=shape) for shape in ((2, 4), (2, 3), (2, 4)))
    (found,) = Tape(DENSE, [x]).pullback([gradient]).inputs
    assert found is not None
    ahead, behind = (layer_truth(DENSE, [x + sign * 1e-6 * direction])[0] for sign in (1, -1))
    assert np.sum(found * direction) == pytest.approx(np.sum(gradient * (ahead - behind)) / 2e-6, rel=1e-6)


def test_a_tape_may_be_asked_again_and_for_some_of_its_outputs() -> None:
    x = RNG.normal(size=(2, 4))
    tape = Tape(DENSE, [x])
    (once,), (twice,) = (tape.pullback([np.full((2, 3), size)]).inputs for size in (1.0, 2.0))
    assert once is not None
    assert twice is not None
    np.testing.assert_array_equal(2 * once, twice)
    assert tape.pullback([None]).inputs == (None,)


def test_outputs_are_those_of_the_layer() -> None:
    x = RNG.normal(size=(2, 4))
    np.testing.assert_array_equal(Tape(DENSE, [x]).outputs[0], layer_truth(DENSE, [x])[0])


def test_roundings_move_by_the_sum_of_all_derivatives_times_their_bounds() -> None:
    """tanh(x·k + b): of the product, the sum and the function."""
    x, axioms = RNG.normal(size=(2, 4)), [Axioms(), Axioms(2.0**-23)]
    kernel, bias = DENSE.weight("kernel"), DENSE.weight("bias")
    found = Tape(DENSE, [x], axioms).pullback([np.ones((2, 3))]).moved
    slope = 1 - np.tanh(x @ kernel + bias) ** 2
    for moved, promised in zip(found, axioms, strict=True):
        product = ops.MatMul().error_bound(promised, x, kernel)
        total = ops.Binary("add").error_bound(promised, x @ kernel, bias, terms=(4, 0))
        function = ops.Unary("tanh").error_bound(promised, x @ kernel + bias)
        assert moved == pytest.approx(np.sum(slope * (product + total) + function), rel=1e-12)


def test_to_first_order_a_layer_moves_no_more_than_its_own_bound_says() -> None:
    x, gradient = RNG.normal(size=(2, 4)), RNG.normal(size=(2, 3))
    (moved,) = Tape(DENSE, [x], [Axioms()]).pullback([gradient]).moved
    ((_, bound),) = layer_bound(DENSE, [x], Axioms())
    assert 0.5 < moved / np.sum(np.abs(gradient) * bound) <= 1


def test_a_number_of_the_configuration_may_be_rounded_and_a_weight_not() -> None:
    x = np.full((1, 3), -1.0)
    slopes = (layer("l", "LeakyReLU", call(X), config={"negative_slope": slope}) for slope in (0.3, 0.25))
    rounded, exact = (Tape(one, [x], [Axioms()]).pullback([np.ones((1, 3))]).moved[0] for one in slopes)
    u = 2.0**-24
    assert rounded == pytest.approx(3 * 2 * 0.3 * u, rel=1e-5)  # the slope, and the product with it
    assert exact == pytest.approx(3 * 0.25 * u, rel=1e-5)


def test_what_is_passed_on_takes_its_gradient_back_unchanged() -> None:
    gradient = RNG.normal(size=(2, 4))
    (found,) = (
        Tape(layer("drop", "Dropout", call(X), config={"rate": 0.5}), [np.ones((2, 4))]).pullback([gradient]).inputs
    )
    np.testing.assert_array_equal(found, gradient)


def test_integers_get_no_gradient() -> None:
    table = layer("e", "Embedding", call(X), config={"input_dim": 3, "output_dim": 2}, embeddings=np.ones((3, 2)))
    assert Tape(table, [np.array([[0, 2]])]).pullback([np.ones((1, 2, 2))]).inputs == (None,)


def test_a_layer_that_is_not_known_has_no_tape() -> None:
    with pytest.raises(Unsupported):
        Tape(layer("s", "Strange", call(X)), [np.ones((1, 2))])


def test_an_op_without_a_derivative_is_named_with_its_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Array:
        raise ModelError("MatMul() has no derivative here")

    monkeypatch.setattr("bittrue.ops.MatMul._pullback", refuse)
    with pytest.raises(ModelError, match=r"layer 'd' \(Dense\): MatMul\(\) has no derivative here"):
        Tape(DENSE, [np.ones((2, 4))]).pullback([np.ones((2, 3))])


def _of_a_layer(name: str, options: dict[str, Any], shapes: tuple[tuple[int, ...], ...]) -> Case:
    def build(k: Any, *symbols: Any) -> Any:
        return getattr(k.layers, name)(**options)(symbols[0] if len(symbols) == 1 else list(symbols))

    return label((name, options, shapes)), build, shapes


FIRST = {case[0]: _of_a_layer(*case) for case in reversed(CASES)}
EVERY = (
    *(case for name, case in FIRST.items() if name not in ("AveragePooling3D", "MaxPooling3D")),  # no float64 kernel
    *(case for case in OPERATIONS[::12] if case[0] != "stop_gradient"),
    *SEQUENCES[::14],
)


@pytest.fixture
def _float64() -> Iterator[None]:
    import keras

    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("case", EVERY, ids=lambda case: case[0])
def test_tensorflow_differentiates_models_to_the_same_gradients(case: Case) -> None:
    import tensorflow as tf

    drawn = random_inputs(case[2]) if case[0] in {one[0] for one in FIRST.values()} else inputs_of(case)
    inputs = [array.astype(np.float64) if array.dtype.kind == "f" else array for array in drawn]
    model, given = keras_model(built(case), inputs), [tf.constant(array) for array in inputs]
    for one in model.layers:
        if one.__class__.__name__ == "Normalization":
            one.finalize_state()  # it computes with copies of its weights
    floats = [at for at, array in enumerate(inputs) if array.dtype.kind == "f"]
    with tf.GradientTape() as recorded:
        recorded.watch([given[at] for at in floats])
        outputs = tf.nest.flatten(model(given, training=False))
        gradients = [np.random.default_rng(at).normal(size=y.shape) for at, y in enumerate(outputs)]
        total = sum(tf.reduce_sum(tf.cast(y, tf.float64) * g) for y, g in zip(outputs, gradients, strict=True))
    found = input_gradients(graph_of(model), inputs, gradients)
    zero = tf.UnconnectedGradients.ZERO
    expected = recorded.gradient(total, [given[at] for at in floats], unconnected_gradients=zero)
    for at, gradient in zip(floats, expected, strict=True):  # Keras keeps some numbers of the options in float32
        size = max(1.0, float(np.max(np.abs(gradient), initial=0)))
        np.testing.assert_allclose(found[at], gradient, rtol=0, atol=1e-6 * size)
