"""Layers-models that need the shims, in real TensorFlow.js: within rounding of the exact answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from bounds import model_bounds
from in_node import Prediction, digest, predict_all
from test_models_in_tfjs import drawn, randomised

from bittrue.conversion.tfjs import convert
from bittrue.graph.model import Graph
from bittrue.model import open_model

pytestmark = [pytest.mark.browser, pytest.mark.needs("node", "tensorflow")]

BACKENDS = ("cpu", "wasm")


def _alone(shape: tuple[int | None, ...], make: Callable[[Any], Any]) -> Callable[[], Any]:
    """A model of one layer, or of what ``make`` does with Keras and an input, around it one that needs no shim."""

    def build() -> Any:
        import keras

        entry = keras.Input(shape, name="entry")
        return keras.Model(entry, make(keras)(entry))

    return build


def _nested(keras: Any) -> Any:
    entry = keras.Input((6, 4))
    inner = keras.Model(entry, keras.layers.Conv1D(4, 2, padding="causal", name="causal")(entry), name="inner")
    return lambda x: inner(keras.layers.Dense(4)(inner(x)))


def _operations(keras: Any) -> Any:
    ops = keras.ops
    return lambda x: ops.concatenate(ops.split(ops.exp(-ops.square(x)) + 2.0, 2, axis=-1)[::-1], axis=1)


def _whole_numbers(keras: Any) -> Any:
    return lambda x: keras.layers.Embedding(7, 3)(keras.ops.argmax(x, axis=-1))


BUILDERS: dict[str, Callable[[], Any]] = {
    "Normalization": _alone((5,), lambda keras: keras.layers.Normalization(mean=[1, 2, 3, 4, 5], variance=[2] * 5)),
    "GroupNormalization": _alone((5, 4, 6), lambda keras: keras.layers.GroupNormalization(3)),
    "EinsumDense": _alone(
        (5, 4), lambda keras: keras.layers.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d", activation="relu")
    ),
    "MultiHeadAttention": _alone((5, 4), lambda keras: lambda x: keras.layers.MultiHeadAttention(2, 3)(x, x)),
    "GRU": _alone((6, 4), lambda keras: keras.layers.GRU(5, return_sequences=True)),
    "GRU of any length": _alone((None, 4), lambda keras: keras.layers.GRU(5)),
    "Bidirectional": _alone((6, 4), lambda keras: keras.layers.Bidirectional(keras.layers.GRU(3))),
    "Conv1D": _alone((9, 4), lambda keras: keras.layers.Conv1D(5, 3, padding="causal", dilation_rate=2)),
    "Subtract": _alone(
        (4,), lambda keras: lambda x: keras.layers.Subtract()([keras.layers.Dense(3)(x), keras.layers.Dense(3)(x)])
    ),
    "Identity": _alone((4,), lambda keras: keras.layers.Identity()),
    "operations": _alone((3, 4), _operations),
    "whole numbers": _alone((3, 7), _whole_numbers),
    "nested": _alone((6, 4), _nested),
}
NAMES = sorted(BUILDERS)


@dataclass(frozen=True)
class Run:
    """A model, its inputs, and what each backend made of it."""

    graph: Graph
    inputs: dict[str, Any]
    predictions: dict[str, Prediction]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """All models in one process of Node for each backend."""
    root = tmp_path_factory.mktemp("shims")
    graphs = {name: open_model(randomised(BUILDERS[name]())).graph for name in NAMES}
    inputs = {name: drawn(graph) for name, graph in graphs.items()}
    for at, name in enumerate(NAMES):
        assert convert(graphs[name], root / str(at), shims=True).format == "layers-model"
    jobs = [(root / str(at), list(inputs[name].values())) for at, name in enumerate(NAMES)]
    found = {backend: dict(zip(NAMES, predict_all(jobs, backend=backend), strict=True)) for backend in BACKENDS}
    return {name: Run(graphs[name], inputs[name], {one: found[one][name] for one in BACKENDS}) for name in NAMES}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NAMES)
def test_shimmed_models_are_within_rounding(runs: dict[str, Run], name: str, backend: str) -> None:
    run = runs[name]
    prediction = run.predictions[backend]
    assert prediction.error is None
    bounds = model_bounds(run.graph, run.inputs)
    for output, (exact, bound) in zip(prediction.outputs, bounds, strict=True):
        assert output.shape == exact.shape
        assert np.all(np.abs(output - exact) <= bound)


@pytest.mark.parametrize("name", NAMES)
def test_weights_arrive_bit_for_bit(runs: dict[str, Run], name: str) -> None:
    run = runs[name]
    sent = {digest(w.value) for _, layer in run.graph.walk() for w in layer.weights if w.value.dtype == np.float32}
    assert sent == set((run.predictions["cpu"].weights or {}).values())
