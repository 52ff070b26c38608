"""What is written for each layer, and what is refused by name. The forms are those that TensorFlow.js reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sample_models import chain, dense, input_layer, model, node

from bittrue.conversion.tfjs.layer_config import write_layer
from bittrue.conversion.tfjs.layers_model import write_model
from bittrue.errors import Unsupported
from bittrue.graph.model import Call, Graph, TensorRef

LATEST = (4, 22, 0)


def written(graph: Graph, name: str, version: tuple[int, int, int] = LATEST) -> dict[str, Any]:
    """The entry of layer ``name`` in the topology."""
    layers = write_model(graph, version).topology["config"]["layers"]
    return next(layer for layer in layers if layer["name"] == name)


def refusal(graph: Graph, version: tuple[int, int, int] = LATEST) -> str:
    with pytest.raises(Unsupported) as caught:
        write_model(graph, version)
    assert caught.value.layer is not None
    assert repr(caught.value.layer) in str(caught.value)
    return str(caught.value)


def activation(name: Any) -> Graph:
    return chain(node("Activation", "a", "entry", activation=name))


REWRITTEN: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("LeakyReLU", {"negative_slope": 0.1}, "LeakyReLU", {"alpha": 0.1}),
    ("ReLU", {"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0}, "ReLU", {"max_value": 6.0}),
    ("ReLU", {"max_value": None, "negative_slope": 0.2, "threshold": 0.0}, "LeakyReLU", {"alpha": 0.2}),
    ("ReLU", {"max_value": None, "negative_slope": 0.0, "threshold": 0.5}, "ThresholdedReLU", {"theta": 0.5}),
    ("Activation", {"activation": "leaky_relu"}, "LeakyReLU", {"alpha": 0.2}),
    ("Activation", {"activation": "silu"}, "Activation", {"activation": "swish"}),
    ("Activation", {"activation": "log_softmax"}, "Activation", {"activation": "logSoftmax"}),
    ("Activation", {"activation": {"class_name": "function", "config": "relu"}}, "Activation", {"activation": "relu"}),
    ("Identity", {}, "Activation", {"activation": "linear"}),
    ("Dropout", {"rate": 0.5, "seed": 3, "noise_shape": None}, "Dropout", {"rate": 0.5}),
    ("Flatten", {"data_format": "channels_last"}, "Activation", {"activation": "linear"}),
    ("Softmax", {"axis": 1}, "Softmax", {"axis": -1}),
]


@pytest.mark.parametrize(("class_name", "config", "tfjs", "expected"), REWRITTEN)
def test_layers_are_written_in_terms_that_tensorflow_js_reads(
    class_name: str, config: dict[str, Any], tfjs: str, expected: dict[str, Any]
) -> None:
    entry = written(chain(node(class_name, "x", "entry", **config)), "x")
    assert entry["class_name"] == tfjs
    assert entry["config"] == {"name": "x", "trainable": True, **expected}


def test_inputs_say_their_batch_and_dtype() -> None:
    entry = written(
        chain(
            node(
                "Embedding",
                "e",
                "entry",
                weights={"embeddings": np.ones((5, 2))},
                input_dim=5,
                output_dim=2,
                mask_zero=False,
            ),
            shape=(7,),
            dtype="int64",
        ),
        "entry",
    )
    assert entry["config"] == {"name": "entry", "batch_input_shape": [None, 7], "dtype": "int32", "sparse": False}


def test_what_matters_in_training_alone_is_left_out() -> None:
    regularizer = {"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.01}}
    initializer = {"module": "keras.initializers", "class_name": "LecunNormal", "config": {}}
    layer = dense(
        "d", "entry", kernel_regularizer=regularizer, kernel_constraint=regularizer, kernel_initializer=initializer
    )
    config = written(chain(layer), "d")["config"]
    assert set(config) == {"name", "trainable", "units", "activation", "use_bias", "kernel_initializer"}
    assert config["kernel_initializer"] == {"class_name": "Zeros", "config": {}}


OPERATION = replace(
    node("Multiply", "m", "entry"),
    module="keras.src.ops.numpy",
    calls=(Call((TensorRef("entry"), TensorRef("entry"))),),
)

REFUSED: dict[str, tuple[Graph, str]] = {
    "hard_sigmoid": (activation("hard_sigmoid"), "'hard_sigmoid'"),
    "custom activation": (activation({"class_name": "function", "config": "mine"}), "'mine'"),
    "layer as activation": (activation({"class_name": "LeakyReLU", "config": {}}), "'LeakyReLU'"),
    "elu": (chain(node("ELU", "e", "entry", alpha=0.5)), "alpha=0.5"),
    "relu with all": (
        chain(node("ReLU", "r", "entry", max_value=6, negative_slope=0.1, threshold=0)),
        "negative_slope=0.1",
    ),
    "class": (chain(node("Masking", "m", "entry", mask_value=0)), "no counterpart"),
    "operation": (chain(OPERATION), "counterpart"),
    "quantised policy": (chain(dense("d", "entry", dtype={"config": {"name": "int8"}})), "int8"),
    "whole numbers": (chain(dense("d", "entry"), dtype="int32"), "int32"),
    "one to merge": (chain(node("Add", "m", ["entry"])), "two"),
    "name": (chain(dense("schöne Schicht", "entry")), "takes no such name"),
    "inherited": (chain(dense("constructor", "entry")), "takes no such name, which every object"),
    "underscore": (chain(dense("_d", "entry")), "takes no such name"),
    "returned twice": (model(input_layer("entry", 3), dense("d", "entry"), outputs=["d", "d"]), "2 times"),
}


@pytest.mark.parametrize(("graph", "says"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_wrong_is_refused_by_name(graph: Graph, says: str) -> None:
    assert says in refusal(graph)


def test_an_option_that_nobody_knows_is_refused_unless_it_is_off() -> None:
    write_layer(dense("d", "entry", rank=None), LATEST)
    with pytest.raises(Unsupported, match=r"layer 'd' \(Dense\) .* the option rank=3 is not one"):
        write_layer(dense("d", "entry", rank=3), LATEST)


def test_predicting_is_not_training_whatever_the_call_says() -> None:
    layer = node("Dropout", "d", "entry", rate=0.5)
    called = replace(layer, calls=(Call((TensorRef("entry"),), {"training": True}),))
    assert write_model(chain(called), LATEST).topology == write_model(chain(layer), LATEST).topology


def test_a_layer_with_a_defect_of_a_backend_is_refused_and_the_defect_named() -> None:
    pooling = node("MaxPooling3D", "p", "entry", pool_size=[2, 2, 2], strides=[2, 2, 2], padding="valid")
    assert "wasm-max-pool-3d" in refusal(chain(pooling, shape=(4, 4, 4, 2)))


@pytest.mark.parametrize("name", ["silu", "gelu", "mish"])
def test_an_activation_that_the_version_lacks_is_refused(name: str) -> None:
    assert "TensorFlow.js 1.7.2 has no" in refusal(activation(name), (1, 7, 2))
    assert written(activation(name), "a")["class_name"] == "Activation"


def test_a_class_that_the_version_lacks_is_refused() -> None:
    graph = chain(node("Rescaling", "r", "entry", scale=2.0, offset=1.0))
    assert "TensorFlow.js 3.0.0 has no Rescaling" in refusal(graph, (3, 0, 0))
    assert written(graph, "r", (3, 21, 0))["config"]["scale"] == 2.0


def test_a_negative_axis_is_counted_from_the_front() -> None:
    first, second = input_layer("a", 4, 5), input_layer("b", 4, 5)
    graph = model(first, second, node("Concatenate", "c", ["a", "b"], axis=-2))
    assert written(graph, "c")["config"]["axis"] == 1


def test_an_open_size_is_worked_out_beforehand() -> None:
    graph = chain(node("Reshape", "r", "entry", target_shape=[-1, 2]), shape=(3, 4))
    assert written(graph, "r")["config"]["target_shape"] == [6, 2]


def depthwise(width: int) -> Graph:
    options: dict[str, Any] = {"kernel_size": [3, 3], "strides": [2, 2], "padding": "same", "depth_multiplier": 1}
    weights = {"kernel": np.ones((3, 3, 1, 1))}
    layer = node("DepthwiseConv2D", "d", "entry", weights=weights, **options, use_bias=False, activation="linear")
    return chain(layer, shape=(8, width, 1))


def test_unequal_padding_of_depthwise_convolutions_is_refused_before_it_was_repaired() -> None:
    assert "exchanges the padding" in refusal(depthwise(9), (3, 0, 0))
    for graph, version in ((depthwise(9), (3, 21, 0)), (depthwise(8), (1, 7, 2))):
        assert list(write_model(graph, version).weights) == ["d/depthwise_kernel"]


def test_a_mask_that_nothing_uses_is_not_made() -> None:
    embedding = node(
        "Embedding", "e", "entry", weights={"embeddings": np.ones((5, 2))}, input_dim=5, output_dim=2, mask_zero=True
    )
    graph = chain(embedding, node("Activation", "a", "e", activation="tanh"), shape=(7,), dtype="int32")
    assert "mask_zero" not in written(graph, "e")["config"]
    used = chain(embedding, node("GlobalAveragePooling1D", "g", "e", keepdims=False), shape=(7,), dtype="int32")
    assert "computes with a mask" in refusal(used)
