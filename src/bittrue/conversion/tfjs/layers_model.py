"""A graph as the topology of a layers-model, in the terms that TensorFlow.js's ``fromConfig`` reads.

Every model, Sequential ones too, is written as a Functional one: there every layer has its own input tensor,
whereas a Sequential whose first layer is a model dissolves it. The class is called ``Model``, which all
versions know; ``Functional`` came later.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bittrue.errors import Unsupported
from bittrue.graph.model import Call, Graph, LayerNode, TensorRef

from .fitting import fit
from .layer_config import Written, refused
from .lowering.nodes import INHERITED
from .masks import refuse_used_masks
from .numbering import creation_order
from .precision import in_float32
from .shims import SHIM_CLASS, Shim, shim
from .specs import Specs, infer_specs, inputs_of, scheduled, used_layers, without_masks
from .versions import Version
from .wrapping import write

__all__ = [
    "LayersModel",
    "check_name",
    "check_outputs",
    "check_repeated_inputs",
    "fitted",
    "only_tensors",
    "write_model",
]

_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]*")
_MERGES = frozenset({"Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply"})
_INPUT_DTYPES = {
    "float32": "float32",
    "int32": "int32",
    "int64": "int32",
    "int16": "int32",
    "int8": "int32",
    "uint8": "int32",
}


class LayersModel:
    """A model in TensorFlow.js's terms: its ``topology``, and its ``weights`` in order, by TensorFlow.js's names.

    ``places`` gives the names of each layer's weights, in Keras's order, by the layer's path (joined by "/").
    ``shimmed`` says, by the path, why a layer needs the module of `bittrue.conversion.tfjs.shims`.
    """

    def __init__(self) -> None:
        self.topology: dict[str, Any] = {}
        self.places: dict[str, tuple[str, ...]] = {}
        self.shimmed: dict[str, str] = {}
        self.weights: dict[str, np.ndarray[Any, Any]] = {}
        self._owners: dict[str, str] = {}

    def add_weights(self, layer: LayerNode, names: tuple[str, ...], path: str) -> None:
        """Take in the weights of ``layer``. Raises Unsupported for a name that another layer has already."""
        self.places[path] = names
        self._add(layer, dict(enumerate(names)), path)

    def add_shim(self, layer: LayerNode, shim: Shim, path: str, reason: Unsupported) -> None:
        """Take in the weights that the shim of ``layer`` reads. Raises as `add_weights` does."""
        self.shimmed[path] = str(reason)
        if len(shim.weights) == len(layer.weights):
            self.places[path] = tuple(shim.weights[at] for at in range(len(layer.weights)))
        self._add(layer, shim.weights, path)

    def _add(self, layer: LayerNode, names: Mapping[int, str], path: str) -> None:
        for at, name in names.items():
            weight = layer.weights[at]
            if name in self.weights:
                both = f"{self._owners[name]!r} and {path!r}"
                raise refused(layer, f"{both} would both own the weight {name!r} there; rename one of the layers")
            if weight.value.dtype != np.float32:
                raise refused(
                    layer, f"its weight {weight.name!r} is {weight.value.dtype}, and float32 is what is written"
                )
            self.weights[name] = weight.value
            self._owners[name] = path


def write_model(graph: Graph, version: Version, *, shims: bool = False) -> LayersModel:
    """``graph`` for TensorFlow.js of ``version``; with ``shims`` what its layers lack is written for their module.

    Raises Unsupported, naming the layer, for what cannot be faithful.
    """
    graph = in_float32(graph)
    refuse_used_masks(graph)
    model = LayersModel()
    model.topology = _Writer(graph, version, model, "", shims).write()
    return model


class _Writer:
    """Writes one graph; nested ones get a writer of their own."""

    def __init__(self, graph: Graph, version: Version, model: LayersModel, path: str, shims: bool) -> None:
        self.graph = graph
        self.version = version
        self.model = model
        self.path = path
        self.shims = shims
        self.specs: Specs = infer_specs(graph)
        self.nested = {layer.name for layer in graph.layers if layer.subgraph is not None}

    def write(self) -> dict[str, Any]:
        check_outputs(self.graph)
        used = used_layers(self.graph)
        check_repeated_inputs(self.graph)
        layers = [layer for layer in creation_order(self.graph) if layer.name in used]
        return {
            "class_name": "Model",
            "config": {
                "name": self.graph.name,
                "layers": [self._layer(layer) for layer in layers],
                "input_layers": [self._reference(spec.ref) for spec in self.graph.inputs],
                "output_layers": [self._reference(ref) for ref in self.graph.outputs],
            },
        }

    def _layer(self, layer: LayerNode) -> dict[str, Any]:
        check_name(layer)
        if layer.subgraph is not None:
            nodes = [self._node(layer, call) for call in layer.calls]
            inner = _Writer(layer.subgraph, self.version, self.model, f"{self.path}{layer.name}/", self.shims).write()
            inner["config"]["name"] = layer.name
            return {"name": layer.name, **inner, "inbound_nodes": nodes}
        try:
            written = fitted(layer, self.specs, self.version)
            nodes = [self._node(layer, call) for call in layer.calls]
        except Unsupported as reason:
            if not self.shims or not layer.calls:
                raise
            return self._shimmed(layer, reason)
        self.model.add_weights(layer, written.weights, f"{self.path}{layer.name}")
        config = dict(written.config)
        return {"name": layer.name, "class_name": written.class_name, "config": config, "inbound_nodes": nodes}

    def _shimmed(self, layer: LayerNode, reason: Unsupported) -> dict[str, Any]:
        operands = [inputs_of(call) for call in layer.calls]
        plain = [without_masks(layer, at).calls[at] for at in range(len(layer.calls))]
        specs = [(at, [self.specs[ref] for ref in refs]) for at, refs in enumerate(operands)]
        made = shim(replace(layer, calls=tuple(plain)), specs, self.version)
        self.model.add_shim(layer, made, f"{self.path}{layer.name}", reason)
        nodes = [[[*self._reference(ref), {}] for ref in refs] for refs in operands]
        return {"name": layer.name, "class_name": SHIM_CLASS, "config": dict(made.config), "inbound_nodes": nodes}

    def _node(self, layer: LayerNode, call: Call) -> list[list[Any]]:
        tensors = only_tensors(layer, call)
        if layer.subgraph is not None:
            self._check_nested(layer, tensors)
        return [[*self._reference(ref), {}] for ref in tensors]

    def _check_nested(self, layer: LayerNode, tensors: tuple[TensorRef, ...]) -> None:
        assert layer.subgraph is not None
        for ref, declared in zip(tensors, layer.subgraph.inputs, strict=True):
            if self.specs[ref].dtype != declared.dtype:
                raise refused(
                    layer, f"its input {declared.name!r} is {declared.dtype}, but it is given {self.specs[ref].dtype}"
                )

    def _reference(self, ref: TensorRef) -> list[Any]:
        """TensorFlow.js counts the construction of a nested model as its first call."""
        return [ref.layer, ref.call + (ref.layer in self.nested), ref.output]


def check_name(layer: LayerNode) -> None:
    """Raises Unsupported for a name that TensorFlow.js does not take: it makes scopes and variables of it."""
    if not _NAME.fullmatch(layer.name):
        allowed = "letters a to z, digits, '.', '-' and '_', the first a letter or digit"
        raise refused(layer, f"TensorFlow.js takes no such name, only {allowed}; rename it")
    if layer.name in INHERITED:
        raise refused(layer, "TensorFlow.js takes no such name, which every object of JavaScript has; rename it")


def fitted(layer: LayerNode, specs: Specs, version: Version) -> Written:
    """``layer`` as it is written for all of its calls. Raises Unsupported where they do not agree."""
    written = write(layer, version)
    if not layer.calls:
        return _fit_input(layer, written)
    ways = []
    for index, call in enumerate(layer.calls):
        inputs = [specs[ref] for ref in inputs_of(call)]
        ways.append(fit(layer, written, inputs, specs[TensorRef(layer.name, index)], version))
    if any(one != ways[0] for one in ways):
        raise refused(layer, "its calls would have to be written differently, for tensors of different shapes")
    return ways[0]


def _fit_input(layer: LayerNode, written: Written) -> Written:
    dtype = str(written.config.get("dtype", "float32"))
    if dtype not in _INPUT_DTYPES:
        raise refused(layer, f"TensorFlow.js has no {dtype} tensors that its layers take")
    config: Mapping[str, Any] = {**written.config, "dtype": _INPUT_DTYPES[dtype], "sparse": False}
    return Written(written.class_name, config, ())


def only_tensors(layer: LayerNode, call: Call) -> tuple[TensorRef, ...]:
    """The tensors of a call that takes nothing else, as TensorFlow.js lists them. Raises Unsupported for others."""
    for name, value in call.kwargs.items():
        if name not in ("mask", "training") and value is not None and value is not False:
            raise refused(layer, f"it is called with {name}={value!r}")
    if not call.args or any(argument is not None for argument in call.args[1:]):
        raise refused(layer, "it is called with more than its input")
    given = list(call.args[0]) if isinstance(call.args[0], list | tuple) else [call.args[0]]
    if layer.subgraph is None and not all(isinstance(item, TensorRef) for item in given):
        raise refused(layer, "one of its inputs is a constant")
    if layer.class_name in _MERGES and layer.subgraph is None and len(given) < 2:
        raise refused(layer, "TensorFlow.js merges two tensors or more")
    return call.inputs


def check_outputs(graph: Graph) -> None:
    """Raises Unsupported where the model returns a tensor more than once."""
    for ref, count in Counter(graph.outputs).items():
        if count > 1:
            message = (
                f"model {graph.name!r} returns the output of {ref.layer!r} {count} times, which TensorFlow.js cannot"
            )
            raise Unsupported(f"{message}; let it return it once", layer=ref.layer)


def check_repeated_inputs(graph: Graph) -> None:
    """A tensor that one call takes twice is released after that call, though others may still need it."""
    readers: Counter[TensorRef] = Counter()
    twice: dict[TensorRef, LayerNode] = {}
    for layer, index in scheduled(graph):
        for ref, count in Counter(inputs_of(layer.calls[index])).items():
            readers[ref] += 1
            if count > 1:
                twice[ref] = layer
    kept = {*graph.outputs, *(spec.ref for spec in graph.inputs)}
    for ref, layer in twice.items():
        if readers[ref] > 1 and ref not in kept:
            raise refused(
                layer, f"it takes the output of {ref.layer!r} twice, and TensorFlow.js then loses it for others"
            )
