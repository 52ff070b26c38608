"""A model made of Keras's symbolic calls, as Keras computes it and as a Graph with the bounds of its ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bittrue.graph.evaluate import layer_bound
from bittrue.graph.explicit_masks import with_masks
from bittrue.graph.model import Graph, LayerCall
from bittrue.graph.traversal import traverse
from bittrue.model.reading import graph_of
from bittrue.ops import Axioms
from bittrue.ops.base import widened
from bittrue.traces import Array

Bounded = tuple[Array, Array]


def keras_model(build: Callable[..., Any], inputs: Sequence[Array], seed: int = 0, dynamic: bool = False) -> Any:
    """``build`` called on symbolic inputs like ``inputs``, as a model with random weights."""
    import keras

    shapes = [(None,) * (array.ndim - 1) if dynamic else array.shape[1:] for array in inputs]
    symbols = [
        keras.Input(shape, dtype=array.dtype.name, name=f"in{at}")
        for at, (shape, array) in enumerate(zip(shapes, inputs, strict=True))
    ]
    model = keras.Model(symbols, build(*symbols))
    generator = np.random.default_rng(seed)
    model.set_weights([_drawn(generator, weight) for weight in model.weights])
    return model


def _drawn(generator: np.random.Generator, weight: Any) -> Array:
    if "variance" in weight.name:
        return generator.uniform(0.5, 2, size=weight.shape).astype(np.float32)
    fan = weight.shape[0] if len(weight.shape) > 1 else 1
    return (generator.normal(size=weight.shape) / np.sqrt(fan)).astype(np.float32)


def outputs_of(model: Any, inputs: Sequence[Array]) -> list[Array]:
    """What Keras computes."""
    results = model(list(inputs), training=False)
    return [np.asarray(item) for item in (results if isinstance(results, list | tuple) else [results])]


class _Bounds:
    """Bounds every call, given the bounds of what it is called on."""

    def visit(self, call: LayerCall, operands: Sequence[Bounded]) -> Sequence[Bounded]:
        values, errors = [value for value, _ in operands], [error for _, error in operands]
        return layer_bound(call.layer, values, Axioms(), call.nodes[-1], errors)

    def entered(self, call: LayerCall, operands: Sequence[Bounded], masks: Sequence[Bounded]) -> Sequence[Bounded]:
        return operands

    def missing(self, call: LayerCall, operands: Sequence[Bounded]) -> Bounded:
        raise AssertionError(f"{call.name} returns less than is read")

    def made(self, call: LayerCall, results: Sequence[Bounded]) -> None:
        pass


def graph_bound(graph: Graph, inputs: Sequence[Array]) -> list[Bounded]:
    """The exact outputs and how far any float32 computation may lie from them."""
    return traverse(with_masks(graph), [(widened(array), np.zeros(array.shape)) for array in inputs], _Bounds())


def check(build: Callable[..., Any], inputs: Sequence[Array], loose: float = 1e-3, dynamic: bool = False) -> Graph:
    """Keras is within the bounds, which say something: they are at most ``loose`` of the result's size."""
    model = keras_model(build, inputs, dynamic=dynamic)
    graph = graph_of(model)
    for (exact, bound), output in zip(graph_bound(graph, inputs), outputs_of(model, inputs), strict=True):
        assert exact.shape == output.shape
        assert np.all(np.abs(output.astype(np.float64) - exact) <= bound), np.max(np.abs(output - exact) - bound)
        assert np.max(bound, initial=0) <= loose * max(1.0, np.max(np.abs(exact), initial=0))
    return graph
