"""In which order TensorFlow.js creates the calls of a model that it loads, and so how it numbers them.

It goes through the layers as listed, again and again, and makes every call whose inputs exist already. A call
that must wait is overtaken by later calls of the same layer, which then take its number, without a word. So the
layers are listed in an order in which nothing is overtaken.
"""

from __future__ import annotations

from collections.abc import Sequence

from bittrue.errors import Unsupported
from bittrue.graph.model import Graph, LayerNode

from .specs import inputs_of, scheduled

__all__ = ["creation_order"]


def creation_order(graph: Graph) -> Sequence[LayerNode]:
    """The layers in an order that keeps the numbers of their calls. Raises Unsupported where there is none."""
    last = {layer.name: rank for rank, (layer, _) in enumerate(scheduled(graph))}
    first = {layer.name: rank for rank, (layer, _) in reversed(list(enumerate(scheduled(graph))))}
    by_last = sorted(graph.layers, key=lambda layer: last.get(layer.name, -1))
    by_first = sorted(graph.layers, key=lambda layer: first.get(layer.name, -1))
    overtaken = None
    for order in (graph.layers, by_first, by_last):
        overtaken = _overtaken(order)
        if overtaken is None:
            return order
    raise Unsupported(
        f"layer {overtaken!r} is called several times in an order that TensorFlow.js would change; "
        "call it first where its input is ready first",
        layer=overtaken,
    )


def _overtaken(order: Sequence[LayerNode]) -> str | None:
    """The first layer that would have its calls made out of order, None if there is none."""
    made = {layer.name: 1 for layer in order if not layer.calls}
    waiting = {layer.name: list(range(len(layer.calls))) for layer in order if layer.calls}
    while waiting:
        before = sum(map(len, waiting.values()))
        for layer in order:
            if layer.name not in waiting:
                continue
            ready = [index for index in waiting[layer.name] if _is_ready(layer, index, made)]
            if ready != waiting[layer.name][: len(ready)]:
                return layer.name
            made[layer.name] = made.get(layer.name, 0) + len(ready)
            waiting[layer.name] = waiting[layer.name][len(ready) :]
            if not waiting[layer.name]:
                del waiting[layer.name]
        if sum(map(len, waiting.values())) == before:
            return next(iter(waiting))
    return None


def _is_ready(layer: LayerNode, index: int, made: dict[str, int]) -> bool:
    return all(made.get(ref.layer, 0) > ref.call for ref in inputs_of(layer.calls[index]))
