"""Hazards that no layer has by itself: masks, shared layers, names, and the form in which Keras 3 writes a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

from bittrue.errors import Unsupported
from bittrue.graph.masks import makes_mask
from bittrue.graph.model import Graph

from .layers_model import check_name, check_outputs, check_repeated_inputs
from .lint_options import Issue, Kind
from .masks import mask_users
from .numbering import creation_order, overtaken
from .specs import used_layers

__all__ = ["ModelFinding", "model_findings"]

ModelFinding: TypeAlias = tuple[str, Issue, str, bool]
"""The path of the layer (empty for the model), what is wrong, what is done about it, and whether that repairs it."""

_WRITTEN = "written as TensorFlow.js reads it"


def model_findings(graph: Graph) -> Iterator[ModelFinding]:
    """Every hazard of the model as a whole, nested models included."""
    yield from _form(graph)
    yield from _masks(graph)
    yield from _collisions(graph)
    for path, inner in _graphs(graph, ()):
        yield from _order(inner, path)
        yield from _names(inner, path)
        yield from _repetitions(inner, path)


def _graphs(graph: Graph, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Graph]]:
    yield path, graph
    for layer in graph.layers:
        if layer.subgraph is not None:
            yield from _graphs(layer.subgraph, (*path, layer.name))


def _form(graph: Graph) -> Iterator[ModelFinding]:
    if any(inner.kind == "Functional" for _, inner in _graphs(graph, ())):
        effect = "Corrupted configuration, expected array for nodeData"
        why = "Keras 3 writes the connections of a Functional model in a form of its own"
        yield "", Issue("rejected", None, effect, why), _WRITTEN, True
    for path, layer in graph.walk():
        if layer.subgraph is not None:
            why = "it counts the construction of a nested model as its first call, and Keras does not"
            yield "/".join(path), Issue("rejected", None, "Graph disconnected", why), _WRITTEN, True


def _masks(graph: Graph) -> Iterator[ModelFinding]:
    why = "TensorFlow.js keeps the last mask it saw and hands it to later layers that Keras gives none"
    users = mask_users(graph)
    for path, _ in users:
        issue = Issue("hazard", "mask", "it may compute with another mask than in Keras", why)
        yield "/".join(path), issue, "no layers-model: it computes with a mask", False
    for path, layer in graph.walk():
        if makes_mask(layer) and not users:
            issue = Issue("hazard", "mask", "its mask leaks to layers that come later", why)
            yield "/".join(path), issue, "written without its mask, with which nothing computes", True


def _collisions(graph: Graph) -> Iterator[ModelFinding]:
    """TensorFlow.js names weights by the layer alone, wherever it is nested."""
    owners: dict[str, str] = {}
    for path, layer in graph.walk():
        here = "/".join(path)
        owner = owners.setdefault(layer.name, here) if layer.weights else here
        if owner != here:
            why = f"it names weights by their layer alone, and {owner!r} has the same name"
            issue = Issue("rejected", "name", "two layers would own the same weights", why)
            yield here, issue, "no layers-model: rename one of the two", False


def _order(graph: Graph, path: tuple[str, ...]) -> Iterator[ModelFinding]:
    name = overtaken(graph.layers)
    if name is None:
        return
    why = "it makes the calls of a shared layer in the order in which their inputs are ready"
    issue = Issue("different", None, "its calls are exchanged", why)
    here = "/".join((*path, name))
    try:
        creation_order(graph)
    except Unsupported:
        yield here, issue, "no layers-model: call it first where its input is ready first", False
    else:
        yield here, issue, "the layers are listed in an order in which nothing is overtaken", True


def _names(graph: Graph, path: tuple[str, ...]) -> Iterator[ModelFinding]:
    used = used_layers(graph)
    for layer in graph.layers:
        if layer.name in used:
            yield from _caught(partial(check_name, layer), "rejected", "name", (*path, layer.name))


def _repetitions(graph: Graph, path: tuple[str, ...]) -> Iterator[ModelFinding]:
    yield from _caught(lambda: check_outputs(graph), "rejected", None, path)
    yield from _caught(lambda: check_repeated_inputs(graph), "rejected", None, path)


def _caught(check: Callable[[], None], kind: Kind, option: str | None, path: tuple[str, ...]) -> Iterator[ModelFinding]:
    try:
        check()
    except Unsupported as error:
        reason = str(error).partition(": ")[2] or str(error)
        where = path if option else (*path, error.layer or "")
        yield "/".join(where), Issue(kind, option, "it does not load or does not run", reason), "no layers-model", False
