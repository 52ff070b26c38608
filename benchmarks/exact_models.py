"""The models of the benchmark of the exact runtime, with weights drawn at random: no figure depends on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["BATCHES", "MODELS", "Written", "build", "fed", "write"]

BATCHES = (1, 8)


@dataclass(frozen=True)
class Written:
    """One model as files in ``folder``: tfjs for TensorFlow.js, model.safetensors the exact one, model.onnx."""

    folder: Path
    format: str
    parameters: int


def experiment() -> Any:
    """Ten dense layers of 50."""
    from bittrue.experiment import Experiment

    return Experiment().build()


def encoder() -> Any:
    """Twelve blocks of a transformer: 384 wide, 6 heads, 128 places."""
    import keras

    layers = keras.layers
    x = entry = keras.Input((128, 384), name="x")
    for _ in range(12):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(6, 64)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(384)(layers.Dense(1536, activation="gelu")(x)))
    return keras.Model(entry, x)


def application(name: str) -> Callable[[], Any]:
    """A model of keras.applications without its trained weights."""

    def make() -> Any:
        import keras

        return getattr(keras.applications, name)(weights=None)

    return make


MODELS: dict[str, Callable[[], Any]] = {
    "MobileNetV2": application("MobileNetV2"),
    "ResNet50": application("ResNet50"),
    "transformer encoder": encoder,
    "experiment": experiment,
}


def build(name: str) -> Any:
    """The Keras model, with one seed."""
    import keras

    keras.utils.set_random_seed(123)
    return MODELS[name]()


def fed(model: Any, batch: int) -> Any:
    """What ``model`` is fed: one batch of numbers in [0, 1)."""
    return np.random.default_rng(batch).random((batch, *model.inputs[0].shape[1:]), np.float32)


def write(name: str, folder: Path) -> Written:
    """Write the model in its three forms."""
    from onnx_model import write_onnx

    from bittrue.conversion.tfjs import convert
    from bittrue.exact.export import export, lowered
    from bittrue.model import open_model

    graph = open_model(build(name)).graph
    folder.mkdir(parents=True)
    export(graph, folder / "model.safetensors")
    write_onnx(*lowered(graph), folder / "model.onnx")
    artifact = convert(graph, folder / "tfjs")
    weights = {id(weight.value): weight.value.size for _, layer in graph.walk() for weight in layer.weights}
    return Written(folder, artifact.format, sum(weights.values()))
