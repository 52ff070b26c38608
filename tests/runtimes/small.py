"""Small models as TensorFlow.js artifacts written by hand, and the places where they run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from scripted import chain

from bittrue.conversion.tfjs.artifact import Artifact
from bittrue.graph.model import Graph


def dense_chain(folder: Path, depth: int = 3, size: int = 4) -> tuple[Artifact, Graph]:
    """x → d0 → d1 …: each layer's kernel is the identity and its bias is 1, so that d<n> is x + n + 1, exactly."""
    names = [f"d{number}" for number in range(depth)]
    start = {"batch_input_shape": [None, size], "dtype": "float32", "sparse": False, "name": "x"}
    layers = [{"class_name": "InputLayer", "config": start, "name": "x", "inbound_nodes": []}]
    for before, name in zip(["x", *names], names, strict=False):
        config = {"units": size, "activation": "linear", "use_bias": True, "name": name, "dtype": "float32"}
        layers.append({"class_name": "Dense", "config": config, "name": name, "inbound_nodes": [[[before, 0, 0, {}]]]})
    config = {"name": "chain", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [[names[-1], 0, 0]]}
    weights = [
        {"name": f"{name}/{part}", "shape": shape, "dtype": "float32"}
        for name in names
        for part, shape in (("kernel", [size, size]), ("bias", [size]))
    ]
    document = {
        "format": "layers-model",
        "modelTopology": {"keras_version": "2.15.0", "model_config": {"class_name": "Functional", "config": config}},
        "weightsManifest": [{"paths": ["w.bin"], "weights": weights}],
    }
    bits = np.eye(size, dtype=np.float32).tobytes() + np.ones(size, np.float32).tobytes()
    return write(folder, {"model.json": json.dumps(document).encode(), "w.bin": bits * depth}), chain(*names, size=size)


def write(folder: Path, contents: dict[str, bytes]) -> Artifact:
    """The artifact of these files."""
    folder.mkdir(exist_ok=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    return Artifact(folder, "layers-model", "4.22.0", hashes)
