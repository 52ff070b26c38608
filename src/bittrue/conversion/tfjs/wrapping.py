"""Layers around another layer, which is written by the same rules as one that stands alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bittrue.errors import Unsupported
from bittrue.graph.model import LayerNode, Weight

from .layer_config import Written, check_policy, refused, write_layer
from .versions import Version

__all__ = ["inner_layers", "write"]

_RECURRENT = frozenset({"GRU", "LSTM", "SimpleRNN"})
_MERGES = ("concat", "sum", "mul", "ave")
_STEPWISE = frozenset(
    {"Activation", "AveragePooling1D", "AveragePooling2D", "Conv1D", "Conv2D", "Dense", "Dropout", "ELU", "LeakyReLU"}
    | {"MaxPooling1D", "MaxPooling2D", "ReLU"}
)
"""What may be applied to every step: layers that are written the same for tensors of any shape."""

_DIRECTION = ("name", "go_backwards")  # all that the two layers of a Bidirectional may differ in


def write(layer: LayerNode, version: Version) -> Written:
    """``layer`` for TensorFlow.js of ``version``, wrappers included. Raises Unsupported, naming layer and option."""
    if layer.module == "keras.layers" and layer.class_name == "Bidirectional":
        return _bidirectional(layer, version)
    if layer.module == "keras.layers" and layer.class_name == "TimeDistributed":
        return _time_distributed(layer, version)
    return write_layer(layer, version)


def inner_layers(layer: LayerNode) -> dict[str, LayerNode]:
    """The layers that ``layer`` wraps, by option; the layer's weights belong to all of them."""
    found = {}
    for key in ("layer", "backward_layer"):
        given = layer.config.get(key)
        if isinstance(given, Mapping) and isinstance(given.get("config"), Mapping):
            config = given["config"]
            module, name = str(given.get("module", "keras.layers")), str(given.get("class_name"))
            found[key] = LayerNode(str(config.get("name", key)), name, module, config, (), ())
    return found


def _bidirectional(layer: LayerNode, version: Version) -> Written:
    """TensorFlow.js makes the backward layer of the forward one, and puts its own prefixes before their name."""
    check_policy(layer)
    inner = _wrapped(layer, _RECURRENT, {"layer", "backward_layer", "merge_mode"})
    merge = layer.config.get("merge_mode", "concat")
    if merge not in _MERGES:
        raise refused(layer, f"TensorFlow.js does not do merge_mode={merge!r}, only {' or '.join(_MERGES)}")
    back = inner_layers(layer).get("backward_layer")
    if back is not None and not _mirrored(inner, back):
        raise refused(layer, "TensorFlow.js makes the backward layer of the forward one, and this one is another")
    if inner.config.get("return_state") or inner.config.get("go_backwards"):
        raise refused(layer, "its layer returns its state or goes backwards itself")
    name = inner.name.removeprefix("forward_")
    written = _inside(layer, inner, version)
    half = len(layer.weights) // 2
    sides = [("forward", layer.weights[:half]), ("backward", layer.weights[half:])]
    names = tuple(f"{layer.name}/{side}_{name}/{weight.name}" for side, weights in sides for weight in weights)
    return Written(layer.class_name, {**_outside(layer, written, name), "merge_mode": merge}, names)


def _time_distributed(layer: LayerNode, version: Version) -> Written:
    check_policy(layer)
    inner = _wrapped(layer, _STEPWISE, {"layer"})
    written = _inside(layer, inner, version, layer.weights)
    names = tuple(f"{layer.name}/{name.rpartition('/')[2]}" for name in written.weights)
    return Written(layer.class_name, _outside(layer, written, inner.name), names)


def _wrapped(layer: LayerNode, known: frozenset[str], options: set[str]) -> LayerNode:
    """The layer inside. Raises Unsupported unless it is one of ``known``, and for options besides ``options``."""
    inner = inner_layers(layer).get("layer")
    if inner is None or inner.module != "keras.layers" or inner.class_name not in known:
        raise refused(layer, f"it wraps a layer other than {', '.join(sorted(known))}")
    for key, value in layer.config.items():
        if value is not None and key not in {*options, "name", "trainable", "dtype", "autocast"}:
            raise refused(layer, f"the option {key}={value!r} is not one that Bittrue knows")
    return inner


def _mirrored(forward: LayerNode, backward: LayerNode) -> bool:
    def essence(layer: LayerNode) -> dict[str, Any]:
        inert = (*_DIRECTION, "seed")
        kept = {key: value for key, value in layer.config.items() if key not in inert}
        return {key: value for key, value in kept.items() if not key.endswith("_initializer")}

    same = forward.class_name == backward.class_name and essence(forward) == essence(backward)
    return same and bool(backward.config.get("go_backwards")) != bool(forward.config.get("go_backwards"))


def _inside(layer: LayerNode, inner: LayerNode, version: Version, weights: tuple[Weight, ...] = ()) -> Written:
    whole = LayerNode(inner.name, inner.class_name, inner.module, inner.config, weights, ())
    try:
        return write_layer(whole, version)
    except Unsupported as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise refused(layer, f"its layer, {inner.class_name}, cannot be written: {reason}") from error


def _outside(layer: LayerNode, written: Written, name: str) -> dict[str, Any]:
    inside = {"class_name": written.class_name, "config": {**written.config, "name": name}}
    return {"name": layer.name, "trainable": bool(layer.config.get("trainable", True)), "layer": inside}
