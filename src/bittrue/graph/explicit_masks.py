"""Masks that Keras attaches to tensors while a model runs, written into the calls that compute with them.

Keras 3 names the mask in a call's arguments only where the layer was called on one positional tensor and nothing
else. Everywhere else the mask travels unseen, beside the tensor. Followed here is what Keras 3.15 does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .masks import supports_mask, uses_mask
from .model import Call, Graph, LayerNode, TensorRef
from .traversal import schedule

__all__ = ["UnknownMask", "with_masks"]

_HEADS = frozenset({"MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention"})
_HEADS_ARGUMENTS = ("query", "value", "key")
_MERGING = frozenset({"Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"})
_RECURRENT = frozenset({"Bidirectional", "GRU", "LSTM", "RNN", "SimpleRNN"})
_OPERATION = "keras.src.ops.numpy"


class UnknownMask:
    """Stands in a call for a mask that could not be followed: the call is refused."""

    def __repr__(self) -> str:
        return "a mask that Bittrue cannot follow"


Mask = TensorRef | UnknownMask | None


def with_masks(graph: Graph) -> Graph:
    """``graph`` with every mask that a call computes with among its arguments, and the operations that make it.

    Nested models are taken as called without masks. Operations are added only where a mask is used; they bear
    the name of their layer with "/mask" behind it.
    """
    walk = _Walk()
    for layer, at in schedule(graph):
        walk.visit(layer, at)
    return walk.rebuilt(graph)


@dataclass
class _Walk:
    masks: dict[TensorRef, Mask] = field(default_factory=dict)
    calls: dict[tuple[str, int], Call] = field(default_factory=dict)
    made: dict[str, list[LayerNode]] = field(default_factory=dict)

    def visit(self, layer: LayerNode, at: int) -> None:
        if not layer.calls:
            return
        call = layer.calls[at]
        first = call.args[0] if call.args else next(iter(call.kwargs.values()), None)
        before = call.kwargs.get("mask") or self.mask_of(first)
        named = self.named(layer, call)
        if named:
            self.calls[layer.name, at] = Call(call.args, {**call.kwargs, **named})
        if layer.class_name == "MultiHeadAttention":
            # It takes the masks off its tensors: later layers find none there.
            for ref in call.inputs + call.keyword_inputs:
                self.masks[ref] = None
        self.masks[TensorRef(layer.name, at)] = self.after(layer, at, before)
        if layer.class_name == "Bidirectional" and layer.config.get("merge_mode", "concat") is None:
            self.masks[TensorRef(layer.name, at, 1)] = self.masks[TensorRef(layer.name, at)]

    def mask_of(self, item: Any) -> Any:
        """The mask of a tensor; a list of them for a list of tensors."""
        if isinstance(item, list | tuple):
            return [self.mask_of(inner) for inner in item]
        return self.masks.get(item) if isinstance(item, TensorRef) else None

    def named(self, layer: LayerNode, call: Call) -> dict[str, Any]:
        """The masks that Keras hands to the call without saying so."""
        if not uses_mask(layer) or layer.subgraph is not None:
            return {}
        given = [item for item in (*call.args, *call.kwargs.values()) if Call((item,)).inputs]
        if layer.class_name in _HEADS:
            tensors = {**call.kwargs, **dict(zip(_HEADS_ARGUMENTS, call.args, strict=False))}
            found = {f"{name}_mask": self.mask_of(tensors.get(name)) for name in _HEADS_ARGUMENTS}
            named = {name: mask for name, mask in found.items() if call.kwargs.get(name) is None and mask is not None}
            if layer.class_name == "MultiHeadAttention" and call.kwargs.get("query_mask") is not None:
                named["query_mask"] = found["query_mask"]  # Keras overwrites the one it is given
            return named
        mask = self.mask_of(given[0]) if len(given) == 1 and call.kwargs.get("mask") is None else None
        return {"mask": mask} if any(item is not None for item in _leaves(mask)) else {}

    def after(self, layer: LayerNode, at: int, before: Any) -> Mask:
        """The mask of the call's first output, where ``before`` are those of its first argument."""
        name = layer.class_name
        masks: list[Mask] = list(_leaves(before))
        if name == "Embedding":
            return self.add(layer, "NotEqual", _tensor(layer, at), 0) if layer.config.get("mask_zero") else None
        if name == "Masking":
            kept = self.add(layer, "NotEqual", _tensor(layer, at), layer.config.get("mask_value", 0.0))
            return self.add(layer, "Any", kept, config={"axis": -1, "keepdims": False})
        present = [mask for mask in masks if mask is not None]
        if not present or layer.module.startswith("keras.src.ops") or supports_mask(layer) is False:
            return None
        if name in _RECURRENT and not _of_sequences(layer):
            return None
        if name in _MERGING:
            return self.either(layer, masks)
        if name in ("Attention", "AdditiveAttention") or (len(masks) == 1 and supports_mask(layer)):
            return masks[0]
        return UnknownMask()

    def either(self, layer: LayerNode, masks: Sequence[Mask]) -> Mask:
        """Keras joins the masks of what it adds by "or", and gives none where one is missing."""
        if None in masks:
            return None
        joined = masks[0]
        for mask in masks[1:]:
            if isinstance(joined, UnknownMask) or isinstance(mask, UnknownMask):
                return UnknownMask()
            joined = self.add(layer, "LogicalOr", joined, mask)
        return joined

    def add(self, layer: LayerNode, kind: str, *args: Any, config: Mapping[str, Any] | None = None) -> TensorRef:
        """The output of one more operation."""
        nodes = self.made.setdefault(layer.name, [])
        name = f"{layer.name}/mask" + (f"_{len(nodes)}" if nodes else "")
        nodes.append(LayerNode(name, kind, _OPERATION, {"name": name, **(config or {})}, (), (Call(args),)))
        return TensorRef(name)

    def rebuilt(self, graph: Graph) -> Graph:
        layers: list[LayerNode] = []
        for layer in graph.layers:
            calls = tuple(self.calls.get((layer.name, at), call) for at, call in enumerate(layer.calls))
            inner = None if layer.subgraph is None else with_masks(layer.subgraph)
            layers += [replace(layer, calls=calls, subgraph=inner), *self.made.get(layer.name, [])]
        added = {node.name for nodes in self.made.values() for node in nodes}
        while unread := added.intersection(layer.name for layer in layers) - _read(layers):
            layers = [layer for layer in layers if layer.name not in unread]
        return replace(graph, layers=tuple(layers))


def _read(layers: Sequence[LayerNode]) -> set[str]:
    """The layers whose outputs are read."""
    return {ref.layer for layer in layers for call in layer.calls for ref in call.inputs + call.keyword_inputs}


def _tensor(layer: LayerNode, at: int) -> TensorRef:
    call = layer.calls[at]
    return (*call.inputs, *call.keyword_inputs)[0]


def _of_sequences(layer: LayerNode) -> bool:
    config = layer.config.get("layer", {}).get("config", {}) if layer.class_name == "Bidirectional" else layer.config
    return bool(config.get("return_sequences"))


def _leaves(item: Any) -> Iterator[Any]:
    if isinstance(item, list | tuple):
        for inner in item:
            yield from _leaves(inner)
    else:
        yield item
