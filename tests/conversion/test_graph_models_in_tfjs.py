"""Whole models as graph-models in real TensorFlow.js, of the newest and the oldest version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bounds import model_bounds
from in_node import BUNDLED, predict
from test_models_in_tfjs import BUILDERS, IDS, OLD, Build, drawn, oldest, randomised
from tests.model import keras_models

from bittrue.conversion.tfjs import convert
from bittrue.model import open_model

__all__ = ["oldest"]

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.needs("node", "tensorflow")]


def check(graph: Any, folder: Path, version: str = "4.22.0", tfjs: Path = BUNDLED) -> dict[str, Any]:
    convert(graph, folder, version=version, form="graph-model")
    inputs = drawn(graph)
    found = predict(folder, list(inputs.values()), tfjs)
    assert len(found.outputs) == len(graph.outputs)
    for output, (exact, bound) in zip(found.outputs, model_bounds(graph, inputs), strict=True):
        assert output.shape == exact.shape
        assert np.all(np.abs(output - exact) <= bound)
    document: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("build", BUILDERS, ids=IDS)
def test_outputs_are_within_rounding(build: Build, tmp_path: Path) -> None:
    check(open_model(randomised(build())).graph, tmp_path / "out")


@pytest.mark.needs("npm")
@pytest.mark.parametrize("build", OLD, ids=[name for name in IDS if name != "block"])
def test_the_oldest_version_runs_what_is_written_for_it(build: Build, oldest: Path, tmp_path: Path) -> None:
    check(open_model(randomised(build())).graph, tmp_path / "out", "1.7.2", oldest)


def test_every_call_of_every_layer_has_its_nodes(tmp_path: Path) -> None:
    graph = open_model(keras_models.nested()).graph
    document = check(graph, tmp_path / "out")
    present = {node["name"] for node in document["modelTopology"]["node"]}
    calls = document["userDefinedMetadata"]["bittrue"]["calls"]
    assert sorted((tuple(call["path"]), tuple(call["nodes"])) for call in calls) == sorted(
        (call.path, call.nodes) for call in graph.calls()
    )
    assert {output["node"] for call in calls for output in call["outputs"]} <= present


def test_a_tensor_returned_twice_and_an_input_returned_as_it_is(tmp_path: Path) -> None:
    import keras

    entry = keras.Input((3,), name="entry")
    twice = keras.layers.Dense(2, name="twice")(entry)
    graph = open_model(keras.Model(entry, [twice, entry, twice])).graph
    document = check(graph, tmp_path / "out")
    assert list(document["signature"]["outputs"]) == ["twice", "entry", "twice_1"]


def test_names_that_mean_something_to_javascript(tmp_path: Path) -> None:
    import keras

    entry = keras.Input((3,), name="1")
    first = keras.layers.Dense(2, name="2:ñ a")(entry)
    second = keras.layers.Dense(2, name="__proto__")(entry)
    fourth = keras.layers.Dense(2, name="constructor")(entry)
    third = keras.layers.Dense(2, name="1 a")(entry)
    check(open_model(keras.Model(entry, [first, second, third, fourth])).graph, tmp_path / "out")


@pytest.mark.parametrize("spatial", [(None, None), (None, 5)])
def test_sizes_that_are_not_known_before(spatial: tuple[int | None, ...], tmp_path: Path) -> None:
    import keras

    layers = keras.layers
    entry = keras.Input((*spatial, 4), name="entry")
    x = layers.Conv2DTranspose(3, 3, strides=2, padding="same")(entry)
    x = layers.EinsumDense("abcd,de->abce", output_shape=(None, None, 6))(x)
    x = layers.GroupNormalization(2)(layers.Dense(6, activation="hard_sigmoid")(x))
    graph = open_model(randomised(keras.Model(entry, layers.GlobalAveragePooling2D()(x)))).graph
    convert(graph, tmp_path / "out", form="graph-model")
    inputs = {"entry": np.random.default_rng(1).normal(size=(2, 4, 5, 4)).astype(np.float32)}
    (found,) = predict(tmp_path / "out", list(inputs.values())).outputs
    ((exact, bound),) = model_bounds(graph, inputs)
    assert np.all(np.abs(found - exact) <= bound)
