"""Writes whole-model HDF5 files in the layouts of Keras 2, so that no binary fixture is needed.

The layout: ``model_config`` (JSON) and ``keras_version`` as attributes of the file; a group ``model_weights``
with ``layer_names``, a group a layer with ``weight_names``, and datasets called ``<layer>/<weight>:0`` in it.
A nested model is one layer whose group holds the weights of all its layers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Weights = Mapping[str, Mapping[str, np.ndarray]]
Node = tuple[str, int, int]


def write_h5(path: Path, config: Mapping[str, Any], weights: Weights, version: str | None = "2.15.0") -> Path:
    """``weights``: for each top-level layer, its arrays by the name Keras 2 gave them, ``:0`` left out."""
    with h5py.File(path, "w") as file:
        file.attrs["backend"] = "tensorflow"
        if version is not None:
            file.attrs["keras_version"] = version
        file.attrs["model_config"] = json.dumps(config).encode()
        write_weights(file.create_group("model_weights"), weights)
    return path


def write_weights(group: h5py.Group, weights: Weights) -> None:
    """The weights as ``model.save_weights`` of Keras 2 laid them out."""
    group.attrs["layer_names"] = [name.encode() for name in weights]
    for layer, arrays in weights.items():
        inside = group.create_group(layer)
        inside.attrs["weight_names"] = [f"{name}:0".encode() for name in arrays]
        for name, array in arrays.items():
            inside.create_dataset(f"{name}:0", data=array)


def layer(class_name: str, name: str, *calls: list[Node], **config: Any) -> dict[str, Any]:
    """A layer of a Functional model of Keras 2; each of ``calls`` lists the tensors that one call took."""
    inbound = [[[*node, {}] for node in call] for call in calls]
    return {"class_name": class_name, "name": name, "config": {"name": name, **config}, "inbound_nodes": inbound}


def functional(
    name: str, layers: list[Any], inputs: list[Node], outputs: list[Node], class_name: str = "Functional"
) -> Any:
    """A Functional model; Keras before 2.4 wrote ``Model`` as its class."""
    config = {"name": name, "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": class_name, "config": config}


def random_weights(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Positive float32 weights, so that they may stand for variances as well."""
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(0.1, 1.0, shape).astype(np.float32) for name, shape in shapes.items()}


def convolutional(path: Path) -> tuple[Path, Weights]:
    """A small image network of Keras 2.15: lists for axes, ``alpha``, ``groups`` where Keras 3 knows none."""
    pixels: dict[str, Any] = {"padding": "same", "strides": [1, 1], "use_bias": True, "data_format": "channels_last"}
    layers = [
        layer("InputLayer", "image", batch_input_shape=[None, 4, 4, 2], dtype="float32", sparse=False, ragged=False),
        layer(
            "Conv2D", "conv", [("image", 0, 0)], filters=3, kernel_size=[3, 3], groups=1, activation="linear", **pixels
        ),
        layer("BatchNormalization", "norm", [("conv", 0, 0)], axis=[3], momentum=0.99, epsilon=0.001),
        layer("LeakyReLU", "leaky", [("norm", 0, 0)], alpha=0.125),
        layer("DepthwiseConv2D", "depth", [("leaky", 0, 0)], kernel_size=[3, 3], groups=1, activation="relu", **pixels),
        layer("GlobalAveragePooling2D", "pool", [("depth", 0, 0)], data_format="channels_last", keepdims=False),
    ]
    shapes = {
        "conv": {"conv/kernel": (3, 3, 2, 3), "conv/bias": (3,)},
        "norm": {f"norm/{part}": (3,) for part in ("gamma", "beta", "moving_mean", "moving_variance")},
        "depth": {"depth/depthwise_kernel": (3, 3, 3, 1), "depth/bias": (3,)},
    }
    weights = {name: random_weights(of, seed) for seed, (name, of) in enumerate(shapes.items())}
    config = functional("convolutional", layers, [("image", 0, 0)], [("pool", 0, 0)])
    return write_h5(path, config, {"image": {}, **weights, "leaky": {}, "pool": {}}), weights


def nested(path: Path) -> tuple[Path, Weights]:
    """A model inside a model, called twice, as Keras 2.3 wrote it: class ``Model``, call indices from 1."""
    inner = functional(
        "inner",
        [
            layer("InputLayer", "inside", batch_input_shape=[None, 3], dtype="float32", sparse=False),
            layer("Dense", "dense", [("inside", 0, 0)], units=3, activation="tanh", use_bias=True),
        ],
        [("inside", 0, 0)],
        [("dense", 0, 0)],
        "Model",
    )
    layers = [
        layer("InputLayer", "entry", batch_input_shape=[None, 3], dtype="float32", sparse=False),
        {**inner, "name": "inner", "inbound_nodes": [[["entry", 0, 0, {}]], [["inner", 1, 0, {}]]]},
        layer("Add", "sum", [("inner", 1, 0), ("inner", 2, 0)]),
    ]
    weights = {"inner": random_weights({"dense/kernel": (3, 3), "dense/bias": (3,)}, 5)}
    config = functional("outer", layers, [("entry", 0, 0)], [("sum", 0, 0), ("inner", 2, 0)], "Model")
    return write_h5(path, config, {"entry": {}, **weights, "sum": {}}, "2.3.1"), weights


