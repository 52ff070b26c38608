"""The architectures of keras.applications, with seeded weights under which every activation is of order one."""

from __future__ import annotations

import gc
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.conversion.transformer_cases import CASES, inputs_of, seeded
from tests.models.mobilenet import image

from bittrue.graph.model import Graph

__all__ = ["BLOCKS", "Architecture", "blocks", "build", "census", "given", "names"]

BLOCKS = "transformer blocks"
"""The family of the cases of `tests.conversion.transformer_cases`, which are examined beside the architectures."""

LARGEST = 100_000_000
"""Parameters."""

_STEP = 1024
"""Batch statistics are kept to 1/1024: convolutions that differ in their last bits give the same model."""


@dataclass(frozen=True)
class Architecture:
    """One function of keras.applications. ``size``: side of the smallest image it takes, in pixels; 0 for a block."""

    name: str
    family: str
    parameters: int
    size: int


def names() -> list[str]:
    """Every architecture that this Keras has."""
    import keras

    return sorted(name for name, value in vars(keras.applications).items() if inspect.isfunction(value))


def census() -> list[Architecture]:
    """All of them with up to 100 million parameters, the smallest of each family first, built without their weights."""
    found = [_counted(name) for name in names()]
    return sorted((one for one in found if one.parameters <= LARGEST), key=lambda one: (one.family, one.parameters))


def blocks() -> list[Architecture]:
    """The transformer blocks; how large they are is of no interest."""
    return [Architecture(case.__name__, BLOCKS, 0, 0) for case in CASES]


def given(model: Any, graph: Graph, family: str) -> dict[str, NDArray[Any]]:
    """What the model is fed, by input."""
    return inputs_of(graph) if family == BLOCKS else {graph.inputs[0].name: images(model)}


def build(architecture: Architecture, seed: int = 1) -> Any:
    """The model for the smallest image, seeded and calibrated on eight images."""
    if architecture.family == BLOCKS:
        return seeded(next(case for case in CASES if case.__name__ == architecture.name)())
    model = _function(architecture.name)(weights=None, input_shape=(architecture.size, architecture.size, 3))
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers(include_self=False):
        own = [variable for variable in layer.weights if not getattr(layer, "layers", None)]
        for variable in own:
            variable.assign(_drawn(rng, variable))
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()  # Normalization computes with copies of its weights
    _calibrate(model, images(model, batch=8, seed=seed))
    return model


def images(model: Any, batch: int = 1, seed: int = 5) -> NDArray[np.float32]:
    """Seeded images of the range that the model takes: 0 to 255 if it rescales them itself, else -1 to 1."""
    side = model.inputs[0].shape[1]
    drawn = image(seed, batch=batch, size=side)
    rescales = any(type(layer).__name__ == "Rescaling" for layer in model._flatten_layers())
    return (drawn + 1) * np.float32(127.5) if rescales else drawn


def _calibrate(model: Any, given: NDArray[np.float32]) -> None:
    """Make every moving mean and variance that of the batch ``given``, by one step of training without any noise."""
    layers = model._flatten_layers(include_self=False)
    normalising = [layer for layer in layers if type(layer).__name__ == "BatchNormalization"]
    noisy = [layer for layer in model._flatten_layers() if getattr(layer, "rate", None)]
    kept = [(layer, name, getattr(layer, name)) for layer, name in _named(normalising, noisy)]
    try:
        for layer, name, _ in kept:
            setattr(layer, name, 0.0)
        model(given, training=bool(normalising))
    finally:
        for layer, name, value in kept:
            setattr(layer, name, value)
    for layer in normalising:
        steps = [np.round(np.asarray(variable) * _STEP) for variable in (layer.moving_mean, layer.moving_variance)]
        layer.moving_mean.assign(steps[0] / _STEP)
        layer.moving_variance.assign(np.maximum(steps[1], 16) / _STEP)


def _named(normalising: list[Any], noisy: list[Any]) -> list[tuple[Any, str]]:
    return [*((layer, "momentum") for layer in normalising), *((layer, "rate") for layer in noisy)]


def _counted(name: str) -> Architecture:
    import keras

    function, size = _function(name), _least(_function(name))
    with keras.StatelessScope():  # which makes no weights
        model = function(weights=None, input_shape=(size, size, 3))
    found = Architecture(name, function.__module__.rpartition(".")[2], model.count_params(), size)
    del model
    keras.backend.clear_session()
    gc.collect()
    return found


def _function(name: str) -> Callable[..., Any]:
    import keras

    found: Callable[..., Any] = getattr(keras.applications, name)
    return found


def _least(function: Callable[..., Any]) -> int:
    """The side of the smallest image, which Keras names when it is given a smaller one."""
    try:
        function(weights=None, input_shape=(8, 8, 3))
    except ValueError as error:
        named = re.search(r"at least (\d+)x", str(error))
        if named is not None:
            return int(named[1])
        raise
    return 8


def _drawn(rng: np.random.Generator, variable: Any) -> Any:
    """He's normal for kernels; scales around one, small offsets; what is no float as it is."""
    shape, name = tuple(variable.shape), variable.name
    if "float" not in str(variable.dtype):
        return np.asarray(variable)
    if name in ("gamma", "moving_variance", "variance") or name.startswith("variable"):
        return rng.uniform(0.7, 1.3, shape)
    if len(shape) < 2:
        return rng.uniform(-0.2, 0.2, shape)
    fan_in = shape[0] * shape[1] if len(shape) == 4 and shape[3] == 1 else int(np.prod(shape[:-1]))
    return rng.normal(0.0, np.sqrt(2.0 / fan_in), shape)
