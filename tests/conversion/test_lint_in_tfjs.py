"""What lint says TensorFlow.js would do with Keras's own configuration is what TensorFlow.js does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from in_node import BUNDLED

from bittrue.conversion.tfjs.lint_options import issues_of
from bittrue.graph.model import LayerNode
from bittrue.model import open_model
from bittrue.runtimes.discovery import find_node

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.needs("node", "tensorflow")]

IMAGE, SERIES, FLAT = (6, 6, 4), (5, 4), (4,)

REJECTED: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Activation", {"activation": "silu"}, FLAT),
    ("Activation", {"activation": "leaky_relu"}, FLAT),
    ("Activation", {"activation": "celu"}, FLAT),
    ("Conv1D", {"filters": 2, "kernel_size": 2, "padding": "causal"}, SERIES),
    ("Dense", {"units": 2, "activation": "hard_silu"}, FLAT),
    ("Dense", {"units": 2, "kernel_initializer": "lecun_normal"}, FLAT),
    ("Dense", {"units": 2, "kernel_regularizer": "l2"}, FLAT),
    ("ELU", {"alpha": 0.3}, FLAT),
    ("GRU", {"units": 2, "reset_after": True}, SERIES),
    ("GroupNormalization", {"groups": 2}, FLAT),
    ("Identity", {}, FLAT),
    ("InputLayer", {}, FLAT),
    ("Subtract", {}, FLAT),
    ("UpSampling2D", {"interpolation": "bicubic"}, IMAGE),
]

DIFFERENT: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Activation", {"activation": "hard_sigmoid"}, FLAT),
    ("Conv2D", {"filters": 2, "kernel_size": 2, "groups": 2}, IMAGE),
    ("DepthwiseConv2D", {"kernel_size": 2, "dilation_rate": 2}, IMAGE),
    ("GlobalAveragePooling2D", {"keepdims": True}, IMAGE),
    ("LayerNormalization", {"rms_scaling": True}, FLAT),
    ("LeakyReLU", {"negative_slope": 0.1}, FLAT),
    ("ReLU", {"negative_slope": 0.1}, FLAT),
    ("ReLU", {"threshold": 0.5}, FLAT),
]

PLAIN: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Activation", {"activation": "log_softmax"}, FLAT),
    ("BatchNormalization", {}, FLAT),
    ("Conv2D", {"filters": 2, "kernel_size": 2, "dilation_rate": 2}, IMAGE),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 2}, IMAGE),
    ("Dense", {"units": 2}, FLAT),
    ("LSTM", {"units": 2}, SERIES),
    ("LeakyReLU", {}, FLAT),
    ("MaxPooling2D", {}, IMAGE),
    ("ReLU", {"max_value": 6}, FLAT),
    ("SeparableConv2D", {"filters": 2, "kernel_size": 2}, IMAGE),
]

CASES = [
    (kind, *case) for kind, cases in (("rejected", REJECTED), ("different", DIFFERENT), ("", PLAIN)) for case in cases
]
IDS = [f"{kind or 'plain'}-{name}-{'-'.join(map(str, options.values()))}" for kind, name, options, _ in CASES]


def layer_of(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> LayerNode:
    """The layer as Keras saves it."""
    import keras

    entry = keras.Input(shape, name="entry")
    made = entry if name == "InputLayer" else getattr(keras.layers, name)(**options, name="x")
    if name == "Subtract":
        return open_model(keras.Model(entry, made([entry, entry]))).graph.layers[-1]
    return open_model(keras.Model(entry, entry if made is entry else made(entry))).graph.layers[-1]


def topology(layer: LayerNode, shape: tuple[int, ...]) -> dict[str, Any]:
    """The layer's own configuration in a model whose form is TensorFlow.js's."""
    entry = {"name": "entry", "batch_input_shape": [None, *shape], "dtype": "float32"}
    layers = [{"name": "entry", "class_name": "InputLayer", "config": entry, "inbound_nodes": []}]
    config = json.loads(json.dumps(dict(layer.config), default=str))
    nodes = [[["entry", 0, 0, {}]]] if layer.calls else []
    layers.append({"name": "x", "class_name": layer.class_name, "config": config, "inbound_nodes": nodes})
    ends = {"input_layers": [["entry", 0, 0]], "output_layers": [["x", 0, 0]]}
    return {"class_name": "Model", "config": {"name": "m", "layers": layers, **ends}}


@pytest.fixture(scope="module")
def complaints() -> list[tuple[LayerNode, str | None]]:
    """Each case's layer, and what TensorFlow.js says of it."""
    node = find_node()
    assert node is not None
    layers = [layer_of(name, options, shape) for _, name, options, shape in CASES]
    asked = {
        "tfjs": str(BUNDLED),
        "topologies": [topology(layer, case[3]) for layer, case in zip(layers, CASES, strict=True)],
    }
    command = [str(node.path), str(Path(__file__).with_name("load.mjs"))]
    done = subprocess.run(command, input=json.dumps(asked).encode(), capture_output=True, timeout=120, check=True)
    return list(zip(layers, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("at", range(len(CASES)), ids=IDS)
def test_tensorflow_js_does_as_lint_says(complaints: list[tuple[LayerNode, str | None]], at: int) -> None:
    layer, complaint = complaints[at]
    kinds = {issue.kind for issue in issues_of(layer, (4, 22, 0))}
    assert kinds == ({CASES[at][0]} if CASES[at][0] else set())
    assert (complaint is not None) is (CASES[at][0] == "rejected"), complaint