def oldest(path: Path) -> tuple[Path, Weights]:
    """A Sequential model of Keras 2.0: its configuration a bare list, no input layer, no version."""
    layers = [
        {
            "class_name": "Dense",
            "config": {"name": "first", "batch_input_shape": [None, 4], "units": 3, "activation": "relu"},
        },
        {"class_name": "Dropout", "config": {"name": "drop", "rate": 0.5}},
        {"class_name": "Dense", "config": {"name": "second", "units": 2, "activation": "softmax"}},
    ]
    weights = {
        "first": random_weights({"first/kernel": (4, 3), "first/bias": (3,)}, 1),
        "second": random_weights({"second/kernel": (3, 2), "second/bias": (2,)}, 2),
    }
    config = {"class_name": "Sequential", "config": layers}
    return write_h5(path, config, {"first": weights["first"], "drop": {}, "second": weights["second"]}, None), weights


def wrapped(path: Path) -> tuple[Path, Weights]:
    """A Bidirectional GRU as Keras 2.3 wrote it, the layer inside it by its class alone, and a cell of a wrapper."""
    inside = {
        "name": "gru",
        "units": 2,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "return_sequences": True,
    }
    gru = {"class_name": "GRU", "config": {**inside, "reset_after": True, "implementation": 2, "time_major": False}}
    dense = {"class_name": "Dense", "config": {"name": "dense", "units": 3, "activation": "linear", "use_bias": True}}
    layers = [
        layer("InputLayer", "entry", batch_input_shape=[None, 5, 3], dtype="float32", sparse=False),
        layer("Bidirectional", "both", [("entry", 0, 0)], merge_mode="concat", layer=gru),
        layer("TimeDistributed", "each", [("both", 0, 0)], layer=dense),
    ]
    parts = {"kernel": (3, 6), "recurrent_kernel": (2, 6), "bias": (2, 6)}
    both = {f"both/{way}_gru/{name}": shape for way in ("forward", "backward") for name, shape in parts.items()}
    shapes = {"both": both, "each": {"each/kernel": (4, 3), "each/bias": (3,)}}
    weights = {name: random_weights(shape, at) for at, (name, shape) in enumerate(shapes.items())}
    config = functional("wrapped", layers, [("entry", 0, 0)], [("each", 0, 0)], "Model")
    return write_h5(path, config, weights, "2.3.1"), weights


def attending(path: Path) -> tuple[Path, Weights]:
    """Attention of Keras 2.15: a tensor given by keyword, and the shapes that it was built for among its options."""
    heads = {"num_heads": 2, "key_dim": 3, "value_dim": 3, "use_bias": True, "output_shape": None, "dropout": 0.0}
    built = {f"{name}_shape": [None, 5, 4] for name in ("query", "key", "value")}
    attention = layer("MultiHeadAttention", "heads", [("entry", 0, 0)], attention_axes=[1], **heads, **built)
    attention["inbound_nodes"][0][0][3] = {"value": ["entry", 0, 0], "attention_mask": None}
    layers = [layer("InputLayer", "entry", batch_input_shape=[None, 5, 4], dtype="float32"), attention]
    shapes: dict[str, tuple[int, ...]] = {}
    for part in ("query", "key", "value"):
        shapes |= {f"heads/{part}/kernel": (4, 2, 3), f"heads/{part}/bias": (2, 3)}
    shapes |= {"heads/attention_output/kernel": (2, 3, 4), "heads/attention_output/bias": (4,)}
    weights = {"heads": random_weights(shapes, 4)}
    return write_h5(path, functional("attending", layers, [("entry", 0, 0)], [("heads", 0, 0)]), weights), weights


def slashed(path: Path) -> tuple[Path, Weights]:
    """Names that Keras 3 refuses: with slashes, and one that would become another's without."""
    layers = [
        layer("InputLayer", "entry", batch_input_shape=[None, 3], dtype="float32"),
        layer("Dense", "block/dense", [("entry", 0, 0)], units=4, activation="relu", use_bias=True),
        layer("Dense", "block_dense", [("block/dense", 0, 0)], units=2, activation="linear", use_bias=True),
    ]
    shapes = {
        "block/dense": {"block/dense/kernel": (3, 4), "block/dense/bias": (4,)},
        "block_dense": {"block_dense/kernel": (4, 2), "block_dense/bias": (2,)},
    }
    weights = {name: random_weights(shape, at) for at, (name, shape) in enumerate(shapes.items())}
    return write_h5(path, functional("slashed", layers, [("entry", 0, 0)], [("block_dense", 0, 0)]), weights), weights
