"""A graph with the weights that an artifact holds: what quantisation changed, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from bittrue.errors import ArtifactError
from bittrue.graph.model import Graph, LayerNode, Weight

from .artifact import Artifact
from .graph_model import write_graph
from .layers_model import write_model
from .versions import parse_version

__all__ = ["dequantised_graph"]

_NEWEST = "4.22.0"
Weights = Mapping[str, NDArray[Any]]


def dequantised_graph(graph: Graph, artifact: Artifact) -> Graph:
    """``graph`` with the weights that TensorFlow.js makes of ``artifact``, which was converted from it.

    Evaluated in Python it says what quantisation costs; what TensorFlow.js computes beyond that is rounding.
    Raises ArtifactError where the artifact's weights are not those of the graph, by name and shape.
    """
    places = _places(graph, artifact)
    held = dict(artifact.weights())
    named = {name for names in places.values() for name in names}
    # Beside the weights, a graph-model holds the constants of the layers' configurations.
    strange = sorted(named - set(held) if artifact.format == "graph-model" else named ^ set(held))
    if strange:
        message = f"{artifact.folder} is not this model converted: only one of them has the weight {strange[0]!r}"
        raise ArtifactError(message)
    return _with_weights(graph, places, held, artifact, "")


def _places(graph: Graph, artifact: Artifact) -> Mapping[str, tuple[str, ...]]:
    version = parse_version(artifact.version or _NEWEST)
    if artifact.format == "graph-model":
        return write_graph(graph, version).places
    return write_model(graph, version).places


def _with_weights(
    graph: Graph, places: Mapping[str, tuple[str, ...]], held: Weights, artifact: Artifact, path: str
) -> Graph:
    def changed(layer: LayerNode) -> LayerNode:
        here = f"{path}{layer.name}"
        if layer.subgraph is not None:
            return replace(layer, subgraph=_with_weights(layer.subgraph, places, held, artifact, f"{here}/"))
        if here not in places:
            return layer
        named = zip(layer.weights, places[here], strict=True)
        return replace(layer, weights=tuple(_changed(weight, name) for weight, name in named))

    def _changed(weight: Weight, name: str) -> Weight:
        if held[name].shape != weight.value.shape:
            raise ArtifactError(
                f"{artifact.folder} is not this model converted: its weight {name!r} has the shape {held[name].shape}, "
                f"not {weight.value.shape}"
            )
        return Weight(weight.name, held[name])

    return replace(graph, layers=tuple(changed(layer) for layer in graph.layers))
