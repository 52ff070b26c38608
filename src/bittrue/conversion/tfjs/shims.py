"""Layers that TensorFlow.js lacks, as programs that one class of a small module runs: ``bittrue-shims.js``.

A program is what the graph-model form of the layer's call would be: the nodes that its ops are lowered to. The module
knows no layer; it hands the nodes to TensorFlow.js's own graph executor, weights and inputs fed. Loops over time are
the only thing that it adds: there they may be of any length.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from bittrue.errors import ModelError, Unsupported
from bittrue.graph.expansion import Expansion, WeightRef
from bittrue.graph.layers import expand
from bittrue.graph.model import LayerNode
from bittrue.ops import Op, Scan, TensorSpec
from bittrue.traces import Array

from .expanded import write_expansion
from .layer_config import refused
from .lowering import Nodes, Scope, Tensor, lower
from .lowering.attributes import held, shape, text, type_of, whole
from .versions import Version

__all__ = ["SHIMS", "SHIM_CLASS", "Shim", "shim", "shims_module"]

SHIMS = "bittrue-shims.js"
"""The name of the module beside ``model.json``."""

SHIM_CLASS = "BittrueLayer"
_OP = "BittrueLoop"
_PRODUCER = 1882  # as in graph-models
_ALTERED = re.compile("[A-Z_]")
_ALIEN = re.compile(r"[^A-Za-z0-9_.\-/]")


@dataclass(frozen=True)
class Shim:
    """A layer's configuration for the class `SHIM_CLASS`, and by their index the names of the weights that it reads."""

    config: Mapping[str, Any]
    weights: Mapping[int, str]


def shims_module() -> bytes:
    """The module that registers the class, as it is written beside an artifact."""
    return files(__package__).joinpath("shims.js").read_bytes()


def shim(layer: LayerNode, calls: Sequence[tuple[int, Sequence[TensorSpec]]], version: Version) -> Shim:
    """``layer`` as a program, for each of its ``calls`` the same: (index, specs of its tensors).

    Raises Unsupported, naming the layer, where an op has no nodes in TensorFlow.js, where the calls would need
    programs of their own, or where a weight is not float32.
    """
    written = [_program(layer, index, tuple(specs), version) for index, specs in calls]
    if any(one != written[0] for one in written):
        raise refused(layer, "its calls would have to be written differently, for tensors of different shapes")
    program, names = written[0]
    config = {
        "name": layer.name,
        "trainable": bool(layer.config.get("trainable", True)),
        "program": _unalterable(program),
    }
    return Shim(config, names)


def _unalterable(program: Mapping[str, Any]) -> str:
    """JSON without capitals and underscores: TensorFlow.js respells strings of configurations and attributes."""
    plain = json.dumps(program, allow_nan=False, separators=(",", ":"))
    return _ALTERED.sub(lambda found: f"\\u{ord(found[0]):04x}", plain)


def _program(
    layer: LayerNode, index: int, specs: tuple[TensorSpec, ...], version: Version
) -> tuple[dict[str, Any], dict[int, str]]:
    nodes = Nodes()
    inputs = [_fed(layer, nodes, f"input_{at}", spec) for at, spec in enumerate(specs)]
    weights: dict[int, Tensor] = {}

    def weight(ref: WeightRef) -> Tensor:
        if ref.index not in weights:
            value = layer.weights[ref.index].value
            if value.dtype != np.float32:
                raise refused(layer, f"its weight {ref.name!r} is {value.dtype}, and float32 is what is written")
            weights[ref.index] = _fed(layer, nodes, f"weight_{ref.index}", TensorSpec.of(value))
        return weights[ref.index]

    scope = Scope(nodes, "op", layer, version)
    results = write_expansion(scope, _expansion(layer, specs, index), inputs, weight, _lowered)
    outputs = [_returned(nodes, tensor) for tensor in results]
    names = _names(layer, sorted(weights))
    entries = [
        {"node": weights[at].node, "name": names[at], "shape": list(layer.weights[at].value.shape)} for at in names
    ]
    program = {
        "inputs": [{"node": one.node, "dtype": held(one.spec.dtype)} for one in inputs],
        "weights": entries,
        "outputs": [
            {"node": one.node, "dtype": held(one.spec.dtype), "shape": [None, *one.spec.shape[1:]]} for one in outputs
        ],
        **_graph(nodes),
    }
    return program, {at: f"{layer.name}/{name}" for at, name in names.items()}


