"""A model as the agents run it exactly: the file that ``bittrue export`` writes, and which of its values are whose."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bittrue.exact.export import lowered
from bittrue.exact.file import write
from bittrue.exact.plan import SEMANTICS, Plan
from bittrue.graph.model import Graph
from bittrue.traces import Array

if TYPE_CHECKING:
    from bittrue.conversion.tfjs.artifact import Artifact

__all__ = ["MODULE", "ExactModule", "exact_artifact", "held_weights", "module_files"]

MODULE = "exact.wasm"
_FILE = "model.safetensors"


@dataclass(frozen=True)
class ExactModule:
    """Where the WebAssembly module is, as the runtime that an agent loads."""

    folder: Path
    version: str = SEMANTICS
    scripts: tuple[str, ...] = (MODULE,)


def module_files() -> ExactModule:
    """The module that every side runs."""
    return ExactModule(Path(__file__).parent.parent / "_kernels")


def exact_artifact(graph: Graph, folder: Path) -> Artifact:
    """Write ``graph`` as an exact model into ``folder``. Raises Unsupported for what the exact runtime has not."""
    from bittrue.conversion.tfjs.artifact import Artifact
    from bittrue.conversion.tfjs.precision import in_float32

    graph = in_float32(graph)
    plan, constants = lowered(graph)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / _FILE, plan, constants)
    files = {_FILE: hashlib.sha256((folder / _FILE).read_bytes()).hexdigest()}
    return Artifact(folder, "exact", SEMANTICS, files, _FILE, places=_places(graph, plan, constants))


def held_weights(graph: Graph, constants: Mapping[str, Array]) -> dict[tuple[tuple[str, ...], int], str]:
    """The constants that hold a layer's weights in every bit, by its path and the weight's index.

    Their shapes may be others. Layers of which a weight was folded into another at export are left out.
    """
    names = {_bits(array): name for name, array in reversed(list(constants.items()))}
    found: dict[tuple[tuple[str, ...], int], str] = {}
    for path, layer in graph.walk():
        own = [names.get(_bits(np.asarray(weight.value))) for weight in layer.weights]
        if None not in own:
            found |= {(path, index): name for index, name in enumerate(own) if name is not None}
    return found


def _bits(array: Array) -> tuple[str, bytes]:
    return array.dtype.str, hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()


def _places(graph: Graph, plan: Plan, constants: Mapping[str, Array]) -> dict[str, Any]:
    held = held_weights(graph, constants)
    layers = [
        {
            "path": list(path),
            "class": layer.class_name,
            "weights": [
                {"constant": held[path, index], "shape": list(np.shape(weight.value))}
                for index, weight in enumerate(layer.weights)
                if (path, index) in held
            ],
        }
        for path, layer in graph.walk()
    ]
    outputs: dict[tuple[str, int], list[int]] = {}
    for at, named in enumerate(plan.layers):
        outputs.setdefault((named.name, named.call), []).append(at)
    calls = [
        {"path": list(call.path), "nodes": list(call.nodes), "outputs": outputs[call.name, call.call]}
        for call in graph.calls()
        if (call.name, call.call) in outputs
    ]
    return {"layers": layers, "calls": calls}
