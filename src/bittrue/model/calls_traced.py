"""What the calls of a layer that Keras does not have do: its code is run on symbolic tensors, and Keras notes the rest.

Nothing is computed. A call is traced with the tensors, constants and options that it has in the model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from bittrue.errors import ModelError, Unsupported
from bittrue.graph.explicit_masks import with_masks
from bittrue.graph.model import Body, Graph, InputSpec, LayerNode, TensorRef, Weight

from .framework import import_keras, quiet
from .json_config import first_line

__all__ = ["traced_bodies"]

GraphOf = Callable[[Any, "dict[int, str]"], Graph]
"""Reads a Functional model; a variable among the arguments, known by its id, is the output of the layer so named."""

_ARITHMETIC = {
    "__add__": "add",
    "__matmul__": "matmul",
    "__mul__": "multiply",
    "__pow__": "power",
    "__sub__": "subtract",
    "__truediv__": "divide",
}


_COUNTERS = "object_name_uids"  # where Keras counts the names that it has given


class _Far(dict[str, int]):
    """Counts every name from a million on, as if it had been given before."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> int:
        return 10**6


def traced_bodies(layer: Any, nodes: Sequence[Any], graph_of: GraphOf) -> tuple[Body, ...]:
    """For each of ``nodes``, the calls of ``layer`` in its model, what it does.

    Raises Unsupported, saying why, where the code does not run on symbolic tensors, or computes with masks.
    """
    return tuple(_traced(layer, node.arguments, graph_of) for node in nodes)


def _traced(layer: Any, arguments: Any, graph_of: GraphOf) -> Body:
    keras = import_keras()
    if _takes_masks(layer) and _masked(arguments):
        raise Unsupported("it computes with a mask")
    names = {id(variable): f"variable_{at}" for at, variable in enumerate(layer.weights)}
    try:
        with quiet(), _own_names(), _symbolic_arithmetic():
            functional = _functional(layer, arguments)
            graph = graph_of(functional, names)
    except (ModelError, RecursionError):
        raise
    except Exception as error:  # whatever the code of the layer does with tensors that hold no numbers
        raise Unsupported(f"its code cannot be traced with symbolic tensors ({first_line(error)})") from error
    read = sorted(
        {ref.layer for one in graph.layers for call in one.calls for ref in (*call.inputs, *call.keyword_inputs)}
    )
    used = [at for at, variable in enumerate(layer.weights) if names[id(variable)] in read]
    convert = keras.ops.convert_to_numpy
    added = [_variable(names[id(layer.weights[at])], np.asarray(convert(layer.weights[at]))) for at in used]
    graph = Graph(
        graph.name,
        graph.kind,
        (*(node for node, _ in added), *graph.layers),
        (*graph.inputs, *(spec for _, spec in added)),
        graph.outputs,
    )
    return Body(with_masks(graph), tuple(used), dict(_places(functional, layer)))


def _functional(layer: Any, arguments: Any) -> Any:
    """The call as a model of its own."""
    keras = import_keras()
    inputs: list[Any] = []

    def fed(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        inputs.append(keras.Input(batch_shape=value.shape, dtype=value.dtype))
        return inputs[-1]

    args, kwargs = keras.tree.map_structure(fed, (arguments.args, arguments.kwargs))
    given = {name: value for name, value in kwargs.items() if not (value is None and name.endswith("mask"))}
    if "training" in inspect.signature(layer.call).parameters:
        given["training"] = False
    outputs = keras.tree.flatten(layer.call(*args, **given))
    return keras.Model(inputs, outputs)


def _variable(name: str, value: Any) -> tuple[LayerNode, InputSpec]:
    """A weight of the layer as an input of its body."""
    node = LayerNode(name, "InputLayer", "keras.layers", {"name": name}, (Weight(name, value),), ())
    return node, InputSpec(name, value.shape, value.dtype, TensorRef(name))


def _places(functional: Any, layer: Any) -> Iterator[tuple[str, int]]:
    """The index of the first weight of each layer inside. Raises Unsupported where they do not follow one another."""
    indices = {id(variable): at for at, variable in enumerate(layer.weights)}
    for path, inner in _walk(functional, ""):
        found = [indices.get(id(variable)) for variable in getattr(inner, "weights", ())]
        if not found:
            continue
        first = found[0]
        if first is None or found != list(range(first, first + len(found))):
            raise Unsupported(f"the weights of its layer {inner.name!r} are not its own")
        yield path, first


def _walk(functional: Any, path: str) -> Iterator[tuple[str, Any]]:
    for operation in functional.operations:
        if isinstance(operation, import_keras().Model):
            inside = getattr(operation, "_functional", None) or operation
            yield from _walk(inside, f"{path}{operation.name}/")
        else:
            yield f"{path}{operation.name}", operation


def _takes_masks(layer: Any) -> bool:
    return any(name.endswith("mask") for name in inspect.signature(layer.call).parameters)


def _masked(arguments: Any) -> bool:
    keras = import_keras()
    tensors = keras.tree.flatten((arguments.args, arguments.kwargs))
    named = any(name.endswith("mask") and value is not None for name, value in arguments.kwargs.items())
    return named or any(getattr(tensor, "_keras_mask", None) is not None for tensor in tensors)


@contextmanager
def _own_names() -> Iterator[None]:
    """Names of their own for what is noted: none that a layer inside may have, and none taken from later models."""
    state = import_keras().src.backend.common.global_state
    before = state.get_global_attribute(_COUNTERS)
    state.set_global_attribute(_COUNTERS, _Far())
    try:
        yield
    finally:
        state.set_global_attribute(_COUNTERS, before)


@contextmanager
def _symbolic_arithmetic() -> Iterator[None]:
    """Lets ``variable * tensor`` be traced as ``tensor * variable`` is: Keras computes the former at once."""
    keras = import_keras()
    kind = next(one for one in keras.Variable.__mro__ if "__mul__" in vars(one))
    before = {name: vars(kind)[name] for name in _ARITHMETIC if name in vars(kind)}

    def deferring(name: str) -> Callable[[Any, Any], Any]:
        def operator(variable: Any, other: Any) -> Any:
            if isinstance(other, keras.KerasTensor):
                return getattr(keras.ops, _ARITHMETIC[name])(variable, other)
            return before[name](variable, other)

        return operator

    try:
        for name in before:
            setattr(kind, name, deferring(name))
        yield
    finally:
        for name, method in before.items():
            setattr(kind, name, method)
