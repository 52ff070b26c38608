"""Shapes and dtypes of every tensor of a model, as far as they are known before it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bittrue.errors import ModelError, Unsupported
from bittrue.graph.layers import expand
from bittrue.graph.model import Call, Graph, LayerNode, TensorRef
from bittrue.ops import TensorSpec

__all__ = ["Specs", "infer_specs", "inputs_of", "known_specs", "scheduled", "used_layers", "without_masks"]

Specs = Mapping[TensorRef, TensorSpec]


def infer_specs(graph: Graph) -> Specs:
    """The spec of every tensor of ``graph``, nested models counting as one layer.

    Every layer is expanded into ops on the way, so Unsupported is raised for one whose meaning is not known.
    """
    specs: dict[TensorRef, TensorSpec] = {spec.ref: TensorSpec(spec.shape, spec.dtype) for spec in graph.inputs}
    for layer, index in scheduled(graph):
        outputs = _outputs(layer, index, [specs[ref] for ref in inputs_of(layer.calls[index])])
        specs.update({TensorRef(layer.name, index, at): spec for at, spec in enumerate(outputs)})
    return specs


def known_specs(graph: Graph) -> tuple[Specs, Mapping[str, Unsupported]]:
    """As `infer_specs`, but of what can be known, and why it cannot be for the layers that have no expansion."""
    specs: dict[TensorRef, TensorSpec] = {spec.ref: TensorSpec(spec.shape, spec.dtype) for spec in graph.inputs}
    refusals: dict[str, Unsupported] = {}
    for layer, index in scheduled(graph):
        needed = inputs_of(layer.calls[index])
        if not all(ref in specs for ref in needed):
            continue
        try:
            outputs = _outputs(layer, index, [specs[ref] for ref in needed])
        except Unsupported as error:
            refusals.setdefault(layer.name, error)
            continue
        specs.update({TensorRef(layer.name, index, at): spec for at, spec in enumerate(outputs)})
    return specs, refusals


def inputs_of(call: Call) -> tuple[TensorRef, ...]:
    """The tensors a call computes with: masks are TensorFlow.js's to pass on, and are no part of the graph there."""
    keywords = Call((), {name: value for name, value in call.kwargs.items() if name != "mask"})
    return call.inputs + keywords.keyword_inputs


def scheduled(graph: Graph) -> Iterator[tuple[LayerNode, int]]:
    """Every call that the outputs need, after those it needs itself."""
    layers = {layer.name: layer for layer in graph.layers}
    done: set[tuple[str, int]] = set()
    for output in graph.outputs:
        waiting = [(output.layer, output.call)]
        while waiting:
            name, index = waiting[-1]
            layer = layers[name]
            if (name, index) in done or not layer.calls:
                waiting.pop()
                continue
            needed = [(ref.layer, ref.call) for ref in inputs_of(layer.calls[index])]
            missing = [need for need in needed if need not in done and layers[need[0]].calls]
            if missing:
                waiting.extend(missing)
                continue
            done.add((name, index))
            waiting.pop()
            yield layer, index


def used_layers(graph: Graph) -> frozenset[str]:
    """The names of the layers that the outputs need, and of the inputs."""
    return frozenset(layer.name for layer, _ in scheduled(graph)) | {spec.ref.layer for spec in graph.inputs}


def _outputs(layer: LayerNode, call: int, inputs: Sequence[TensorSpec]) -> Sequence[TensorSpec]:
    if layer.subgraph is not None:
        inner = infer_specs(layer.subgraph)
        return [inner[ref] for ref in layer.subgraph.outputs]
    try:
        return expand(without_masks(layer, call), inputs, call).specs
    except Unsupported:
        raise
    except ModelError as error:
        raise Unsupported(f"layer {layer.name!r} ({layer.class_name}): {error}", layer=layer.name) from error


def without_masks(layer: LayerNode, call: int) -> LayerNode:
    """``layer`` as if its ``call``-th call had been given no mask."""
    kwargs = {name: value for name, value in layer.calls[call].kwargs.items() if name != "mask"}
    calls = list(layer.calls)
    calls[call] = Call(layer.calls[call].args, kwargs)
    return replace(layer, calls=tuple(calls))
