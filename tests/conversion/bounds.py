"""How far any float32 computation of a whole model may lie from the exact answer, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bittrue.conversion.tfjs.specs import inputs_of, scheduled, without_masks
from bittrue.graph.evaluate import layer_bound
from bittrue.graph.model import Graph, TensorRef
from bittrue.ops import Axioms

__all__ = ["model_bounds"]

Array = NDArray[Any]
Pair = tuple[Array, Array]


def model_bounds(graph: Graph, inputs: Mapping[str, Array]) -> list[Pair]:
    """For each output of ``graph``: its exact value, and an elementwise bound on the error of any computation."""
    return _outputs(graph, [(inputs[spec.name], np.zeros(())) for spec in graph.inputs])


def _outputs(graph: Graph, inputs: list[Pair]) -> list[Pair]:
    known: dict[TensorRef, Pair] = {spec.ref: pair for spec, pair in zip(graph.inputs, inputs, strict=True)}
    for layer, index in scheduled(graph):
        given = [known[ref] for ref in inputs_of(layer.calls[index])]
        if layer.subgraph is not None:
            results = _outputs(layer.subgraph, given)
        else:
            values, errors = [value for value, _ in given], [error for _, error in given]
            results = list(layer_bound(without_masks(layer, index), values, Axioms(), index, errors))
        known.update({TensorRef(layer.name, index, at): pair for at, pair in enumerate(results)})
    return [known[ref] for ref in graph.outputs]
