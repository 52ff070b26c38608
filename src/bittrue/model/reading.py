"""A live Keras model as a `Graph`. Whatever Keras 3 can load or build comes through here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bittrue.errors import ModelError, Unsupported
from bittrue.graph.layers import known_classes
from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef, Weight

from .calls_traced import traced_bodies
from .framework import import_keras

__all__ = ["graph_of"]

_WRAP = "wrap it: x = keras.Input(shape); keras.Model(x, model.call(x))"


def graph_of(model: Any, *, path: Path | None = None) -> Graph:
    """Read layers, connections, constants and weights of a Functional or Sequential model, nested ones included.

    Call indices are those of Keras's own configuration: the order in which the calls that belong to this model
    were made. Raises ModelError for a Sequential model of unknown input, Unsupported for a subclassed model.
    """
    return _Reader(path).graph(model)


class _Reader:
    """Reads one model; ``path`` only serves messages."""

    def __init__(self, path: Path | None) -> None:
        self.path = None if path is None else str(path)

    def graph(self, model: Any, variables: Mapping[int, str] | None = None) -> Graph:
        kind, functional = self._unwrap(model)
        calls = _Calls(functional, variables or {})
        layers = tuple(self._layer(operation, calls) for operation in functional.operations)
        inputs = tuple(self._input(tensor, calls) for tensor in functional.inputs)
        outputs = tuple(calls.ref(tensor) for tensor in functional.outputs)
        return Graph(model.name, kind, layers, inputs, outputs)

    def _unwrap(self, model: Any) -> tuple[str, Any]:
        keras = import_keras()
        if isinstance(model, keras.Sequential):
            functional = model._functional
            if functional is None:
                raise self._error(f"the Sequential model {model.name!r} does not say what its input is; {_declare}")
            return "Sequential", functional
        if not hasattr(model, "operations") or _overrides_call(model):
            name = type(model).__name__
            raise Unsupported(f"model {model.name!r} is a subclassed model ({name}); {_WRAP}", path=self.path)
        return "Functional", model

    def _layer(self, operation: Any, calls: _Calls) -> LayerNode:
        name, kind, module = operation.name, type(operation).__name__, _module_of(operation)
        own = calls.of(operation)
        if _is_model(operation):
            subgraph = self.graph(operation)
            config = {"name": name, "trainable": bool(operation.trainable)}
            return LayerNode(name, subgraph.kind, "keras", config, (), own, subgraph)
        node = LayerNode(name, kind, module, _config_of(operation), _weights_of(operation), own)
        return node if _has_expansion(node) or not own else self._traced(operation, node, calls)

    def _traced(self, operation: Any, node: LayerNode, calls: _Calls) -> LayerNode:
        """``node``, with what its code does if it can be found out."""
        if not isinstance(operation, import_keras().Layer):
            return node
        try:
            return replace(node, bodies=traced_bodies(operation, calls.nodes_of(operation), self.graph))
        except Unsupported as obstacle:
            return replace(node, obstacle=str(obstacle))

    def _input(self, tensor: Any, calls: _Calls) -> InputSpec:
        ref = calls.ref(tensor)
        try:
            dtype = np.dtype(tensor.dtype)
        except TypeError:
            message = f"input {ref.layer!r} takes {tensor.dtype}, which TensorFlow.js models and NumPy do not have"
            advice = "look words up before the model, and give the part of it that takes their numbers"
            raise self._error(f"{message}: {advice if tensor.dtype == 'string' else 'give it numbers'}") from None
        return InputSpec(ref.layer, tuple(tensor.shape), dtype, ref)

    def _error(self, message: str) -> ModelError:
        return ModelError(message if self.path is None else f"{self.path}: {message}", path=self.path)


_declare = "begin it with keras.Input(shape) or call model.build((None, …)) first"


class _Calls:
    """Which calls of which operation belong to a model, and how they are numbered."""

    def __init__(self, functional: Any, variables: Mapping[int, str]) -> None:
        self._variables = variables
        own = {id(node) for nodes in functional._nodes_by_depth.values() for node in nodes}
        self._kept = {
            id(operation): [node for node in operation._inbound_nodes if id(node) in own]
            for operation in functional.operations
        }

    def of(self, operation: Any) -> tuple[Call, ...]:
        """The calls of ``operation``, in order; none for an input layer."""
        return tuple(
            Call(self._converted(node.arguments.args), self._converted(node.arguments.kwargs))
            for node in self.nodes_of(operation)
        )

    def nodes_of(self, operation: Any) -> list[Any]:
        """The same as Keras's own nodes."""
        return [node for node in self._kept[id(operation)] if not node.is_input]

    def ref(self, tensor: Any) -> TensorRef:
        """Which output of which call a Keras tensor is."""
        operation, node, output = tensor._keras_history
        wanted = operation._inbound_nodes[node]
        call = next(index for index, kept in enumerate(self._kept[id(operation)]) if kept is wanted)
        return TensorRef(operation.name, call, output)

    def _converted(self, value: Any) -> Any:
        if isinstance(value, import_keras().KerasTensor):
            return self.ref(value)
        if id(value) in self._variables:
            return TensorRef(self._variables[id(value)])
        if isinstance(value, Mapping):
            return {key: self._converted(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return tuple(self._converted(item) for item in value)
        return [self._converted(item) for item in value] if isinstance(value, list) else value


def _has_expansion(node: LayerNode) -> bool:
    return node.module.startswith("keras.src.ops.") or (
        node.module.startswith("keras.") and node.class_name in known_classes() and node.class_name != "Lambda"
    )


def _is_model(operation: Any) -> bool:
    return isinstance(operation, import_keras().Model)


def _overrides_call(model: Any) -> bool:
    return not type(model).call.__module__.startswith("keras.src.models.")


def _module_of(operation: Any) -> str:
    kind = type(operation)
    exported = getattr(import_keras().layers, kind.__name__, None) is kind
    return "keras.layers" if exported else str(kind.__module__)


def _config_of(operation: Any) -> Mapping[str, Any]:
    try:
        return {str(key): _plain(value) for key, value in operation.get_config().items()}
    except NotImplementedError:  # an operation that cannot be serialised; its name is all that is known
        return {"name": operation.name}


def _weights_of(operation: Any) -> tuple[Weight, ...]:
    convert = import_keras().ops.convert_to_numpy
    variables: Iterable[Any] = getattr(operation, "weights", ())
    return tuple(Weight(variable.name, np.asarray(convert(variable))) for variable in variables)


def _plain(value: Any) -> Any:
    """``value`` in JSON's terms: tuples as lists, NumPy scalars as numbers, other objects by their name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return getattr(value, "__name__", None) or repr(value)
