"""A model, normalised: layers, how they are connected, and their weights. What a layer *means* is in `layers`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Body", "Call", "Graph", "InputSpec", "LayerCall", "LayerNode", "TensorRef", "Weight"]


@dataclass(frozen=True, order=True)
class TensorRef:
    """The ``output``-th tensor returned by the ``call``-th call of ``layer`` in the same graph."""

    layer: str
    call: int = 0
    output: int = 0


@dataclass(frozen=True)
class Call:
    """One application of a layer.

    ``args`` are the positional arguments as the user wrote them: a tensor, a (nested) list of tensors,
    or a constant. ``kwargs`` likewise. `inputs` is all tensors of ``args``, flattened in order.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[TensorRef, ...]:
        """All tensors among the positional arguments, flattened in order."""
        return tuple(_tensors(self.args))

    @property
    def keyword_inputs(self) -> tuple[TensorRef, ...]:
        """All tensors among the keyword arguments, flattened in order."""
        return tuple(_tensors(tuple(self.kwargs.values())))


def _tensors(value: Any) -> Iterator[TensorRef]:
    if isinstance(value, TensorRef):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, Mapping):
        yield from _tensors(tuple(value.values()))


@dataclass(frozen=True)
class Weight:
    """One weight: Keras's own short name (``kernel``, ``moving_mean``, …) and its exact bits."""

    name: str
    value: NDArray[Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Body:
    """What one call of a layer does, as a graph: for a class that has no expansion, but whose code is at hand.

    The first inputs of ``graph`` are the tensors of the call, positional ones first; the others are weights of the
    layer, whose indices are ``variables``. ``weights`` gives, by the path in ``graph`` (joined by "/"), the index of
    the first weight of a layer inside among those of the layer as a whole.
    """

    graph: Graph
    variables: tuple[int, ...]
    weights: Mapping[str, int]


@dataclass(frozen=True)
class LayerNode:
    """One layer, in Keras 3's own terms.

    ``class_name`` is what Keras registers (``Dense``); ``module`` says where from (``keras.layers``;
    ``keras.src.ops.…`` for an operation that is no layer). ``config`` is Keras's ``get_config``, plain
    JSON values. ``weights`` are in Keras's ``get_weights`` order; a nested model's weights live in
    its ``subgraph``'s layers. ``bodies`` are, for a class that Keras does not have, what its calls do, one for each; if
    that could not be found out, ``obstacle`` says why.
    """

    name: str
    class_name: str
    module: str
    config: Mapping[str, Any]
    weights: tuple[Weight, ...]
    calls: tuple[Call, ...]
    subgraph: Graph | None = None
    bodies: tuple[Body, ...] = field(default=(), repr=False, compare=False)
    obstacle: str = field(default="", compare=False)

    def weight(self, name: str) -> NDArray[Any]:
        """The bits of the weight called ``name``. Raises KeyError."""
        for weight in self.weights:
            if weight.name == name:
                return weight.value
        raise KeyError(f"layer {self.name!r} has no weight {name!r}, only {[w.name for w in self.weights]}")


@dataclass(frozen=True)
class InputSpec:
    """What the model is fed under ``name``. ``shape`` includes the batch; None is any size."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]
    ref: TensorRef


@dataclass(frozen=True)
class LayerCall:
    """One call of one layer in the whole model, nested models unrolled.

    ``path`` are the names from the outermost model to the layer; ``nodes`` which call of each, so that
    a layer in a shared nested model has one entry for each (outer call, inner call). ``call`` counts the
    layer's calls in lexicographic order of ``nodes``: the number that a `Key` carries.
    """

    layer: LayerNode
    path: tuple[str, ...]
    nodes: tuple[int, ...]
    call: int

    @property
    def name(self) -> str:
        """The path joined by "/": the ``layer`` of a `Key`."""
        return "/".join(self.path)


@dataclass(frozen=True)
class Graph:
    """A model: ``layers`` in topological order, input layers included.

    ``kind`` is ``Functional`` or ``Sequential`` (what the user built; a Sequential is stored as a chain).
    ``outputs`` keeps the order and the repetitions of the model's own outputs. Masks that Keras sends
    along with tensors are not part of it; `bittrue.graph.explicit_masks` puts them in.
    """

    name: str
    kind: str
    layers: tuple[LayerNode, ...]
    inputs: tuple[InputSpec, ...]
    outputs: tuple[TensorRef, ...]

    def layer(self, name: str) -> LayerNode:
        """The layer called ``name`` in this graph (not in nested ones). Raises KeyError."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"model {self.name!r} has no layer {name!r}")

    def walk(self) -> Iterator[tuple[tuple[str, ...], LayerNode]]:
        """Every layer with its path, nested models entered after themselves."""
        for layer in self.layers:
            yield (layer.name,), layer
            if layer.subgraph is not None:
                for path, inner in layer.subgraph.walk():
                    yield (layer.name, *path), inner

    def calls(self) -> list[LayerCall]:
        """Every call of every layer, nested models unrolled; input layers of nested models included."""
        found = list(_calls(self, (), ()))
        order: dict[tuple[str, ...], int] = {}
        numbered = []
        for layer, path, nodes in sorted(found, key=lambda item: item[2]):
            numbered.append(LayerCall(layer, path, nodes, order.get(path, 0)))
            order[path] = order.get(path, 0) + 1
        rank = {(path, nodes): position for position, (_, path, nodes) in enumerate(found)}
        return sorted(numbered, key=lambda call: rank[call.path, call.nodes])


def _calls(
    graph: Graph, path: tuple[str, ...], nodes: tuple[int, ...]
) -> Iterator[tuple[LayerNode, tuple[str, ...], tuple[int, ...]]]:
    for layer in graph.layers:
        for node in range(max(1, len(layer.calls))):
            here, there = (*path, layer.name), (*nodes, node)
            if layer.subgraph is not None:
                yield from _calls(layer.subgraph, here, there)
            yield layer, here, there
