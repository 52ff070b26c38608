"""Models that several tests and benchmarks share. Keras is imported by whoever builds one, never on import.

All weights come from NumPy's seeded generator, in the order of ``model.weights``: the models do not depend on
Keras's random numbers nor on what ran before.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["calibrate", "deep_recursion", "dense_chain", "image", "mobilenet_v2", "wide_model"]

Array = NDArray[np.float32]

_STEP = 1024
"""Batch statistics are kept to 1/1024: convolutions that differ in their last bits give the same model."""


def image(seed: int = 0, batch: int = 1, size: int = 224) -> Array:
    """Seeded images of (batch, size, size, 3) in [-1, 1]: coarse blobs with fine noise, so every scale has content."""
    rng = np.random.default_rng(seed)
    blobs = rng.uniform(-0.8, 0.8, (batch, 7, 7, 3)).repeat(-(-size // 7), axis=1).repeat(-(-size // 7), axis=2)
    noise = rng.uniform(-0.2, 0.2, (batch, size, size, 3))
    return (blobs[:, :size, :size] + noise).astype(np.float32)


def mobilenet_v2(seed: int = 1, size: int = 224) -> Any:
    """Keras's MobileNetV2 with seeded weights, calibrated so that the activations of every layer are of order one.

    With plain random weights the late activations are near 1e-11 and a comparison of them proves nothing.
    """
    import keras

    model = keras.applications.MobileNetV2(input_shape=(size, size, 3), weights=None)
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights([_weight(rng, weight.name, tuple(weight.shape)) for weight in layer.weights])
    calibrate(model, image(seed, batch=2, size=size))
    return model


def calibrate(model: Any, images: Array) -> None:
    """Set the moving statistics of every BatchNormalization to those of its input, in execution order.

    ``model`` is a Functional model of one input whose layers are each called once.
    """
    values: dict[int, Any] = {id(model.input): images}
    for operation in model.operations:
        if operation.__class__.__name__ == "InputLayer":
            continue
        inputs = operation.input
        given = [values[id(x)] for x in inputs] if isinstance(inputs, list) else values[id(inputs)]
        if operation.__class__.__name__ == "BatchNormalization":
            _observe(operation, np.asarray(given, np.float64))
        values[id(operation.output)] = operation(given)


def _observe(layer: Any, values: NDArray[np.float64]) -> None:
    axes = tuple(range(values.ndim - 1))
    mean = np.round(values.mean(axes) * _STEP) / _STEP
    variance = np.maximum(np.round(values.var(axes) * _STEP), 1.0) / _STEP
    layer.moving_mean.assign(mean.astype(np.float32))
    layer.moving_variance.assign(variance.astype(np.float32))


def _weight(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    """He's normal for kernels; scales around one and small offsets, no two alike."""
    if name in ("gamma", "moving_variance"):
        value = rng.uniform(0.7, 1.3, shape)
    elif name in ("beta", "bias", "moving_mean"):
        value = rng.uniform(-0.2, 0.2, shape)
    else:
        fan_in = shape[0] * shape[1] if len(shape) == 4 and shape[3] == 1 else int(np.prod(shape[:-1]))
        value = rng.normal(0.0, np.sqrt(2.0 / fan_in), shape)
    return value.astype(np.float32)


def dense_chain(depth: int, size: int = 32, seed: int = 2) -> Any:
    """``depth`` Dense layers of ``size`` units whose activations keep their size: orthogonal kernels, small biases.

    Called ``dense_0``, ``dense_1``, …; one input ``input`` of (batch, size).
    """
    import keras

    tensor = entry = keras.Input((size,), name="input")
    layers = [keras.layers.Dense(size, name=f"dense_{index}") for index in range(depth)]
    for layer in layers:
        tensor = layer(tensor)
    rng = np.random.default_rng(seed)
    for layer in layers:
        kernel, _ = np.linalg.qr(rng.normal(size=(size, size)))
        bias = rng.normal(0.0, 1.0 / np.sqrt(depth), size)
        layer.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
    with deep_recursion(depth):
        return keras.Model(entry, tensor, name=f"chain_{depth}")


@contextmanager
def deep_recursion(depth: int) -> Iterator[None]:
    """Room for Keras, which walks a graph with one Python call or more for each layer of its depth."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 1000 + 10 * depth))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def wide_model(nbytes: int, side: int = 256, channels: int = 16, seed: int = 3) -> Any:
    """A chain of 1x1 convolutions whose layer outputs for one image are together at least ``nbytes`` bytes.

    One input ``input`` of (batch, side, side, 3); each layer's output is side x side x channels float32.
    """
    import keras

    depth = -(-nbytes // (side * side * channels * 4))
    tensor = entry = keras.Input((side, side, 3), name="input")
    layers = [keras.layers.Conv2D(channels, 1, activation="relu", name=f"conv_{index}") for index in range(depth)]
    for layer in layers:
        tensor = layer(tensor)
    rng = np.random.default_rng(seed)
    for layer in layers:
        layer.set_weights([_weight(rng, weight.name, tuple(weight.shape)) for weight in layer.weights])
    return keras.Model(entry, tensor, name=f"wide_{depth}")
