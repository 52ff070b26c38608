"""Keras 3 models as others bring them to TensorFlow.js: Keras's own configuration, and repairs that people try.

Each repair makes one thing of the configuration as Keras 2 wrote it. They are no part of Bittrue, which converts from
the meaning of the layers; here they lead from one of TensorFlow.js's errors to the next.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

Json = dict[str, Any]


def as_saved(model: Any, repairs: list[str]) -> Json:
    """The topology and the weights' specifications as the official converter writes them, then repaired."""
    config = json.loads(model.to_json())
    for repair in repairs:
        config = REPAIRS[repair](copy.deepcopy(config))
    topology = {"keras_version": "3", "backend": "tensorflow", "model_config": config}
    weights = [{"name": w.path, "shape": list(w.shape), "dtype": "float32"} for w in model.weights]
    return {"topology": topology, "weights": weights}


def objects(value: Any) -> Iterator[Json]:
    """Every JSON object in ``value``, from the outside in."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


def rename_shapes(config: Json) -> Json:
    for entry in objects(config):
        if entry.get("class_name") == "InputLayer":
            entry["config"]["batch_input_shape"] = entry["config"].pop("batch_shape")
    return config


def calls_as_lists(config: Json) -> Json:
    for entry in objects(config):
        if "inbound_nodes" in entry:
            entry["inbound_nodes"] = [[[*source, {}] for source in sources(node)] for node in entry["inbound_nodes"]]
    return config


def sources(node: Json) -> list[list[Any]]:
    """Where the tensors of a call's positional arguments come from: layer, call, output."""
    tensors = [entry for entry in objects(node["args"]) if entry.get("class_name") == "__keras_tensor__"]
    return [tensor["config"]["keras_history"] for tensor in tensors]


def single_ends_in_lists(config: Json) -> Json:
    for entry in objects(config):
        for key in {"input_layers", "output_layers"} & entry.keys():
            if isinstance(entry[key][0], str):
                entry[key] = [entry[key]]
    return config


REPAIRS: dict[str, Callable[[Json], Json]] = {
    "inputs": rename_shapes,
    "nodes": calls_as_lists,
    "lists": single_ends_in_lists,
}
