"""A model as a report speaks of it."""

from __future__ import annotations

from pathlib import Path

from bittrue.graph.model import Graph, LayerNode

from .data import ModelFacts

__all__ = ["model_facts"]


def model_facts(graph: Graph, source: Path | str | None = None) -> ModelFacts:
    """What the report says of ``graph``, opened from ``source``; shared weights are counted once."""
    layers = list(graph.walk())
    counted = {id(weight.value): weight.value.size for _, layer in layers for weight in layer.weights}
    return ModelFacts(
        graph.name,
        graph.kind,
        str(source) if source else None,
        sum(counted.values()),
        {"/".join(path): layer.class_name for path, layer in layers},
        {"/".join(path): _read_by(path, layer, graph) for path, layer in layers},
    )


def _read_by(path: tuple[str, ...], layer: LayerNode, graph: Graph) -> tuple[str, ...]:
    """The paths of the layers that ``layer`` reads; what enters a nested model is what the model's own calls read."""
    entries = dict.fromkeys(
        "/".join((*path[:-1], ref.layer)) for call in layer.calls for ref in (*call.inputs, *call.keyword_inputs)
    )
    if entries or len(path) == 1:
        return tuple(entries)
    outer = next(found for where, found in graph.walk() if where == path[:-1])
    return _read_by(path[:-1], outer, graph)
