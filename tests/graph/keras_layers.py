"""A Keras layer with random weights, as Keras computes it and as a LayerNode."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from bittrue.graph.model import Call, LayerNode, TensorRef, Weight
from bittrue.traces import Array


def random_inputs(shapes: tuple[tuple[int, ...], ...], seed: int = 1) -> list[Array]:
    generator = np.random.default_rng(seed)
    return [generator.normal(size=shape, scale=2).astype(np.float32) for shape in shapes]


def run_keras(
    class_name: str, options: dict[str, Any], inputs: list[Array], seed: int = 0
) -> tuple[LayerNode, list[Array]]:
    """The layer called on ``inputs`` (a list where there are several), its weights drawn at random."""
    import keras

    layer = getattr(keras.layers, class_name)(**options)
    given = inputs[0] if len(inputs) == 1 else inputs
    layer(given)
    generator = np.random.default_rng(seed)
    # Away from 0 and positive where a variance must be; the same draw serves as any other weight too.
    layer.set_weights([_drawn(generator, weight) for weight in layer.weights])
    if class_name == "Normalization":
        layer.finalize_state()  # it computes with copies of its weights
    outputs = layer(given)
    arrays = [np.asarray(item) for item in (outputs if isinstance(outputs, list | tuple) else [outputs])]
    return node_of(layer, len(inputs)), arrays


def _drawn(generator: np.random.Generator, weight: Any) -> Array:
    if weight.dtype != "float32":
        return np.asarray(weight)
    if "variance" in weight.name:
        return generator.uniform(0.5, 2, size=weight.shape).astype(np.float32)
    return generator.normal(size=weight.shape).astype(np.float32)


def node_of(layer: Any, inputs: int = 1) -> LayerNode:
    """What the reader of models makes of ``layer``, called once on so many tensors."""
    config = json.loads(json.dumps(layer.get_config()))
    weights = tuple(Weight(variable.name, np.asarray(variable)) for variable in layer.weights)
    refs = [TensorRef(f"input_{at}") for at in range(inputs)]
    call = Call((refs[0] if inputs == 1 else refs,))
    return LayerNode(layer.name, type(layer).__name__, "keras.layers", config, weights, (call,))
