"""What Keras 2 wrote, in Keras 3's terms.

Keras 3 reads most of Keras 2's configurations, but not all: it rejects some (``groups`` of a depthwise
convolution, the bare list of an old Sequential), connects nested models to the wrong call, and gives
``hard_sigmoid`` another meaning without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bittrue.errors import Unsupported, UntrustedCode

from .custom import known_custom
from .keras_facts import keras_class

__all__ = ["modernise", "refuse_unknown_classes", "with_axes"]

Config = dict[str, Any]

_MODELS = {"Model": "Functional", "Functional": "Functional", "Sequential": "Sequential"}
_INERT = {
    "groups": 1,
    "time_major": False,
    "virtual_batch_size": None,
    "adjustment": None,
    "fused": None,
    "ragged": False,
}
"""Keys that Keras 3 does not know, with the value at which Keras 2 did nothing about them."""

_BUILT = ("query_shape", "key_shape", "value_shape")  # what a layer was built for, which its first call says again
_WRAPPED = ("layer", "backward_layer", "cell", "cells")
_GROUPED = ("Conv1D", "Conv2D", "Conv3D")
_OPERATIONS = (
    "TFOpLambda",
    "SlicingOpLambda",
    "TensorFlowOpLayer",
    "ClassMethod",
    "InstanceMethod",
    "InstanceProperty",
)


def modernise(config: Config, path: Path) -> Config:
    """A model's ``{"class_name", "config"}`` of Keras 2 as Keras 3 must be given it. Raises Unsupported."""
    kind = _MODELS[config["class_name"]]
    inside = config["config"]
    if isinstance(inside, list):
        inside = {"layers": inside}
    layers = [_layer(layer, path) for layer in inside["layers"]]
    if kind == "Sequential":
        inside = {"name": inside.get("name", "sequential"), "layers": _with_input(inside["layers"], layers)}
    else:
        inside = {**inside, "layers": layers}
        _renumber(inside)
        for layer in layers:
            layer["inbound_nodes"] = [_node(node) for node in layer.get("inbound_nodes", [])]
    outer = {key: value for key, value in config.items() if key in ("name", "inbound_nodes")}
    return {**outer, "class_name": kind, "config": inside}


def with_axes(config: Config) -> Config:
    """A model's configuration with the module of each layer that has several axes, or none.

    Where Keras 3 is not told the module, it drops such an ``axis`` and takes the default without a word.
    """
    inside = config.get("config")
    if not isinstance(inside, dict) or not isinstance(inside.get("layers"), list):
        return config
    return {**config, "config": {**inside, "layers": [_with_axis(layer) for layer in inside["layers"]]}}


def _with_axis(layer: Config) -> Config:
    if layer["class_name"] in _MODELS:
        return with_axes(layer)
    axis = layer["config"].get("axis", 0)
    kept = isinstance(axis, int | float) or (isinstance(axis, list) and len(axis) == 1)
    return layer if kept or "module" in layer else {"module": "keras.layers", "registered_name": None, **layer}


def refuse_unknown_classes(config: Config, path: Path) -> None:
    """Raise UntrustedCode or Unsupported for the first layer whose class Keras 3 does not have."""
    for layer in _layers(config):
        name, kind = layer["config"].get("name", "?"), layer["class_name"]
        if kind in _OPERATIONS:
            because = "an operation of TensorFlow that only Keras 2 can read back; save it with Keras 3 from its source"
            raise Unsupported(f"{path}: layer {name!r} ({kind}) is {because}", layer=name, path=str(path))
        if keras_class(kind) is None and kind not in known_custom():
            because = "no layer of Keras 3's own, and the file does not hold its code"
            remedy = f"give its source with --custom module:{kind}, or replace it and save again"
            raise UntrustedCode(f"{path}: layer {name!r} ({kind}) is {because}; {remedy}", path=str(path))


def _layers(config: Config) -> Iterator[Config]:
    inside = config["config"]
    for layer in inside if isinstance(inside, list) else inside["layers"]:
        if layer["class_name"] in _MODELS:
            yield from _layers(layer)
        else:
            yield layer


def _layer(layer: Config, path: Path) -> Config:
    if layer["class_name"] in _MODELS:
        return modernise(layer, path)
    kind = layer["class_name"]
    config = {key: value for key, value in layer["config"].items() if not _is_inert(kind, key, value)}
    _refuse_hard_sigmoid(config, path)
    config.update({key: _inside(config[key], path) for key in _WRAPPED if key in config})
    if isinstance(config.get("dtype"), dict):
        config["dtype"] = config["dtype"].get("config", {}).get("name", "float32")
    if kind in _REPAIRS:
        _REPAIRS[kind](config)
    outer = {key: value for key, value in layer.items() if key in ("name", "inbound_nodes")}
    return {**outer, "class_name": kind, "config": config}


