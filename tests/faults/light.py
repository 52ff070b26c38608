"""The command line as it is, but for models that need no Keras: ``chain-DEPTHxSIZE`` in the place of a model's file.

Each layer is a Dense whose kernel is the identity and whose bias is 1. Opening such a model takes no time, so that
a fault can be tried in a process of its own without TensorFlow's start; everything after the opening is the real thing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

import bittrue.model
from bittrue.cli import main
from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef, Weight
from bittrue.model import OpenedModel


def chain(depth: int, size: int) -> Graph:
    """x → d0 → d1 …"""
    entry = {"batch_shape": [None, size], "dtype": "float32", "sparse": False, "name": "x"}
    layers = [LayerNode("x", "InputLayer", "keras.layers", entry, (), ())]
    weights = (Weight("kernel", np.eye(size, dtype=np.float32)), Weight("bias", np.ones(size, np.float32)))
    for number in range(depth):
        config = {"units": size, "activation": "linear", "use_bias": True, "name": f"d{number}", "dtype": "float32"}
        call = Call((TensorRef(layers[-1].name),))
        layers.append(LayerNode(f"d{number}", "Dense", "keras.layers", config, weights, (call,)))
    spec = InputSpec("x", (None, size), np.dtype(np.float32), TensorRef("x"))
    return Graph("chain", "Functional", tuple(layers), (spec,), (TensorRef(layers[-1].name),))


def open_model(source: Any, *, trust: bool = False, custom: Any = None) -> OpenedModel:
    """As the real one, for a name that says what the model is."""
    found = re.fullmatch(r"chain-(\d+)x(\d+)", str(source))
    assert found is not None, source
    return OpenedModel(chain(int(found[1]), int(found[2])), Path(source), "keras", None)


if __name__ == "__main__":
    bittrue.model.open_model = open_model
    main(prog_name="bittrue")
