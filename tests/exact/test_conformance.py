"""Layers, operations and models of Keras: every operation of their plans equals the oracle bit for bit, as the golden
files have it, and the outputs lie as near to the float64 answer as the bounds of the ops allow.

A sample of the cases that the float64 answers are tested with; all of them with BITTRUE_CONFORMANCE=all.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import golden_applications
import golden_cases
import numpy as np
import pytest
from golden_cases import KERAS, graph_of_case
from keras_graphs import graph_bound, keras_model  # golden_cases has put its folder on the path
from running import assert_same_bits
from subjects import Subject, by_oracle, described, every_value, fingerprint, in_python

from bittrue.exact.engine import ExactModel
from bittrue.exact.export import lowered
from bittrue.exact.file import ExactFile, digest
from bittrue.exact.plan import Named, Plan
from bittrue.graph.model import Graph
from bittrue.model.reading import graph_of
from bittrue.traces import Array

pytestmark = [
    pytest.mark.needs("tensorflow"),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

EVERYTHING = os.environ.get("BITTRUE_CONFORMANCE") == "all"
SAMPLE = list(KERAS)[:: 1 if EVERYTHING else 9]
APPLICATIONS = list(golden_applications.APPLICATIONS) if EVERYTHING else ["MobileNetV3Small"]


def everything(plan: Plan, constants: dict[str, Array]) -> ExactModel:
    """The model with the results of all its operations as outputs, then its own."""
    whole = replace(plan, outputs=tuple(Named(str(at), value) for at, value in enumerate(every_value(plan))))
    return ExactModel(ExactFile(whole, constants, digest(whole, constants)))


def check(graph: Graph, inputs: Sequence[Array]) -> tuple[ExactModel, str]:
    """The model, and its hash by the oracle."""
    plan, constants = lowered(graph)
    fed = {item.name: x.astype(item.dtype) for item, x in zip(plan.inputs, inputs, strict=True)}
    wanted = by_oracle(plan, constants, fed)
    found = everything(plan, constants).predict(fed)
    for array, right in zip(found if isinstance(found, list) else [found], wanted, strict=True):
        assert_same_bits(array, right)
    usual = ExactModel(ExactFile(plan, constants, digest(plan, constants)))
    made = usual.predict(fed)
    outputs = made if isinstance(made, list) else [made]
    for array, right in zip(outputs, wanted[-len(plan.outputs) :], strict=True):
        assert_same_bits(array, right)  # with buffers used again and calls run part by part
    for (exact, bound), array in zip(graph_bound(graph, inputs), outputs, strict=True):
        assert np.all(np.abs(array.astype(np.float64) - exact) <= bound)
    return usual, fingerprint(map(described, wanted))


@pytest.mark.parametrize("label", SAMPLE)
def test_cases(label: str) -> None:
    _, found = check(*graph_of_case(label))
    assert found == golden_cases.golden()[0][label]


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
    model, _ = check(graph_of(keras_model(lambda x: transformer(keras, x), [tokens])), [tokens])
    one = model.predict(tokens[:1])
    assert_same_bits(one, model.predict(tokens)[:1])


@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications_give_the_bits_that_the_oracle_gave(name: str) -> None:
    found = in_python(Subject(*golden_applications.built(name), splits=False))
    assert fingerprint(found["every"]) == golden_applications.golden()[name]
    assert found["whole"] == found["every"][-1:]


def test_every_architecture_has_a_golden_hash_and_no_other_has_one() -> None:
    import keras

    built_in = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert built_in == set(golden_applications.APPLICATIONS) == set(golden_applications.golden())
