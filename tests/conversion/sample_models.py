"""Graphs made by hand: what is written must not need Keras."""

from __future__ import annotations

from typing import Any

import numpy as np

from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef, Weight

__all__ = ["chain", "dense", "input_layer", "model", "node"]


def input_layer(name: str, *shape: int | None, dtype: str = "float32") -> LayerNode:
    config = {"name": name, "batch_shape": [None, *shape], "dtype": dtype, "sparse": False, "ragged": False}
    return LayerNode(name, "InputLayer", "keras.layers", config, (), ())


def node(class_name: str, name: str, *calls: Any, weights: dict[str, Any] | None = None, **config: Any) -> LayerNode:
    """A layer of Keras; each of ``calls`` is a call's argument: a name, a TensorRef, or a list of them."""
    made = tuple(Call((_tensors(call),)) for call in calls)
    named = tuple(Weight(key, np.asarray(value, np.float32)) for key, value in (weights or {}).items())
    return LayerNode(name, class_name, "keras.layers", {"name": name, "trainable": True, **config}, named, made)


def dense(name: str, *calls: Any, units: int = 3, given: int = 3, **config: Any) -> LayerNode:
    weights = {"kernel": np.ones((given, units)), "bias": np.zeros(units)}
    options = {"units": units, "activation": "linear", "use_bias": True, **config}
    return node("Dense", name, *calls, weights=weights, **options)


def model(*layers: LayerNode, outputs: list[Any] | None = None, name: str = "model") -> Graph:
    """A Functional model whose inputs are its input layers; by default it returns its last layer's first call."""
    inputs = tuple(
        InputSpec(
            layer.name, tuple(layer.config["batch_shape"]), np.dtype(layer.config["dtype"]), TensorRef(layer.name)
        )
        for layer in layers
        if layer.class_name == "InputLayer"
    )
    returned = tuple(_tensors(output) for output in outputs or [layers[-1].name])
    return Graph(name, "Functional", layers, inputs, returned)


def chain(*layers: LayerNode, shape: tuple[int | None, ...] = (3,), dtype: str = "float32") -> Graph:
    """``layers``, whose calls name the one before; the input is called ``entry``."""
    return model(input_layer("entry", *shape, dtype=dtype), *layers)


def _tensors(value: Any) -> Any:
    if isinstance(value, list):
        return [_tensors(item) for item in value]
    return TensorRef(value) if isinstance(value, str) else value
