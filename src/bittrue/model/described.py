"""A model's configuration as a `Graph` without weights: layers, connections and their order, as Keras has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from bittrue.graph.masks import makes_mask
from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef

from .arguments import calls_of, completed, flat, reference
from .configs import layer_config
from .keras_facts import NeedsKeras, keras_class, published_name
from .ordering import Node, ordered

__all__ = ["described_graph"]

Config = Mapping[str, Any]

_MODELS = frozenset({"Functional", "Sequential"})
_MODEL_KEYS = frozenset({"name", "trainable", "layers", "input_layers", "output_layers"})
_CHAIN_KEYS = frozenset({"name", "trainable", "dtype", "layers", "build_input_shape"})
_DTYPES = frozenset({"float32", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool"})
_DEEPEST = 50
_MODEL_CALL = ("inputs", "training", "mask")


def described_graph(entry: Config, *, masks: bool) -> Graph:
    """The model that a serialised one describes, its layers without weights.

    ``masks``: whether the calls name the masks that Keras would send along, so that none comes to be while it builds.
    Raises NeedsKeras for what is not certain.
    """
    return _model(entry, masks, _DEEPEST)


def _model(entry: Config, masks: bool, deepest: int) -> Graph:
    kind, config = entry.get("class_name"), entry.get("config")
    if kind not in _MODELS or not str(entry.get("module", "keras")).startswith("keras"):
        raise NeedsKeras(f"a model of class {kind}")
    if entry.get("registered_name") not in (None, kind) or "shared_object_id" in entry or not deepest:
        raise NeedsKeras("a model that is registered, shared or nested too deeply")
    if not isinstance(config, Mapping) or not isinstance(config.get("layers"), list):
        raise NeedsKeras("a model without layers")
    build = _Functional if kind == "Functional" else _Chain
    return build(config, masks, deepest).graph()


class _Model:
    """What both kinds of models have in common."""

    keys = _MODEL_KEYS

    def __init__(self, config: Config, masks: bool, deepest: int) -> None:
        strange = set(config) - self.keys
        if strange:
            raise NeedsKeras(f"the option {min(strange)} of a model")
        self.config = config
        self.name = _name(config)
        self.layers = {layer.name: layer for layer in self._read(masks, deepest)}
        if len(self.layers) != len(config["layers"]):
            raise NeedsKeras("layers of the same name")

    def _read(self, masks: bool, deepest: int) -> Iterator[LayerNode]:
        for entry in self.config["layers"]:
            if not isinstance(entry, Mapping):
                raise NeedsKeras("an entry that is no layer")
            layer = _layer(entry, masks, deepest)
            layer = replace(layer, calls=tuple(_completed(layer, call) for call in layer.calls))
            if makes_mask(layer) and not masks:
                raise NeedsKeras("a mask that Keras sends along unseen")
            yield layer

    def input(self, ref: TensorRef) -> InputSpec:
        """What the model is fed there."""
        layer = self.layers.get(ref.layer)
        shape = None if layer is None else layer.config.get("batch_shape")
        if layer is None or layer.class_name != "InputLayer" or ref != TensorRef(ref.layer):
            raise NeedsKeras("an input that is no input layer's")
        if not isinstance(shape, list) or not all(size is None or (type(size) is int and size >= 0) for size in shape):
            raise NeedsKeras("an input of unknown shape")
        if layer.config.get("dtype") not in _DTYPES:
            raise NeedsKeras(f"an input of dtype {layer.config.get('dtype')}")
        return InputSpec(ref.layer, tuple(shape), np.dtype(layer.config["dtype"]), ref)


class _Chain(_Model):
    """A Sequential model."""

    keys = _CHAIN_KEYS

    def graph(self) -> Graph:
        """Each layer is called on what the one before returns."""
        names = list(self.layers)
        if any(self.layers[name].class_name == "InputLayer" for name in names[1:]) or any(
            makes_mask(layer) for layer in self.layers.values()
        ):
            raise NeedsKeras("a Sequential model that names no masks")
        entry = self.input(TensorRef(names[0])) if names else None
        if entry is None:
            raise NeedsKeras("a Sequential model without layers")
        called = [
            replace(layer, calls=(_completed(layer, Call((TensorRef(before),))),))
            for before, layer in ((before, self.layers[name]) for before, name in pairwise(names))
        ]
        return Graph(self.name, "Sequential", (self.layers[names[0]], *called), (entry,), (TensorRef(names[-1]),))


class _Functional(_Model):
    """A Functional model."""

    def graph(self) -> Graph:
        """As it is written, in Keras's order."""
        inputs = [reference(ref) for ref in _references(self.config.get("input_layers"))]
        outputs = [self._output(reference(ref)) for ref in _references(self.config.get("output_layers"))]
        names = ordered(self._parents(), inputs, outputs)
        if set(names) != set(self.layers):
            raise NeedsKeras("a layer that nothing needs")
        layers = [self.layers[name] for name in names]
        if any(layer.class_name == "InputLayer" and TensorRef(layer.name) not in inputs for layer in layers):
            raise NeedsKeras("an input layer that is no input")
        entries = tuple(self.input(ref) for ref in inputs)
        return Graph(self.name, "Functional", tuple(layers), entries, tuple(outputs))

    def _output(self, ref: TensorRef) -> TensorRef:
        """Keras counts the calls of a nested Functional model from 1 where it says what the outputs are."""
        layer = self.layers.get(ref.layer)
        nested = layer is not None and layer.subgraph is not None and layer.subgraph.kind == "Functional"
        if nested and not ref.call:
            raise NeedsKeras("an output of a model that was not called")
        return replace(ref, call=ref.call - 1) if nested else ref

    def _parents(self) -> dict[Node, list[Node]]:
        found: dict[Node, list[Node]] = {}
        for layer in self.layers.values():
            if layer.class_name == "InputLayer":
                found[layer.name, 0] = []
            for at, call in enumerate(layer.calls):
                leaves = flat((call.args, call.kwargs))
                found[layer.name, at] = [(ref.layer, ref.call) for ref in leaves if isinstance(ref, TensorRef)]
        return found


