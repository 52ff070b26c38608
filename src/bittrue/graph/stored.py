"""A graph as JSON beside a trace, so that what was run can be explained from files alone. Weights stay in the trace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bittrue.errors import TraceError
from bittrue.tracefile import replacing
from bittrue.traces import Array

from .model import Call, Graph, InputSpec, LayerNode, TensorRef, Weight

__all__ = ["read_graph", "write_graph"]

_FORMAT = "bittrue/graph/1"

Weights = Callable[[str], Sequence[Array]]
"""The weights of the layer at a path (names joined by "/"), in Keras's order."""


class Unreadable:
    """Stands for an argument that JSON cannot carry; an expansion refuses it by what it says."""

    def __init__(self, said: str) -> None:
        self._said = said

    def __repr__(self) -> str:
        return self._said


def write_graph(graph: Graph, path: Path) -> None:
    """Write ``graph`` without its weights' values, of which it keeps the SHA-256. Raises TraceError."""
    with replacing(path) as file:
        file.write(json.dumps({"format": _FORMAT, "graph": _graph(graph)}).encode())


def read_graph(path: Path, weights: Weights) -> Graph:
    """The graph at ``path`` with the values that ``weights`` has. Raises TraceError where one is missing or another."""
    try:
        data = json.loads(path.read_bytes())
        if data["format"] != _FORMAT:
            raise ValueError(f"its format is {data['format']!r}")
        return _graph_of(data["graph"], weights, "", path)
    except OSError as error:
        raise TraceError(f"cannot read {path}: {error.strerror or error}; name the model with --model") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TraceError(f"{path} is not a graph that Bittrue has saved ({error})", path=str(path)) from error


def _graph(graph: Graph) -> dict[str, Any]:
    return {
        "name": graph.name,
        "kind": graph.kind,
        "layers": [_layer(layer) for layer in graph.layers],
        "inputs": [
            {"name": spec.name, "shape": spec.shape, "dtype": spec.dtype.name, "ref": _ref(spec.ref)}
            for spec in graph.inputs
        ],
        "outputs": [_ref(ref) for ref in graph.outputs],
    }


def _layer(layer: LayerNode) -> dict[str, Any]:
    return {
        "name": layer.name,
        "class_name": layer.class_name,
        "module": layer.module,
        "config": _plain(layer.config),
        "weights": [[weight.name, _digest(weight.value)] for weight in layer.weights],
        "calls": [{"args": _plain(call.args), "kwargs": _plain(dict(call.kwargs))} for call in layer.calls],
        "subgraph": _graph(layer.subgraph) if layer.subgraph is not None else None,
    }


def _digest(array: Array) -> str:
    exact = np.ascontiguousarray(array)
    return hashlib.sha256(f"{exact.dtype.name} {exact.shape}".encode() + exact.tobytes()).hexdigest()


def _ref(ref: TensorRef) -> list[Any]:
    return [ref.layer, ref.call, ref.output]


def _plain(value: Any) -> Any:
    """``value`` as JSON; what JSON has no word for is a list that begins with a mark."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case TensorRef():
            return ["ref", *_ref(value)]
        case np.ndarray() | np.generic():
            exact = np.ascontiguousarray(value)
            return ["array", exact.dtype.str, list(np.shape(value)), exact.tobytes().hex()]
        case tuple() | list():
            return [type(value).__name__, *map(_plain, value)]
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case slice():
            return ["slice", *map(_plain, (value.start, value.stop, value.step))]
        case _ if value is Ellipsis:
            return ["ellipsis"]
        case _:
            return ["unreadable", repr(value)]


def _value(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _value(item) for key, item in data.items()}
    if not isinstance(data, list):
        return data
    mark, *rest = data
    match mark:
        case "ref":
            return TensorRef(*rest)
        case "array":
            return np.frombuffer(bytes.fromhex(rest[2]), np.dtype(rest[0])).reshape(rest[1])
        case "tuple":
            return tuple(map(_value, rest))
        case "list":
            return list(map(_value, rest))
        case "slice":
            return slice(*map(_value, rest))
        case "ellipsis":
            return Ellipsis
        case _:
            return Unreadable(str(rest[0]))


def _graph_of(data: dict[str, Any], weights: Weights, outer: str, path: Path) -> Graph:
    return Graph(
        data["name"],
        data["kind"],
        tuple(_layer_of(layer, weights, outer, path) for layer in data["layers"]),
        tuple(
            InputSpec(spec["name"], tuple(spec["shape"]), np.dtype(spec["dtype"]), TensorRef(*spec["ref"]))
            for spec in data["inputs"]
        ),
        tuple(TensorRef(*ref) for ref in data["outputs"]),
    )


def _layer_of(data: dict[str, Any], weights: Weights, outer: str, path: Path) -> LayerNode:
    name = outer + data["name"]
    inner = data["subgraph"]
    return LayerNode(
        data["name"],
        data["class_name"],
        data["module"],
        _value(data["config"]),
        _weights_of(data["weights"], weights, name, path),
        tuple(Call(_value(call["args"]), _value(call["kwargs"])) for call in data["calls"]),
        _graph_of(inner, weights, f"{name}/", path) if inner is not None else None,
    )


def _weights_of(saved: list[list[str]], weights: Weights, name: str, path: Path) -> tuple[Weight, ...]:
    if not saved:
        return ()
    held = weights(name)
    if [_digest(value) for value in held] != [digest for _, digest in saved]:
        raise TraceError(
            f"the reference's trace does not hold the weights of {name!r} as {path} knows them; name the model with "
            "--model",
            path=str(path),
        )
    return tuple(Weight(short, value) for (short, _), value in zip(saved, held, strict=True))
