"""What would become of one layer in a graph-model, found out by writing it, alone, as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bittrue.errors import Unsupported
from bittrue.graph.model import Body, Call, Graph, InputSpec, LayerNode, TensorRef
from bittrue.ops import TensorSpec

from .graph_model import write_graph
from .specs import Specs, inputs_of
from .versions import Version

__all__ = ["graph_remedy"]

_QUIET = frozenset({"Const", "Identity", "Placeholder"})
_SHOWN = 4  # kinds of nodes


def graph_remedy(layer: LayerNode, specs: Specs, version: Version) -> str | None:
    """What a graph-model does about ``layer``, in words; None where the tensors that it is called with are not known.

    Every call is tried. Masks are left to the model as a whole.
    """
    kinds: Counter[str] = Counter()
    for call in layer.calls:
        refs = inputs_of(call)
        if not all(ref in specs for ref in refs):
            return None
        try:
            made = write_graph(_alone(layer, call, refs, [specs[ref] for ref in refs]), version)
        except Unsupported as error:
            return f"nor in a graph-model: {str(error).partition(': ')[2] or error}"
        kinds.update(node["op"] for node in made.nodes.listed if node["op"] not in _QUIET)
    if not kinds:
        return "in a graph-model it is no node at all"
    named = [kind for kind, _ in kinds.most_common(_SHOWN)]
    rest = " and others" if len(kinds) > _SHOWN else ""
    return f"in a graph-model {sum(kinds.values())} nodes: {', '.join(named)}{rest}"


def _alone(layer: LayerNode, call: Call, refs: Sequence[TensorRef], specs: Sequence[TensorSpec]) -> Graph:
    """A model of that call alone."""
    given = dict(zip(refs, specs, strict=True))
    names = {ref: f"fed_{at}" for at, ref in enumerate(given)}
    inputs = tuple(InputSpec(names[ref], spec.shape, spec.dtype, TensorRef(names[ref])) for ref, spec in given.items())
    entries = tuple(LayerNode(one.name, "InputLayer", "keras.layers", {"name": one.name}, (), ()) for one in inputs)
    kwargs = {name: _renamed(value, names) for name, value in call.kwargs.items() if name != "mask"}
    own = replace(layer, calls=(Call(_renamed(call.args, names), kwargs),), bodies=_body(layer, call))
    return Graph("alone", "Functional", (*entries, own), inputs, (TensorRef(layer.name),))


def _body(layer: LayerNode, call: Call) -> tuple[Body, ...]:
    at = next(at for at, one in enumerate(layer.calls) if one is call)
    return layer.bodies[at : at + 1]


def _renamed(value: Any, names: Mapping[TensorRef, str]) -> Any:
    if isinstance(value, TensorRef):
        return TensorRef(names[value])
    if isinstance(value, tuple):
        return tuple(_renamed(item, names) for item in value)
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value
