"""What Keras's layer classes are called, which options they take and how they write themselves into a file.

``python scripts/keras_classes.py`` writes src/bittrue/model/keras-classes.json from the Keras that is installed:
for each public class its ``options`` (the names in its constructors), the ``keys`` of its configuration in order with
the value of each that need not be given (``defaults``), what it is called with (``call``) and whether that means
training if nothing is said, and, where it has one, its other name (``type``, ``module``).
"""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "src/bittrue/model/keras-classes.json"

SAMPLES: dict[str, Any] = {
    "activation": "relu",
    "axes": 1,
    "bin_boundaries": [0.0],
    "dims": (1,),
    "equation": "ab,bc->ac",
    "factor": 0.5,
    "filters": 1,
    "groups": 1,
    "head_dim": 1,
    "height": 1,
    "height_factor": 0.5,
    "init_values": 1.0,
    "input_dim": 1,
    "kernel_size": 1,
    "key_dim": 1,
    "n": 1,
    "num_bins": 1,
    "num_heads": 1,
    "num_key_value_heads": 1,
    "num_query_heads": 1,
    "num_tokens": 2,
    "output_dim": 1,
    "output_shape": 1,
    "output_size": 1,
    "pool_size": 2,
    "projection_dim": 1,
    "rate": 0.5,
    "scale": 1.0,
    "shape": (1,),
    "stddev": 1.0,
    "target_shape": (1,),
    "units": 1,
    "width": 1,
    "width_factor": 0.5,
}
"""Something for what must be given; the values do not reach the file."""

ALSO: dict[str, dict[str, Any]] = {
    "CategoryEncoding": {"num_tokens": 2},
    "Discretization": {"bin_boundaries": [0.0]},
    "InputLayer": {"shape": (1,)},
    "RandomPosterization": {"factor": 4},
}
"""What some classes must be given beyond what their signatures say."""

COMMON = ("name", "trainable")


def classes() -> dict[str, Any]:
    """``{"keras": version, "layers": {class: {...}}}`` for all of ``keras.layers``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    named = {name: kind for name, kind in vars(keras.layers).items() if inspect.isclass(kind)}
    public = {name: kind for name, kind in named.items() if issubclass(kind, keras.layers.Layer)}
    return {
        "keras": keras.__version__,
        "layers": {name: _of(keras, name, kind) for name, kind in sorted(public.items())},
    }


def _of(keras: Any, name: str, kind: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"options": sorted(_options(kind))}
    config = _config(keras, kind)
    if config is not None:
        defaults = _defaults(kind)
        found["keys"] = list(config)
        found["defaults"] = {
            key: value
            for key, value in config.items()
            if key not in COMMON and _is_fixed(key, defaults.get(key), value)
        }
        called = inspect.signature(kind.call).parameters
        found["call"] = [one for one in called if one != "self"]
        if "training" in called and called["training"].default is not None:
            found["training"] = called["training"].default
    if kind.__name__ != name:
        found |= {"type": kind.__name__, "module": kind.__module__}
    return found


def _options(kind: Any) -> set[str]:
    own = [vars(base)["__init__"] for base in kind.__mro__ if "__init__" in vars(base)]
    return {name for init in own for name in inspect.signature(init).parameters}


def _defaults(kind: Any) -> dict[str, Any]:
    """What the constructors of the class and its bases take where an option is not given; None if nothing is said."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if "__init__" in vars(base):
            found |= {one.name: one.default for one in inspect.signature(vars(base)["__init__"]).parameters.values()}
    return found


def _required(kind: Any) -> list[str]:
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    given = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in parameters if one.default is one.empty and one.kind not in given]


def _config(keras: Any, kind: Any) -> dict[str, Any] | None:
    """The configuration of an instance that is given no more than it must be; None for what cannot be made so."""
    layers = keras.layers
    inside = {"layer": layers.LSTM(1), "cell": layers.LSTMCell(1), "cells": [layers.LSTMCell(1)]}
    if kind is layers.SpectralNormalization:
        inside["layer"] = layers.Dense(1)
    samples = {**SAMPLES, **inside}
    given = {**{name: samples.get(name) for name in _required(kind)}, **ALSO.get(kind.__name__, {})}
    try:
        return {str(key): value for key, value in kind(**given).get_config().items()}
    except Exception:  # abstract, of another framework, or in need of more than a sample
        return None


def _is_fixed(key: str, default: Any, value: Any) -> bool:
    """Whether ``value`` stands for an option that is not given, whatever the others are."""
    if default is inspect.Parameter.empty:
        return False
    if key == "dtype" or key.endswith("_initializer") or (default is None and key in ("activation", "data_format")):
        return True
    return _plain(value) == _plain(default) or (default is None and value is False)


def _plain(value: Any) -> Any:
    """Equal numbers are one."""
    items = [_plain(item) for item in value] if isinstance(value, list | tuple) else None
    if items is None:
        return value
    return items[0] if items and all(item == items[0] for item in items) else items


def text() -> str:
    """The file's content: a class a line."""
    found = classes()
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(facts)}" for name, facts in found["layers"].items())
    return f'{{\n "keras": {json.dumps(found["keras"])},\n "layers": {{\n{lines}\n }}\n}}\n'


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8", newline="\n")