def _expansion(layer: LayerNode, specs: tuple[TensorSpec, ...], index: int) -> Expansion:
    try:
        return expand(layer, specs, index)
    except Unsupported:
        raise
    except ModelError as error:
        raise Unsupported(f"layer {layer.name!r} ({layer.class_name}): {error}", layer=layer.name) from error


def _fed(layer: LayerNode, nodes: Nodes, name: str, spec: TensorSpec) -> Tensor:
    """A node for what is fed as the layer is called."""
    if held(spec.dtype) is None:
        raise refused(layer, f"it takes {spec.dtype.name} tensors, which TensorFlow.js does not have")
    attributes = {"dtype": type_of(spec.dtype), "shape": shape(spec.shape)}
    return nodes.add("Placeholder", nodes.name(name), (), attributes, spec)


def _returned(nodes: Nodes, tensor: Tensor) -> Tensor:
    """A node of its own for each output: the executor gives a name once."""
    name = nodes.name("output")
    return nodes.add("Identity", name, (tensor,), {"T": type_of(tensor.spec.dtype)}, tensor.spec)


def _names(layer: LayerNode, indices: Sequence[int]) -> dict[int, str]:
    """Keras's short names, made unique and such as TensorFlow.js takes."""
    names: dict[int, str] = {}
    for at in indices:
        name = _ALIEN.sub("_", layer.weights[at].name)
        names[at] = f"{name}_{at}" if name in names.values() or not name[:1].isalnum() else name
    return names


def _graph(nodes: Nodes) -> dict[str, Any]:
    topology = {"node": nodes.listed, "library": {}, "versions": {"producer": _PRODUCER}}
    constants = [
        {"name": name, "shape": list(value.shape), "dtype": value.dtype.name, "values": _numbers(value)}
        for name, value in nodes.arrays.items()
    ]
    return {"topology": topology, "constants": constants}


def _numbers(value: Array) -> list[Any]:
    """The elements such that JavaScript's ``Number`` gives them back, infinities too."""
    special = {math.inf: "Infinity", -math.inf: "-Infinity"}
    return [
        "NaN" if isinstance(one, float) and math.isnan(one) else special.get(one, one) for one in value.ravel().tolist()
    ]


def _lowered(scope: Scope, op: Op, operands: Sequence[Tensor]) -> Tensor:
    return _loop(scope, op, operands) if isinstance(op, Scan) else lower(scope, op, operands)


def _loop(scope: Scope, op: Scan, operands: Sequence[Tensor]) -> Tensor:
    """A node that the module runs: one step of the scan as a graph, over and over."""
    nodes = Nodes()
    step = Scope(nodes, "step", scope.layer, scope.version)
    values = [_fed(scope.layer, nodes, f"fed_{at}", spec) for at, spec in enumerate(_step_specs(op, operands))]
    fed = len(values)
    for one in op.body:
        values.append(_lowered(step, one.op, [values[number] for number in one.operands]))
    results = [_returned(nodes, values[number]) for number in op.results]
    body = {
        "sequences": op.sequences,
        "states": op.states,
        "fed": [tensor.node for tensor in values[:fed]],
        "results": [tensor.node for tensor in results],
        **_graph(nodes),
    }
    attributes = {"body": text(_unalterable(body)), "N": whole(len(operands))}
    (spec,) = op.infer(*(tensor.spec for tensor in operands))
    return scope.node(_OP, operands, spec.shape, attributes, types=())


def _step_specs(op: Scan, operands: Sequence[Tensor]) -> list[TensorSpec]:
    """What one step is fed: a slice of each sequence, the states, and what all steps read alike."""
    specs = [tensor.spec for tensor in operands]
    slices = [TensorSpec((spec.shape[0], *spec.shape[2:]), spec.dtype) for spec in specs[: op.sequences]]
    states = [
        TensorSpec((None, *spec.shape[1:]), spec.dtype) for spec in specs[op.sequences : op.sequences + op.states]
    ]
    return [*slices, *states, *specs[op.sequences + op.states :]]
