"""Whether a model can do without masks: TensorFlow.js passes them on by other rules than Keras does."""

from __future__ import annotations

from collections.abc import Sequence

from bittrue.graph.masks import makes_mask, passes_mask, uses_mask
from bittrue.graph.model import Graph, LayerNode, TensorRef

from .layer_config import refused
from .specs import inputs_of, scheduled

__all__ = ["mask_users", "refuse_used_masks"]


def refuse_used_masks(graph: Graph) -> None:
    """Raise Unsupported for a layer that a mask would reach and that computes with it.

    Where there is none, masks change nothing, and layers are written as if they made none: TensorFlow.js keeps
    the last mask it saw and hands it to later layers that Keras gives none.
    """
    for _, layer in mask_users(graph):
        raise refused(layer, "it computes with a mask, which TensorFlow.js passes on by other rules than Keras")


def mask_users(graph: Graph) -> list[tuple[tuple[str, ...], LayerNode]]:
    """The layers that a mask reaches and that compute with it, with their paths."""
    users: dict[tuple[str, ...], LayerNode] = {}
    _outputs_masked(graph, [False] * len(graph.inputs), (), users)
    return list(users.items())


def _outputs_masked(
    graph: Graph, inputs: Sequence[bool], path: tuple[str, ...], users: dict[tuple[str, ...], LayerNode]
) -> list[bool]:
    masked: dict[TensorRef, bool] = {spec.ref: given for spec, given in zip(graph.inputs, inputs, strict=True)}
    for layer, index in scheduled(graph):
        call = layer.calls[index]
        given = [masked.get(ref, False) for ref in inputs_of(call)]
        explicit = any(isinstance(value, TensorRef) for name, value in call.kwargs.items() if name == "mask")
        reached = any(given) or explicit
        if reached and uses_mask(layer):
            users[*path, layer.name] = layer
        if layer.subgraph is not None:
            inside = [one or explicit for one in given]
            outputs = _outputs_masked(layer.subgraph, inside, (*path, layer.name), users)
        else:
            outputs = [makes_mask(layer) or (reached and passes_mask(layer))]
        masked.update({TensorRef(layer.name, index, at): one for at, one in enumerate(outputs)})
    return [masked.get(ref, False) for ref in graph.outputs]
