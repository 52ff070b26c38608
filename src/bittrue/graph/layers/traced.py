"""Layers of other classes than Keras's own, by what their calls were seen to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..formula import Formula, Value
from ..model import Body, Graph, TensorRef
from ..traversal import operands_of, schedule

__all__ = ["expand_body"]

Within = Callable[[Formula], tuple[Value, ...]]


def expand_body(formula: Formula, within: Within) -> Value | tuple[Value, ...]:
    """What the body of the call does, its layers written out by ``within``, with the weights of the layer around it."""
    layer, call = formula.layer, formula.call
    at = next((at for at, one in enumerate(layer.calls) if one is call), 0)
    body = layer.bodies[at]
    formula.options.inert(*layer.config)
    for position in range(len(call.args)):
        formula.argument(position, "")
    for name in call.kwargs:
        formula.keyword(name)
    weights = [formula.weight_at(index) for index in body.variables]
    results = _run(formula, body, body.graph, "", [*formula.tensors, *weights], within)
    return results[0] if len(results) == 1 else tuple(results)


def _run(formula: Formula, body: Body, graph: Graph, path: str, feeds: Sequence[Value], within: Within) -> list[Value]:
    made = {spec.ref: feed for spec, feed in zip(graph.inputs, feeds, strict=True)}
    for layer, at in schedule(graph):
        if not layer.calls:
            continue
        here = f"{path}{layer.name}"
        operands = [made[ref] for ref in operands_of(layer, at)]
        if layer.subgraph is not None:
            results = _run(formula, body, layer.subgraph, f"{here}/", operands, within)
        else:
            results = list(within(formula.inner(layer, layer.calls[at], operands, body.weights.get(here, 0))))
        made.update({TensorRef(layer.name, at, which): value for which, value in enumerate(results)})
    return [made[ref] for ref in graph.outputs]
