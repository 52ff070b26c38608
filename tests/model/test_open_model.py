"""Keras models become graphs: layers, calls, constants and the exact bits of the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_models
import numpy as np
import pytest

from bittrue.errors import ModelError, Unsupported
from bittrue.graph.model import Graph, TensorRef
from bittrue.model import open_model

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]
Build = Callable[[], Any]
BUILDERS = [keras_models.shared, keras_models.nested, keras_models.sequential, keras_models.dictionaries]


def facts(graph: Graph) -> list[Any]:
    """All of a graph that does not depend on where it was saved; weights as bytes."""
    layers = [
        (path, layer.class_name, layer.module, layer.calls, [(w.name, w.value.tobytes()) for w in layer.weights])
        for path, layer in graph.walk()
    ]
    return [graph.kind, layers, graph.inputs, graph.outputs]


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.hdf5"])
def test_a_saved_model_opens_as_the_graph_of_the_live_one(build: Build, name: str, tmp_path: Path) -> None:
    live = build()
    live.save(tmp_path / name)
    opened = open_model(tmp_path / name)
    assert facts(opened.graph) == facts(open_model(live).graph)
    assert opened.path == tmp_path / name
    assert opened.format == ("keras" if name.endswith(".keras") else "keras-h5")


def test_a_live_model_is_returned_as_it_is() -> None:
    live = keras_models.sequential()
    opened = open_model(live)
    assert opened.keras() is live
    assert (opened.path, opened.format) == (None, "live")


def test_calls_of_a_shared_layer_keep_their_order_and_structure() -> None:
    graph = open_model(keras_models.shared()).graph
    calls = graph.layer("dense").calls
    assert [call.args for call in calls] == [(TensorRef("one"),), (TensorRef("two"),), (TensorRef("dense", 0),)]
    total = graph.layer("total").calls[0]
    assert total.args == ([TensorRef("dense", 0), TensorRef("dense", 1), TensorRef("dense", 2)],)
    assert graph.outputs == (TensorRef("total"), TensorRef("dense", 1))


def test_nested_models_are_subgraphs_whose_calls_count_from_zero() -> None:
    graph = open_model(keras_models.nested()).graph
    pair = graph.layer("pair")
    assert pair.subgraph is not None
    assert (pair.class_name, pair.weights) == ("Functional", ())
    assert [call.inputs for call in pair.calls] == [(TensorRef("entry"),), (TensorRef("pair", 0, 0),)]
    assert graph.layer("join").calls[0].inputs == (TensorRef("pair", 1, 0), TensorRef("pair", 0, 1))
    assert pair.subgraph.layer("chain").class_name == "Sequential"
    assert [".".join(path) for path, _ in pair.subgraph.walk()][-1] == "side"


def test_a_sequential_is_a_chain_from_its_input() -> None:
    graph = open_model(keras_models.sequential()).graph
    assert graph.kind == "Sequential"
    assert [layer.name for layer in graph.layers] == ["start", "a", "b", "c"]
    assert graph.layer("c").calls[0].args == (TensorRef("b"),)


def test_weights_have_keras_short_names_and_bits() -> None:
    live = keras_models.nested()
    chain = open_model(live).graph.layer("pair").subgraph.layer("chain").subgraph  # type: ignore[union-attr]
    norm = chain.layer("norm")  # type: ignore[union-attr]
    assert [weight.name for weight in norm.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    theirs = live.get_layer("pair").get_layer("chain").get_layer("deep").get_weights()[0]
    assert chain.layer("deep").weight("kernel").tobytes() == theirs.tobytes()  # type: ignore[union-attr]


def test_inputs_tell_shape_and_dtype() -> None:
    import keras

    entry = keras.Input((None, 3), dtype="int32", name="tokens")
    (spec,) = open_model(keras.Model(entry, keras.layers.Embedding(5, 2)(entry))).graph.inputs
    assert (spec.name, spec.shape, spec.dtype, spec.ref) == (
        "tokens",
        (None, None, 3),
        np.dtype("int32"),
        TensorRef("tokens"),
    )


def test_operations_keep_their_module_and_constants() -> None:
    graph = open_model(keras_models.with_operations()).graph
    (multiply,) = (layer for layer in graph.layers if layer.class_name == "Multiply")
    assert multiply.module.startswith("keras.src.ops")
    assert multiply.calls[0].args == (TensorRef("dense"), 2.5)


def test_configurations_are_plain_json() -> None:
    import json

    for _, layer in open_model(keras_models.nested()).graph.walk():
        assert json.loads(json.dumps(layer.config)) == layer.config


def test_a_sequential_of_unknown_input_is_one_sentence() -> None:
    import keras

    with pytest.raises(ModelError, match=r"does not say what its input is; begin it with keras\.Input"):
        open_model(keras.Sequential([keras.layers.Dense(3)]))


def test_a_sequential_built_later_has_an_input() -> None:
    import keras

    model = keras.Sequential([keras.layers.Dense(3)])
    model.build((None, 4))
    assert open_model(model).graph.inputs[0].shape == (None, 4)


def test_a_subclassed_model_that_was_never_called_is_told_to_be() -> None:
    import keras

    class Mine(keras.Model):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(Unsupported, match=r"subclassed model \(Mine\).*call it once"):
        open_model(Mine())


def test_something_else_is_no_model() -> None:
    with pytest.raises(ModelError, match="an object of type int is no model"):
        open_model(3)