def _layer(entry: Config, masks: bool, deepest: int) -> LayerNode:
    """A layer, an operation or a nested model with its calls."""
    calls = calls_of(entry.get("inbound_nodes", []))
    if entry.get("class_name") in _MODELS:
        inner = _model(entry, masks, deepest - 1)
        trained = entry["config"].get("trainable")
        config = {"name": inner.name, "trainable": True if inner.kind == "Sequential" or trained is None else trained}
        return LayerNode(inner.name, inner.kind, "keras", config, (), calls, inner)
    found = layer_config(entry)
    name = _name(found.config)
    if entry.get("name", name) != name or (found.class_name == "InputLayer" and calls):
        raise NeedsKeras("a layer that is called otherwise elsewhere")
    return LayerNode(name, found.class_name, found.module, found.config, (), calls)


def _completed(layer: LayerNode, call: Call) -> Call:
    """``call`` as Keras makes it where a file does not say all of it."""
    if layer.subgraph is not None:
        return completed(call, _MODEL_CALL, None)
    facts = keras_class(published_name(layer.class_name)) if not layer.module.startswith("keras.src.") else None
    return call if facts is None else completed(call, facts.call, facts.training)


def _name(config: Config) -> str:
    name = config.get("name")
    if not isinstance(name, str) or not name or "/" in name:
        raise NeedsKeras("a layer without a name")
    return name


def _references(value: Any) -> Sequence[Any]:
    """The references in a structure, in the order in which Keras flattens it."""
    match value:
        case [str(), int(), int()]:
            return [value]
        case list():
            return [ref for item in value for ref in _references(item)]
        case Mapping():
            return [ref for key in sorted(value) for ref in _references(value[key])]
    raise NeedsKeras("inputs or outputs in another form")
