"""Layers, operations and models of Keras: every operation of their plans equals the oracle bit for bit, and the outputs
lie as near to the float64 answer as the bounds of the ops allow.

A sample of the cases that the float64 answers are tested with; all of them with BITTRUE_CONFORMANCE=all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import assert_same_bits

from bittrue.exact.engine import ExactModel
from bittrue.exact.export import lowered
from bittrue.exact.file import ExactFile, digest
from bittrue.exact.oracle import canonical, evaluate
from bittrue.exact.plan import Named, Plan
from bittrue.graph.model import Graph
from bittrue.model.reading import graph_of
from bittrue.traces import Array

sys.path.insert(0, str(Path(__file__).parents[1] / "graph"))

import layer_cases
import operation_cases
import sequence_cases
from keras_graphs import graph_bound, keras_model
from keras_layers import random_inputs
from test_operations_against_keras import built, inputs_of

pytestmark = [
    pytest.mark.needs("tensorflow"),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

EVERYTHING = os.environ.get("BITTRUE_CONFORMANCE") == "all"
STEP = 1 if EVERYTHING else 9
ARCHITECTURES = ("MobileNetV3Small", "EfficientNetV2B0", "ResNet50V2")[: 3 if EVERYTHING else 1]


def everything(plan: Plan, constants: dict[str, Array]) -> ExactModel:
    """The model with the results of all its operations as outputs, then its own."""
    first = len(plan.inputs) + len(plan.constants)
    steps = [Named(step.name, first + at) for at, step in enumerate(plan.operations)]
    whole = Plan(plan.name, plan.inputs, plan.constants, plan.operations, (*steps, *plan.outputs))
    return ExactModel(ExactFile(whole, constants, digest(whole, constants)))


def check(graph: Graph, inputs: Sequence[Array], bounded: bool = True) -> ExactModel:
    plan, constants = lowered(graph)
    fed = {item.name: x.astype(item.dtype) for item, x in zip(plan.inputs, inputs, strict=True)}
    values = [canonical(value) for value in evaluate(plan, constants, fed)]
    model = everything(plan, constants)
    found = model.predict(fed)
    for named, array in zip(model.plan.outputs, found if isinstance(found, list) else [found], strict=True):
        assert_same_bits(array, values[named.value])
    usual = ExactModel(ExactFile(plan, constants, digest(plan, constants)))
    made = usual.predict(fed)
    outputs = made if isinstance(made, list) else [made]
    for named, array in zip(plan.outputs, outputs, strict=True):
        assert_same_bits(array, values[named.value])  # with buffers used again and calls run part by part
    for (exact, bound), array in zip(graph_bound(graph, inputs) if bounded else [], outputs, strict=bounded):
        assert np.all(np.abs(array.astype(np.float64) - exact) <= bound)
    return usual


def layer_build(case: layer_cases.Case) -> Callable[..., Any]:
    def build(*symbols: Any) -> Any:
        import keras

        return getattr(keras.layers, case[0])(**case[1])(list(symbols) if len(symbols) > 1 else symbols[0])

    return build


@pytest.mark.parametrize("case", layer_cases.CASES[::STEP], ids=layer_cases.label)
def test_layers(case: layer_cases.Case) -> None:
    inputs = random_inputs(case[2])
    check(graph_of(keras_model(layer_build(case), inputs)), inputs)


@pytest.mark.parametrize("case", operation_cases.CASES[::STEP], ids=lambda case: case[0])
def test_operations(case: operation_cases.Case) -> None:
    inputs = inputs_of(case)
    check(graph_of(keras_model(built(case), inputs)), inputs)


@pytest.mark.parametrize("case", sequence_cases.CASES[::STEP], ids=lambda case: case[0])
def test_sequences(case: operation_cases.Case) -> None:
    inputs = inputs_of(case)
    check(graph_of(keras_model(built(case), inputs)), inputs)


def transformer(k: Any, tokens: Any) -> Any:
    places = k.ops.arange(0, 12, dtype="int32")
    x = k.layers.Embedding(50, 16)(tokens) + k.layers.Embedding(12, 16)(places)
    for _ in range(2):
        attended = k.layers.MultiHeadAttention(4, 4)(x, x)
        x = k.layers.LayerNormalization()(x + attended)
        x = k.layers.LayerNormalization()(x + k.layers.Dense(16)(k.layers.Dense(32, activation="gelu")(x)))
    return k.layers.Dense(3, activation="softmax")(k.layers.GlobalAveragePooling1D()(x))


def test_a_transformer_encoder() -> None:
    import keras

    tokens = np.random.default_rng(0).integers(0, 50, size=(3, 12)).astype(np.int32)
    model = check(graph_of(keras_model(lambda x: transformer(keras, x), [tokens])), [tokens])
    one = model.predict(tokens[:1])
    assert_same_bits(one, model.predict(tokens)[:1])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures(name: str) -> None:
    import keras

    x = np.random.default_rng(1).uniform(0, 255, size=(1, 32, 32, 3)).astype(np.float32)
    model = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=4)
    check(graph_of(model), [x], bounded=False)
