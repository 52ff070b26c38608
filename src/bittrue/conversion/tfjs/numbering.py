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

__all__ = ["creation_order", "overtaken"]


def creation_order(graph: Graph) -> Sequence[LayerNode]:
    """The layers in an order that keeps the numbers of their calls. Raises Unsupported where there is none."""
    last = {layer.name: rank for rank, (layer, _) in enumerate(scheduled(graph))}
    first = {layer.name: rank for rank, (layer, _) in reversed(list(enumerate(scheduled(graph))))}
    by_last = sorted(graph.layers, key=lambda layer: last.get(layer.name, -1))
    by_first = sorted(graph.layers, key=lambda layer: first.get(layer.name, -1))
    name = None
    for order in (graph.layers, by_first, by_last):
        name = overtaken(order)
        if name is None:
            return order
    raise Unsupported(
        f"layer {name!r} is called several times in an order that TensorFlow.js would change; "
        "call it first where its input is ready first",
        layer=name,
    )


def overtaken(order: Sequence[LayerNode]) -> str | None:
    """The first layer that would have its calls made out of order, None if there is none."""
    made = {layer.name: 0 if layer.calls else 1 for layer in order}
    waiting = [layer for layer in order if layer.calls]
    while waiting:
        before = sum(made.values())
        for layer in waiting:
            if _makes_out_of_order(layer, made):
                return layer.name
        waiting = [layer for layer in waiting if made[layer.name] < len(layer.calls)]
        if sum(made.values()) == before:
            return waiting[0].name
    return None


def _makes_out_of_order(layer: LayerNode, made: dict[str, int]) -> bool:
    """Make the calls of ``layer`` that can be made now; whether one that cannot is overtaken by a later one."""
    blocked = False
    for call in layer.calls[made[layer.name] :]:
        ready = all(made[ref.layer] > ref.call for ref in inputs_of(call))
        if ready and blocked:
            return True
        blocked = blocked or not ready
        made[layer.name] += ready
    return False
