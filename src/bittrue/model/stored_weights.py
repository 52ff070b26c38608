"""Weights in a model file, by the rules by which Keras finds them there: their shapes first, then their bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bittrue.graph.model import Graph, LayerNode, Weight
from bittrue.traces import Array

from .keras_facts import NeedsKeras
from .placed import Path as LayerPath
from .placed import Slots
from .slots import Slot
from .slots_wrappers import counted_names

__all__ = ["weights_by_order", "weights_by_path"]

Values = Mapping[LayerPath, Sequence[Weight]]
Place = tuple[LayerPath, int, Slot]

_DTYPES = {"float32": (np.dtype("<f4"),), "int": (np.dtype("<i4"), np.dtype("<i8"))}
_SEED = (2,)  # the shape of a random generator's state, which belongs to no weight


def weights_by_path(file: Any, graph: Graph, slots: Slots) -> Values:
    """The weights in ``model.weights.h5`` of an archive, each object in a group of its own. Raises NeedsKeras.

    Nothing may be left over: a weight that no layer asks for means that a layer is another one than it seems.
    """
    reader = _Groups(file, slots)
    reader.read(graph, (), "layers")
    reader.refuse_others()
    return reader.found


def weights_by_order(group: Any, graph: Graph, slots: Slots) -> Values:
    """The weights in ``model_weights`` of an HDF5 file: layers one after the other, trained weights before others."""
    names = [name for name in _texts(group, "layer_names") if _texts(_group(group, name), "weight_names")]
    wanted = [(layer.name, places) for layer in graph.layers if (places := _below(layer, (layer.name,), slots))]
    if len(names) != len(wanted) or _texts(group.get("top_level_model_weights"), "weight_names"):
        raise NeedsKeras("other layers in the file than in the model")
    found: dict[LayerPath, dict[int, Weight]] = {}
    for name, (layer, places) in zip(names, wanted, strict=True):
        inside = _group(group, name)
        stored = _texts(inside, "weight_names")
        if len(stored) != len(places):
            raise NeedsKeras(f"another number of weights of {layer}")
        for at, (path, index, slot) in zip(stored, places, strict=True):
            found.setdefault(path, {})[index] = Weight(slot.name, _array(inside.get(at), slot))
    return {path: [weights[at] for at in sorted(weights)] for path, weights in found.items()}


class _Groups:
    """Reads the groups of an archive."""

    def __init__(self, file: Any, slots: Slots) -> None:
        self.found: dict[LayerPath, list[Weight]] = {}
        self._file = file
        self._slots = slots
        self._used: set[str] = set()

    def read(self, graph: Graph, path: LayerPath, folder: str) -> None:
        """The layers of ``graph``, which Keras counts by class; a Sequential model does not show its input layer."""
        shown = graph.layers[1:] if graph.kind == "Sequential" else graph.layers
        members = [
            layer for layer in shown if not layer.module.startswith(("keras.src.ops.", "keras.src.activations."))
        ]
        for layer, name in zip(members, counted_names([one.class_name for one in members]), strict=True):
            here = (*path, layer.name)
            if layer.subgraph is not None:
                self.read(layer.subgraph, here, f"{folder}/{name}/layers")
            else:
                slots = self._slots.get(here, ())
                self.found[here] = [self._weight(f"{folder}/{name}", slot) for slot in slots]

    def _weight(self, folder: str, slot: Slot) -> Weight:
        places = [(slot.path, slot.index), *slot.copies]
        names = ["/".join(part for part in (folder, path, "vars", str(index)) if part) for path, index in places]
        self._used.update(names)
        return Weight(slot.name, _array(self._file.get(names[0]), slot))

    def refuse_others(self) -> None:
        """Raise NeedsKeras for a weight of a layer that nobody has asked for."""
        import h5py

        def look(name: str, item: Any) -> str | None:
            alone = isinstance(item, h5py.Dataset) and name.startswith("layers/") and name not in self._used
            return name if alone and (item.shape != _SEED or item.dtype.kind == "f") else None

        stray = self._file.visititems(look)
        if stray is not None:
            raise NeedsKeras(f"the weight {stray} that no layer has")


def _array(dataset: Any, slot: Slot) -> Array:
    """The bits of a weight, which must be of the shape and the dtype that its layer asks for."""
    shape, dtype = getattr(dataset, "shape", None), getattr(dataset, "dtype", None)
    if shape != slot.shape or dtype not in _DTYPES[slot.dtype]:
        raise NeedsKeras(f"a weight {slot.name} of shape {shape} and dtype {dtype}, where {slot.shape} is expected")
    if dataset.id.get_storage_size() < dataset.nbytes:
        raise NeedsKeras(f"a weight {slot.name} that is compressed or not all there")
    value = np.empty(shape, dtype)
    if value.size:
        dataset.read_direct(value)
    return value


def _below(layer: LayerNode, path: LayerPath, slots: Slots) -> list[Place]:
    """The weights of ``layer`` and of the layers in it, in the order in which an HDF5 file has them."""
    places = list(_inside(layer, path, slots))
    ordered = sorted(places, key=lambda place: not place[2].trainable)
    if ordered != places and not _all_trained(layer):
        raise NeedsKeras(f"the order of the weights of {layer.name}, some of which are not trained")
    return ordered


def _inside(layer: LayerNode, path: LayerPath, slots: Slots) -> Iterator[Place]:
    yield from ((path, index, slot) for index, slot in enumerate(slots.get(path, ())))
    for inner in layer.subgraph.layers if layer.subgraph is not None else ():
        yield from _inside(inner, (*path, inner.name), slots)


def _all_trained(layer: LayerNode) -> bool:
    inner = layer.subgraph.layers if layer.subgraph is not None else ()
    return bool(layer.config.get("trainable", True)) and all(map(_all_trained, inner))


def _group(group: Any, name: str) -> Any:
    found = group.get(name)
    if not hasattr(found, "attrs"):
        raise NeedsKeras(f"the layer {name}, which the file names and does not hold")
    return found


def _texts(group: Any, name: str) -> list[str]:
    """A list of names; one too long for one attribute is spread over several."""
    if group is None:
        return []
    parts = [name] if name in group.attrs else []
    while f"{name}{len(parts)}" in group.attrs and name not in group.attrs:
        parts.append(f"{name}{len(parts)}")
    return [text.decode() if isinstance(text, bytes) else str(text) for part in parts for text in group.attrs[part]]
