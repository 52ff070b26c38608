"""Which weights each layer of a model needs, found by following shapes through it from its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bittrue.errors import BittrueError
from bittrue.graph.evaluate import layer_specs
from bittrue.graph.model import Call, Graph, LayerNode, TensorRef, Weight
from bittrue.graph.traversal import operands_of, schedule
from bittrue.ops import TensorSpec
from bittrue.traces import Array

from .keras_facts import NeedsKeras
from .slots import Site, Slot, slots_of

__all__ = ["Path", "Slots", "placed", "with_weights"]

Path = tuple[str, ...]
"""The names of the layers that lead to a layer, from the outermost model."""

Slots = Mapping[Path, Sequence[Slot]]

_OPERATIONS = "keras.src."
_APPLICATIONS = "keras.src.applications."


def placed(graph: Graph) -> Slots:
    """The weights of each layer of ``graph``, which has none yet; of a nested model, of the layers in it.

    Raises NeedsKeras where a layer cannot be expressed, so that the shapes behind it are not known.
    """
    places = _Places()
    places.follow(graph, ())
    return places.found


def with_weights(graph: Graph, values: Mapping[Path, Sequence[Weight]], path: Path = ()) -> Graph:
    """``graph`` with ``values`` for its layers and for those in it."""

    def filled(layer: LayerNode) -> LayerNode:
        here = (*path, layer.name)
        if layer.subgraph is not None:
            return replace(layer, subgraph=with_weights(layer.subgraph, values, here))
        return replace(layer, weights=tuple(values.get(here, ())))

    return replace(graph, layers=tuple(map(filled, graph.layers)))


class _Places:
    def __init__(self) -> None:
        self.found: dict[Path, Sequence[Slot]] = {}
        self._built: dict[Path, LayerNode] = {}

    def follow(self, graph: Graph, path: Path, feeds: Sequence[TensorSpec] | None = None) -> list[TensorSpec]:
        """What ``graph`` returns for ``feeds``, by default for what its inputs say. Layers are built on the way."""
        given = [TensorSpec(spec.shape, spec.dtype) for spec in graph.inputs] if feeds is None else feeds
        specs = {spec.ref: feed for spec, feed in zip(graph.inputs, given, strict=True)}
        for layer, at in schedule(graph):
            if layer.calls:
                operands = [_known(specs, ref) for ref in operands_of(layer, at)]
                results = self._called(layer, at, operands, (*path, layer.name))
                specs.update({TensorRef(layer.name, at, index): spec for index, spec in enumerate(results)})
        return [_known(specs, ref) for ref in graph.outputs]

    def _called(self, layer: LayerNode, at: int, operands: list[TensorSpec], path: Path) -> Sequence[TensorSpec]:
        if layer.subgraph is not None:
            if path not in self._built:
                self._built[path] = layer
                self.follow(layer.subgraph, path)
            return self.follow(layer.subgraph, path, operands[: len(layer.subgraph.inputs)])
        _refuse_casts(layer, operands)
        if path not in self._built:
            self._built[path] = self._with_stand_ins(layer, layer.calls[at], operands, path)
        try:
            return layer_specs(self._built[path], operands, at)
        except BittrueError as error:
            raise NeedsKeras(str(error)) from error

    def _with_stand_ins(self, layer: LayerNode, call: Call, operands: list[TensorSpec], path: Path) -> LayerNode:
        """The layer with weights of the right shapes, none of which takes room."""
        count = len(call.inputs)
        shapes = [spec.shape for spec in operands]
        named = {
            name: spec.shape for name, spec in zip(_names(call), operands[count:], strict=True) if name is not None
        }
        slots = slots_of(layer.class_name, Site(layer.config, shapes[:count] or shapes, named))
        self.found[path] = slots
        return replace(layer, weights=tuple(Weight(slot.name, _stand_in(slot)) for slot in slots))


def _names(call: Call) -> Iterator[str | None]:
    """For each tensor among the keywords, the keyword that it is, None where it is inside one."""
    for name, value in call.kwargs.items():
        if isinstance(value, TensorRef):
            yield name
        else:
            yield from [None] * len(Call((value,)).inputs)


def _stand_in(slot: Slot) -> Array:
    return np.broadcast_to(np.zeros((), slot.dtype), slot.shape)


def _known(specs: Mapping[TensorRef, TensorSpec], ref: TensorRef) -> TensorSpec:
    if ref not in specs:
        raise NeedsKeras(f"the output {ref.output} of {ref.layer}, which is not known to be one")
    return specs[ref]


def _refuse_casts(layer: LayerNode, operands: Sequence[TensorSpec]) -> None:
    """Keras casts what it hands to a layer to the layer's precision, with operations that a file need not hold."""
    of_layers = not layer.module.startswith(_OPERATIONS) or layer.module.startswith(_APPLICATIONS)
    if of_layers and any(spec.is_floating and spec.dtype != np.float32 for spec in operands):
        raise NeedsKeras(f"the precision of what {layer.name} is given")
