"""Recurrent layers and wrappers as layers-models in real TensorFlow.js: within rounding of the exact answer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_node import Prediction, digest, predict_all

from bittrue.conversion.tfjs import convert
from bittrue.errors import Unsupported
from bittrue.graph.evaluate import layer_bound
from bittrue.graph.model import LayerNode
from bittrue.model import open_model
from bittrue.ops import Axioms

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.needs("node", "tensorflow")]

Case = tuple[str, dict[str, Any], tuple[int | None, ...]]

SERIES = (7, 4)
CELLS: dict[str, dict[str, Any]] = {"LSTM": {}, "GRU": {"reset_after": False}, "SimpleRNN": {}}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"return_sequences": True},
    {"return_sequences": True, "return_state": True},
    {"return_sequences": True, "go_backwards": True},
    {"use_bias": False},
    {"activation": "relu"},
    {"dropout": 0.2, "recurrent_dropout": 0.1},
    {"unroll": True},
]
GATES = [{"recurrent_activation": name} for name in ("sigmoid", "tanh")]
STEPWISE: list[tuple[tuple[str, dict[str, Any]], tuple[int, ...]]] = [
    (("Dense", {"units": 3, "activation": "softmax"}), (4, 5)),
    (("Conv1D", {"filters": 2, "kernel_size": 2}), (3, 6, 2)),
    (("Conv2D", {"filters": 2, "kernel_size": 2, "activation": "relu"}), (3, 6, 6, 2)),
    (("LeakyReLU", {"negative_slope": 0.1}), (4, 5)),
    (("Activation", {"activation": "silu"}), (4, 5)),
    (("MaxPooling2D", {}), (3, 6, 6, 2)),
]

WRITTEN: list[Case] = [
    *((name, {"units": 3, **cell, **more}, SERIES) for (name, cell), more in product(CELLS.items(), OPTIONS)),
    *((name, {"units": 3, **CELLS[name], **more}, SERIES) for name, more in product(("LSTM", "GRU"), GATES)),
    *(
        ("Bidirectional", {"layer": (name, {"units": 3, "return_sequences": long, **cell}), "merge_mode": mode}, SERIES)
        for (name, cell), long, mode in product(CELLS.items(), (False, True), ("concat", "sum", "mul", "ave"))
    ),
    *(("TimeDistributed", {"layer": layer}, shape) for layer, shape in STEPWISE),
]

REFUSED: list[tuple[Case, str]] = [
    (("GRU", {"units": 3}, SERIES), "reset_after=True"),
    (("LSTM", {"units": 3, "recurrent_activation": "hard_sigmoid"}, SERIES), "'hard_sigmoid'"),
    (("LSTM", {"units": 3, "activation": "hard_sigmoid"}, SERIES), "'hard_sigmoid'"),
    (("Bidirectional", {"layer": ("LSTM", {"units": 3}), "merge_mode": None}, SERIES), "merge_mode=None"),
    (("Bidirectional", {"layer": ("GRU", {"units": 3})}, SERIES), "reset_after=True"),
    (("Bidirectional", {"layer": ("LSTM", {"units": 3, "return_state": True})}, SERIES), "returns its state"),
    (("TimeDistributed", {"layer": ("Flatten", {})}, (3, 4, 2)), "wraps a layer other than"),
    (("TimeDistributed", {"layer": ("Dense", {"units": 2, "activation": "hard_sigmoid"})}, SERIES), "'hard_sigmoid'"),
]


def model_of(case: Case) -> Any:
    import keras

    name, options, shape = case
    keras.utils.set_random_seed(1)
    made = dict(options)
    if "layer" in made:
        inner, config = made["layer"]
        made["layer"] = getattr(keras.layers, inner)(**config)
    entry = keras.Input(shape)
    model = keras.Model(entry, getattr(keras.layers, name)(**made)(entry))
    rng = np.random.default_rng(2)
    model.set_weights([rng.uniform(-0.8, 0.8, weight.shape) for weight in model.weights])
    return model


@dataclass(frozen=True)
class Run:
    """A case's layer, its input, and what TensorFlow.js made of it."""

    layer: LayerNode
    given: np.ndarray[Any, Any]
    found: Prediction


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """All cases in one process of Node."""
    root = tmp_path_factory.mktemp("recurrent")
    rng = np.random.default_rng(3)
    layers, jobs = [], []
    for at, case in enumerate(WRITTEN):
        graph = open_model(model_of(case)).graph
        convert(graph, root / str(at), form="layers-model")
        layers.append(graph.layers[-1])
        jobs.append((root / str(at), [rng.normal(size=(2, *case[2])).astype(np.float32)]))
    answers = predict_all(jobs)
    return [Run(layer, job[1][0], found) for layer, job, found in zip(layers, jobs, answers, strict=True)]


IDS = [f"{at}-{name}-{'-'.join(map(str, options.values()))}"[:70] for at, (name, options, _) in enumerate(WRITTEN)]


@pytest.mark.parametrize("at", range(len(WRITTEN)), ids=IDS)
def test_every_output_is_within_rounding_and_every_weight_arrives(runs: list[Run], at: int) -> None:
    run = runs[at]
    assert run.found.error is None
    for (exact, bound), found in zip(layer_bound(run.layer, [run.given], Axioms()), run.found.outputs, strict=True):
        assert found.shape == exact.shape
        assert np.all(np.abs(found - exact) <= bound)
    assert run.found.weights is not None
    assert sorted(run.found.weights.values()) == sorted(digest(weight.value) for weight in run.layer.weights)


@pytest.mark.parametrize(("case", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_what_would_be_wrong_is_no_layers_model(case: Case, says: str, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="cannot be written faithfully") as caught:
        convert(open_model(model_of(case)).graph, tmp_path / "out", form="layers-model")
    assert says in str(caught.value)


def test_a_backward_layer_of_its_own_is_refused(tmp_path: Path) -> None:
    import keras

    entry = keras.Input(SERIES)
    backward = keras.layers.LSTM(3, activation="relu", go_backwards=True)
    model = keras.Model(entry, keras.layers.Bidirectional(keras.layers.LSTM(3), backward_layer=backward)(entry))
    with pytest.raises(Unsupported, match="makes the backward layer of the forward one"):
        convert(open_model(model).graph, tmp_path / "out", form="layers-model")
