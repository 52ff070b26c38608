"""What a layer is called with, as a model file says it: tensors by where they come from, constants as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bittrue.graph.model import Call, TensorRef

from .keras_facts import NeedsKeras

__all__ = ["calls_of", "completed", "flat", "reference"]

_PLAIN = (bool, int, float, str)


def calls_of(nodes: Any) -> tuple[Call, ...]:
    """The calls in ``inbound_nodes``, of Keras 3 or as Keras 2 wrote them. Raises NeedsKeras."""
    if not isinstance(nodes, list):
        raise NeedsKeras("calls that are no list")
    return tuple(_call(node) for node in nodes if node)


def reference(value: Any) -> TensorRef:
    """``[layer, call, output]``."""
    match value:
        case [str(layer), int(call), int(output)] if call >= 0 and output >= 0:
            return TensorRef(layer, call, output)
    raise NeedsKeras("a reference to a tensor in another form")


def flat(value: Any) -> Iterator[Any]:
    """The leaves of nested lists and dictionaries in the order in which Keras takes them: by sorted keys."""
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from flat(value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from flat(item)
    else:
        yield value


def completed(call: Call, names: Sequence[str], training: bool | None) -> Call:
    """``call`` with what Keras adds to one on a single tensor: that it is not training, and has no mask.

    ``names`` are the parameters of the layer's ``call``, ``training`` the default of that one.
    """
    match call.args:
        case (TensorRef(),) if not call.kwargs:
            added: dict[str, Any] = {}
            if "training" in names and training is not None:
                added["training"] = training
            if "mask" in names:
                added["mask"] = None
            return Call(call.args, added)
    return call


def _call(node: Any) -> Call:
    if isinstance(node, Mapping) and set(node) == {"args", "kwargs"}:
        args, kwargs = _value(node["args"]), _value(node["kwargs"])
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise NeedsKeras("arguments in another form")
        return Call(tuple(args), kwargs)
    if not isinstance(node, list):
        raise NeedsKeras("a call in another form")
    return _older(node)


def _older(node: list[Any]) -> Call:
    """``[[layer, call, output, keywords], …]``: the tensors are the first argument, the last keywords count."""
    tensors = []
    keywords: Any = {}
    for item in node:
        if not isinstance(item, list) or len(item) not in (3, 4):
            raise NeedsKeras("a call in another form")
        tensors.append(reference(item[:3]))
        keywords = item[3] if len(item) == 4 else {}
    if not isinstance(keywords, Mapping) or not all(
        value is None or isinstance(value, _PLAIN) for value in keywords.values()
    ):
        raise NeedsKeras("tensors among the keywords of an older file")
    return Call((tensors[0] if len(tensors) == 1 else tensors,), dict(keywords))


def _value(value: Any) -> Any:
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, list):
        return [_value(item) for item in value]
    if not isinstance(value, Mapping):
        raise NeedsKeras("an argument of an unknown kind")
    if "class_name" not in value:
        return {str(key): _value(item) for key, item in value.items()}
    inside = value.get("config")
    if not isinstance(inside, Mapping):
        raise NeedsKeras(f"an argument of kind {value['class_name']}")
    return _object(str(value["class_name"]), inside)


def _object(kind: str, inside: Mapping[str, Any]) -> Any:
    match kind:
        case "__keras_tensor__":
            return reference(inside.get("keras_history"))
        case "__ellipsis__":
            return Ellipsis
        case "__slice__":
            return slice(*(_value(inside.get(key)) for key in ("start", "stop", "step")))
        case "__tensor__" | "__numpy__" if inside.get("dtype") in ("float32", "int32", "int64", "bool"):
            return np.array(inside.get("value"), np.dtype(str(inside["dtype"])))
        case _:
            raise NeedsKeras(f"an argument of kind {kind}")
