"""A graph as a TensorFlow.js graph-model: every call of every layer written out as nodes of a TensorFlow GraphDef.

The artifact says which nodes are whose: ``userDefinedMetadata.bittrue`` lists each layer with the nodes of its
weights, and each call with the nodes of its outputs, so that whoever runs the model can find the layers again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bittrue.errors import ModelError, Unsupported
from bittrue.graph.expansion import Expansion, WeightRef
from bittrue.graph.explicit_masks import with_masks
from bittrue.graph.layers import expand
from bittrue.graph.masks import passes_mask, uses_mask
from bittrue.graph.model import Call, Graph, InputSpec, LayerCall, LayerNode, TensorRef
from bittrue.graph.options import dtype_name
from bittrue.graph.traversal import schedule
from bittrue.ops import TensorSpec
from bittrue.traces import Array

from .expanded import write_expansion
from .layer_config import refused
from .lowering import Nodes, Scope, Tensor
from .lowering.attributes import held, shape, type_of
from .lowering.nodes import INHERITED
from .precision import in_float32
from .specs import inputs_of, without_masks
from .versions import Version

__all__ = ["GraphModel", "write_graph"]

_WEIGHTS = ("float32", "int32")
_PRODUCER = 1882  # version of the GraphDef format, that of TensorFlow 2.16


class GraphModel:
    """A model as nodes, the entries of its signature, and which nodes are whose.

    ``places`` gives the nodes of each layer's weights, in Keras's order, by the layer's path (joined by "/").
    """

    format = "graph-model"

    def __init__(self) -> None:
        self.nodes = Nodes()
        self.inputs: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}
        self.layers: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.places: dict[str, tuple[str, ...]] = {}

    @property
    def weights(self) -> Mapping[str, Array]:
        """Every array by the name of its node: the layers' weights, and the constants of their configurations."""
        return self.nodes.arrays

    @property
    def parts(self) -> Mapping[str, Any]:
        """What ``model.json`` says besides the weights. Older versions look for the signature in the metadata."""
        signature = {"inputs": self.inputs, "outputs": self.outputs}
        found = {"layers": self.layers, "calls": self.calls}
        return {
            "signature": signature,
            "userDefinedMetadata": {"signature": signature, "bittrue": found},
            "modelTopology": {"node": self.nodes.listed, "library": {}, "versions": {"producer": _PRODUCER}},
        }


def write_graph(graph: Graph, version: Version) -> GraphModel:
    """``graph`` for TensorFlow.js of ``version``. Raises Unsupported, naming the layer, for what cannot be faithful."""
    graph = in_float32(graph)
    explicit = with_masks(graph)
    model = GraphModel()
    feeds = [_placeholder(graph, spec, model) for spec in graph.inputs]
    writer = _Writer(graph, explicit, version, model)
    results, _ = writer.write(explicit, feeds, [False] * len(feeds), (), ())
    for ref, tensor in zip(graph.outputs, results, strict=True):
        _add_output(model, graph, ref, tensor)
    writer.describe_layers()
    return model


def _placeholder(graph: Graph, spec: InputSpec, model: GraphModel) -> Tensor:
    if held(spec.dtype) is None:
        layer = graph.layer(spec.ref.layer)
        raise refused(layer, f"it takes {spec.dtype.name} tensors, which TensorFlow.js does not have")
    name = model.nodes.name(spec.name)
    tensor = TensorSpec(spec.shape, spec.dtype)
    attributes = {"dtype": type_of(spec.dtype), "shape": shape(spec.shape)}
    model.nodes.add("Placeholder", name, (), attributes, tensor)
    model.inputs[name] = {"name": name, "dtype": attributes["dtype"]["type"], "tensorShape": shape(spec.shape)["shape"]}
    return Tensor(name, tensor)