def _inside(value: Any, path: Path) -> Any:
    """A layer inside another one, or a list of them: Keras 3 looks for its class in the module that it names."""
    if isinstance(value, list):
        return [_inside(item, path) for item in value]
    if not isinstance(value, dict) or "class_name" not in value:
        return value
    layer = _layer(value, path)
    if layer["class_name"] in _MODELS.values():
        return layer
    return {"module": "keras.layers", "registered_name": None, **layer}


def _with_input(before: list[Config], layers: list[Config]) -> list[Config]:
    """A Sequential with its input layer written out: Keras 2 kept the input's shape in the first layer."""
    first = before[0]
    shape = first["config"].get("batch_input_shape") if isinstance(first["config"], dict) else None
    if shape is None or first["class_name"] == "InputLayer":
        return layers
    config = {
        "name": f"{first['config']['name']}_input",
        "batch_shape": shape,
        "dtype": layers[0]["config"].get("dtype", "float32"),
    }
    return [{"class_name": "InputLayer", "config": config}, *layers]


def _is_inert(kind: str, key: str, value: Any) -> bool:
    if key == "batch_input_shape":
        return kind != "InputLayer"
    if key in _BUILT or key.endswith(("_initializer", "_regularizer", "_constraint")):
        return key not in _options_of(kind)
    return key in _INERT and value == _INERT[key] and not (key == "groups" and kind in _GROUPED)


def _options_of(kind: str) -> frozenset[str]:
    """The options that Keras 3's class takes; Keras 2 wrote some of a base class that have no effect."""
    facts = keras_class(kind)
    return frozenset() if facts is None else facts.options


def _refuse_hard_sigmoid(config: Config, path: Path) -> None:
    for key in ("activation", "recurrent_activation"):
        if config.get(key) == "hard_sigmoid":
            name = config.get("name", "?")
            because = "which was clip(0.2x + 0.5, 0, 1) in Keras 2 and is relu6(x + 3) / 6 in Keras 3"
            raise Unsupported(f"{path}: layer {name!r} uses hard_sigmoid, {because}", layer=name, path=str(path))


def _single_axis(config: Config) -> None:
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]


def _slope(config: Config) -> None:
    if "alpha" in config:
        config["negative_slope"] = config.pop("alpha")


def _old_gru(config: Config) -> None:
    config.setdefault("reset_after", False)


_REPAIRS: dict[str, Callable[[Config], None]] = {
    "BatchNormalization": _single_axis,
    "LeakyReLU": _slope,
    "GRU": _old_gru,
}


def _renumber(model: Config) -> None:
    """Let calls of nested models count from 0, as Keras 3 does: Keras 2 counted their construction as call 0.

    Keras 3 itself counts from 1 where a Functional model is referred to among the outputs.
    """
    kinds = {layer["name"]: layer["class_name"] for layer in model["layers"] if layer["class_name"] in _MODELS.values()}
    inbound, outputs = list(_references(model["layers"])), list(_references(model["output_layers"]))
    for name, kind in kinds.items():
        shift = min((ref[1] for ref in inbound + outputs if ref[0] == name), default=0) and 1
        for ref in inbound:
            ref[1] -= shift if ref[0] == name else 0
        for ref in outputs:
            ref[1] += (kind == "Functional") - shift if ref[0] == name else 0


def _node(node: Any) -> Any:
    """A call that is given tensors by keyword, as Keras 3 writes it: there alone does it read those as tensors."""
    if not isinstance(node, list) or len(node) != 1 or len(node[0]) < 4 or not isinstance(node[0][3], dict):
        return node
    keywords = node[0][3]
    if not any(_is_reference(value) for value in keywords.values()):
        return node
    kwargs = {key: _tensor(value) if _is_reference(value) else value for key, value in keywords.items()}
    return {"args": [_tensor(node[0])], "kwargs": kwargs}


def _is_reference(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and [type(item) for item in value] == [str, int, int]


def _tensor(ref: list[Any]) -> Config:
    """Shape and dtype are those of what the reference leads to, whatever is said here."""
    described = {"shape": [], "dtype": "float32", "keras_history": ref[:3]}
    return {"class_name": "__keras_tensor__", "config": described}


def _references(value: Any) -> Iterator[list[Any]]:
    """Every ``[layer, call, output, …]`` in a Functional configuration, nested models left alone."""
    if isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and all(isinstance(item, int) for item in value[1:3]):
            yield value
            value = value[3:]
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        yield from _references(value.get("inbound_nodes") if "class_name" in value else list(value.values()))
