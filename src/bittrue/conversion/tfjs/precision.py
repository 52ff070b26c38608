"""Models of other precisions than float32, which is the only one that TensorFlow.js computes in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bittrue.graph.model import Graph, InputSpec, LayerNode, Weight

from .layer_config import policy_name, refused

__all__ = ["in_float32", "precision_notes", "which_is_coarser"]

_COARSER: Mapping[str, int] = {"bfloat16": 8, "float16": 11, "mixed_bfloat16": 8, "mixed_float16": 11}
"""Policies by the significant bits that Keras keeps of what it computes."""

_FINER = "float64"
_REAL = frozenset({"bfloat16", "float16", _FINER})
_OPERATIONS = "keras.src."
_FLOAT32 = np.dtype(np.float32)


def in_float32(graph: Graph) -> Graph:
    """``graph`` with every layer, weight and input of another real precision made float32.

    Of a smaller one every bit is kept. Raises Unsupported, naming the layer, for a float64 weight that float32 has no
    number near.
    """
    layers = tuple(_layer(layer) for layer in graph.layers)
    return replace(graph, layers=layers, inputs=tuple(_input(spec) for spec in graph.inputs))


def precision_notes(graph: Graph) -> tuple[str, ...]:
    """A sentence for each policy of another precision: which side is coarser, and what becomes of the weights."""
    layers = [layer for _, layer in graph.walk() if _is_layer(layer) and layer.class_name != "InputLayer"]
    named: Counter[str] = Counter(name for layer in layers for name in _policies(layer.config))
    notes = [_coarser(name, named[name]) for name in sorted(_COARSER) if named[name]]
    rounded = [weight for layer in layers for weight in layer.weights if not _fits(weight)]
    if named[_FINER] or rounded:
        notes.append(_finer(named[_FINER], len(rounded)))
    return tuple(notes)


def which_is_coarser(policy: str) -> str:
    """A clause on the side that has fewer digits; empty for a policy that is not real."""
    if policy in _COARSER:
        return ": Keras is the coarser side"
    return ": the browser is the coarser side" if policy == _FINER else ""


def _coarser(policy: str, count: int) -> str:
    return (
        f"The dtype policy {policy} of {_counted(count, 'layer')} is not carried over: Keras rounds what it computes "
        f"to {_COARSER[policy]} significant bits, TensorFlow.js to 24, so that Python is the coarser side; "
        "the bits of the weights are kept."
    )


def _finer(count: int, rounded: int) -> str:
    kept = f"{_counted(rounded, 'weight')} had to be rounded" if rounded else "the weights' numbers are kept"
    return (
        f"The precision float64 of {_counted(count, 'layer')} is not carried over: TensorFlow.js computes with 24 "
        f"significant bits in place of 53, so that the browser is the coarser side; {kept}."
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _is_layer(layer: LayerNode) -> bool:
    return not layer.module.startswith(_OPERATIONS) and layer.subgraph is None


def _policies(config: Any) -> Iterator[str]:
    """The policies of other precisions that a configuration names, each once."""
    yield from {str(name) for name in map(policy_name, _dtypes(config)) if name in _COARSER or name == _FINER}


def _dtypes(config: Any) -> Iterator[Any]:
    if isinstance(config, Mapping):
        for key, value in config.items():
            if key == "dtype":
                yield value
            else:
                yield from _dtypes(value)
    elif isinstance(config, list):
        for item in config:
            yield from _dtypes(item)


def _layer(layer: LayerNode) -> LayerNode:
    if layer.subgraph is not None:
        return replace(layer, subgraph=in_float32(layer.subgraph))
    if not _is_layer(layer):
        return layer
    config = _plain(layer.config)
    bodies = tuple(replace(body, graph=in_float32(body.graph)) for body in layer.bodies)
    weights = tuple(_weight(layer, weight) for weight in layer.weights)
    return replace(layer, config=config, weights=weights, bodies=bodies)


def _plain(config: Any) -> Any:
    """``config`` with float32 in place of other real precisions, wherever a dtype is named."""
    if isinstance(config, Sequence) and not isinstance(config, str):
        return [_plain(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    return {key: _dtype(value) if key == "dtype" else _plain(value) for key, value in config.items()}


def _dtype(value: Any) -> Any:
    name = policy_name(value)
    return "float32" if name in _COARSER or name == _FINER else value


def _input(spec: InputSpec) -> InputSpec:
    return replace(spec, dtype=_FLOAT32) if spec.dtype.name in _REAL else spec


def _fits(weight: Weight) -> bool:
    """Whether float32 has the same numbers."""
    value = weight.value
    return value.dtype.name != _FINER or bool(np.array_equal(_single(value), value, equal_nan=True))


def _single(value: Any) -> Any:
    with np.errstate(over="ignore", under="ignore"):
        return value.astype(_FLOAT32)


def _weight(layer: LayerNode, weight: Weight) -> Weight:
    if weight.value.dtype.name not in _REAL:
        return weight
    value = _single(weight.value)
    if np.any(np.isinf(value) & np.isfinite(weight.value.astype(np.float64))):
        largest = float(np.max(np.abs(weight.value)))
        raise refused(layer, f"its weight {weight.name!r} reaches {largest:.3g}, and float32 ends at 3.4e+38")
    return Weight(weight.name, value)