def _add_output(model: GraphModel, graph: Graph, ref: TensorRef, tensor: Tensor) -> None:
    """An entry of the signature. TensorFlow.js forgets all but one of those that name the same node."""
    taken = {entry["name"] for entry in (*model.outputs.values(), *model.inputs.values())}
    if tensor.node in taken:
        attributes = {"T": type_of(tensor.spec.dtype)}
        name = model.nodes.name(f"{ref.layer}/Identity")
        tensor = model.nodes.add("Identity", name, (tensor,), attributes, tensor.spec)
    key, count = _key(ref.layer), 0
    while key in model.outputs:
        count += 1
        key = f"{_key(ref.layer)}_{count}"
    kind = type_of(tensor.spec.dtype)["type"]
    model.outputs[key] = {"name": tensor.node, "dtype": kind, "tensorShape": shape(tensor.spec.shape)["shape"]}


def _key(name: str) -> str:
    """A key that JavaScript keeps in its place among others: not a number, and no property of every object."""
    return name if name[:1].isalpha() and name not in INHERITED else f"n{name}"


class _Writer:
    """Writes calls one after the other, nested models entered."""

    def __init__(self, graph: Graph, explicit: Graph, version: Version, model: GraphModel) -> None:
        self.graph = graph
        self.named = {(call.path, call.nodes) for call in graph.calls()}
        self.version = version
        self.model = model
        self.calls: dict[tuple[tuple[str, ...], tuple[int, ...]], LayerCall] = {
            (call.path, call.nodes): call for call in explicit.calls()
        }
        self.weights: dict[tuple[str, ...], dict[int, Tensor]] = {}

    def write(
        self,
        graph: Graph,
        feeds: Sequence[Tensor],
        masked: Sequence[bool],
        path: tuple[str, ...],
        nodes: tuple[int, ...],
    ) -> tuple[list[Tensor], list[bool]]:
        """The outputs of one call of ``graph`` at ``path``, and whether they bear a mask that no call names."""
        made: dict[TensorRef, Tensor] = {}
        masks: dict[TensorRef, bool] = {}
        for spec, feed, mask in zip(graph.inputs, feeds, masked, strict=True):
            made[spec.ref], masks[spec.ref] = self._fed(graph, spec, feed), mask
            self._record((*path, spec.ref.layer), (*nodes, spec.ref.call), [feed])
        for layer, index in _needed(graph):
            call = self.calls[(*path, layer.name), (*nodes, index)]
            refs = _operands(layer, index)
            operands, reached = [made[ref] for ref in refs], any(masks[ref] for ref in refs)
            if layer.subgraph is not None:
                inside = [reached or _named_masks(layer.calls[index])] * len(operands)
                results, flags = self.write(layer.subgraph, operands, inside, call.path, call.nodes)
            else:
                _check_masks(layer, index, reached)
                results = self._layer(call, operands)
                flags = [reached and passes_mask(layer)] * len(results)
            self._record(call.path, call.nodes, results)
            made.update({TensorRef(layer.name, index, at): tensor for at, tensor in enumerate(results)})
            masks.update({TensorRef(layer.name, index, at): mask for at, mask in enumerate(flags)})
        return [made[ref] for ref in graph.outputs], [masks[ref] for ref in graph.outputs]

    @staticmethod
    def _fed(graph: Graph, spec: InputSpec, feed: Tensor) -> Tensor:
        if held(spec.dtype) != held(feed.spec.dtype):
            given = f"its input {spec.name!r} is {spec.dtype}, but it is given {feed.spec.dtype}"
            raise refused(graph.layer(spec.ref.layer), given)
        return feed

    def _record(self, path: tuple[str, ...], nodes: tuple[int, ...], results: Sequence[Tensor]) -> None:
        if (path, nodes) not in self.named:
            return  # a mask that Keras makes on the way
        outputs = [
            {"node": tensor.node, "dtype": held(tensor.spec.dtype), "shape": list(tensor.spec.shape)}
            for tensor in results
        ]
        self.model.calls.append({"path": list(path), "nodes": list(nodes), "outputs": outputs})

    def _layer(self, call: LayerCall, operands: Sequence[Tensor]) -> list[Tensor]:
        layer, index = call.layer, call.nodes[-1]
        _check_policy(layer)
        specs = tuple(tensor.spec for tensor in operands)
        expansion = _expansion(layer, specs, index)
        prefix = "/".join(call.path) + (f"_{call.call}" if call.call else "")
        scope = Scope(self.model.nodes, prefix, layer, self.version)
        return write_expansion(scope, expansion, operands, lambda ref: self.weight(call.path, layer, ref))

    def weight(self, path: tuple[str, ...], layer: LayerNode, ref: WeightRef) -> Tensor:
        """The node of a weight, one for all calls of its layer."""
        own = self.weights.setdefault(path, {})
        if ref.index not in own:
            value = layer.weights[ref.index].value
            if value.dtype.name not in _WEIGHTS:
                raise refused(layer, f"its weight {ref.name!r} is {value.dtype}, and float32 is what is written")
            own[ref.index] = self.model.nodes.weight("/".join((*path, ref.name)), value)
        return own[ref.index]

    def describe_layers(self) -> None:
        """List every layer that takes part, with the nodes of its weights; null for one that could not be held."""
        present = {tuple(call["path"]) for call in self.model.calls}
        for path, layer in self.graph.walk():
            if path not in present:
                continue
            weights = [self._described(path, layer, index) for index in range(len(layer.weights))]
            self.model.layers.append({"path": list(path), "class": layer.class_name, "weights": weights})
            held_ones = tuple(name for name in weights if name is not None)
            if len(held_ones) == len(weights):
                self.model.places["/".join(path)] = held_ones

    def _described(self, path: tuple[str, ...], layer: LayerNode, index: int) -> str | None:
        weight = layer.weights[index]
        if weight.value.dtype.name not in _WEIGHTS:
            return None  # a counter or a seed, which nothing reads
        return self.weight(path, layer, WeightRef(index, weight.name)).node


