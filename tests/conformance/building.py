"""A case as a Keras model with weights of its own, and the tensors that it is fed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tests.conformance.cases import Case, Feed, Made, Shared

from bittrue.traces import Array

__all__ = ["BATCH", "Built", "build"]

BATCH = 2
_WORDS = np.array(["red", "green", "blue", "grey"])


@dataclass(frozen=True)
class Built:
    """The model of one case, and its inputs by name."""

    case: Case
    model: Any
    inputs: Mapping[str, Array]


def build(case: Case, floats: str = "float32") -> Built:
    """``case`` as a Functional model, its weights and inputs, of dtype ``floats``, drawn from the case's own name."""
    import keras

    symbols = [_input(keras, case, at, feed, floats) for at, feed in enumerate(case.feeds)]
    model = keras.Model(symbols, _applied(keras, case, symbols))
    draw = np.random.default_rng(zlib.crc32(case.key.encode()))
    for layer in model.layers:
        weights = layer.weights
        if weights:
            layer.set_weights([_drawn(draw, weight) for weight in weights])
    inputs = {symbol.name: _fed(draw, feed, floats) for symbol, feed in zip(symbols, case.feeds, strict=True)}
    return Built(case, model, inputs)


def _input(keras: Any, case: Case, at: int, feed: Feed, floats: str) -> Any:
    # What is stateful knows how many sequences it goes on with.
    batch = BATCH if case.options.get("stateful") else None
    dtype = floats if feed.dtype == "float32" else feed.dtype
    return keras.Input(feed.shape, batch_size=batch, dtype=dtype, name=f"{case.key}_in{at}")


def _applied(keras: Any, case: Case, symbols: list[Any]) -> Any:
    if case.kind == "function":
        return getattr(keras.activations, case.subject)(symbols[0], **case.options)
    options = {name: _made(keras, value) for name, value in {**case.required, **case.options}.items()}
    if case.subject == "InputLayer":
        return keras.layers.Identity(name=f"{case.key}_layer")(symbols[0])
    named = {} if case.subject == "Pipeline" else {"name": f"{case.key}_layer"}
    layer = getattr(keras.layers, case.subject)(**options, **named)
    given = symbols[: case.positional]
    call = {name: _tensors(value, symbols) for name, value in case.call.items()}
    if case.joined:
        for name in ("mask",):  # of a list, the mask is a list too
            if name in call and not isinstance(call[name], list):
                call[name] = [call[name]]
        return layer(given, **call)
    return layer(*given, **call)


def _tensors(value: Any, symbols: list[Any]) -> Any:
    if not isinstance(value, Shared):
        return value
    found = [symbols[at] for at in value.at]
    return found[0] if len(found) == 1 else found


def _made(keras: Any, value: Any) -> Any:
    if isinstance(value, Made):
        options = {name: _made(keras, inner) for name, inner in value.options.items()}
        return getattr(keras.layers, value.class_name)(**options)
    if isinstance(value, tuple) and any(isinstance(item, Made) for item in value):
        return [_made(keras, item) for item in value]
    return value


def _drawn(draw: np.random.Generator, weight: Any) -> Array:
    """Numbers of the size that training leaves, positive where a variance must be; tables of others as they are."""
    if not str(weight.dtype).startswith("float") or weight.path.endswith(_TABLES):
        return np.asarray(weight)
    if "variance" in weight.name:
        return np.asarray(draw.uniform(0.5, 2, size=weight.shape), np.float32)
    fan = int(np.prod(weight.shape[:-1])) if len(weight.shape) > 1 else 1
    return np.asarray(draw.normal(size=weight.shape) / np.sqrt(max(fan, 1)), np.float32)


_TABLES = ("real_kernel", "imag_kernel", "count", "mean_normalization")


def _fed(draw: np.random.Generator, feed: Feed, floats: str) -> Array:
    """The numbers are those of float32, whatever type holds them."""
    found = _values(draw, feed)
    return found.astype(floats) if feed.dtype == "float32" else found


def _values(draw: np.random.Generator, feed: Feed) -> Array:
    shape = (BATCH, *feed.shape)
    match feed.kind:
        case "normal":
            return np.asarray(draw.normal(size=shape, scale=2), np.float32)
        case "image":
            return np.asarray(np.rint(draw.uniform(0, 255, size=shape)), np.float32)
        case "below":
            return np.asarray(draw.integers(0, feed.limit, size=shape), np.int32)
        case "truth":
            # Along the last axis somewhere true: what is masked throughout has no one answer.
            found: Array = draw.random(size=shape) > 0.4
            found[..., 0] = True
            return found
        case "steps":
            lengths = draw.integers(1, feed.shape[0] + 1, size=BATCH)
            return np.asarray(np.arange(feed.shape[0]) < lengths[:, None])
        case _:
            return np.asarray(draw.choice(_WORDS, size=shape))