def _expansion(layer: LayerNode, specs: tuple[TensorSpec, ...], index: int) -> Expansion:
    try:
        return expand(layer if _computes_with_masks(layer) else without_masks(layer, index), specs, index)
    except Unsupported:
        raise
    except ModelError as error:
        raise Unsupported(f"layer {layer.name!r} ({layer.class_name}): {error}", layer=layer.name) from error


def _operands(layer: LayerNode, index: int) -> tuple[TensorRef, ...]:
    """The tensors that a call computes with: masks only where the layer does."""
    call = layer.calls[index]
    if layer.subgraph is None and _computes_with_masks(layer):
        return call.inputs + call.keyword_inputs
    return inputs_of(call)


def _computes_with_masks(layer: LayerNode) -> bool:
    """Whether a mask among the arguments counts: to an operation it is an argument like any other."""
    return uses_mask(layer) or layer.module != "keras.layers"


def _needed(graph: Graph) -> list[tuple[LayerNode, int]]:
    """Every call that the outputs need, after those it needs itself."""
    layers = {layer.name: layer for layer in graph.layers}
    reached: set[tuple[str, int]] = set()
    waiting = [(ref.layer, ref.call) for ref in graph.outputs]
    while waiting:
        at = waiting.pop()
        if at not in reached and layers[at[0]].calls:
            reached.add(at)
            waiting += [(ref.layer, ref.call) for ref in _operands(layers[at[0]], at[1])]
    return [(layer, index) for layer, index in schedule(graph) if (layer.name, index) in reached]


def _named_masks(call: Call) -> bool:
    """Whether the call names the masks it is given, as Keras's own calls do outside nested models."""
    return any(name.endswith("mask") and Call((value,)).inputs for name, value in call.kwargs.items())


def _check_masks(layer: LayerNode, index: int, reached: bool) -> None:
    """Raises Unsupported where Keras would hand over a mask that the call does not name."""
    if reached and uses_mask(layer) and not _named_masks(layer.calls[index]):
        raise refused(layer, "it computes with a mask that comes from the model around it, which no call names")


def _check_policy(layer: LayerNode) -> None:
    if layer.module != "keras.layers":
        return  # an operation's dtype is an argument of its own
    policy = dtype_name(layer.config.get("dtype"))
    if policy not in (None, "float32"):
        raise refused(layer, f"its dtype policy is {policy}, and TensorFlow.js computes in float32")
