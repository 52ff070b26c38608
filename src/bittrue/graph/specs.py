"""Shapes and dtypes of what every layer returns, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bittrue.errors import ModelError
from bittrue.ops import TensorSpec
from bittrue.traces import Key

from .evaluate import layer_specs
from .model import Graph, LayerCall
from .traversal import traverse

__all__ = ["infer_specs"]


def infer_specs(graph: Graph, batch: int | None = None) -> Mapping[Key, TensorSpec]:
    """The spec of every output of every call of every layer, as far as it can be determined, by the `Key` of a record.

    ``batch`` is the size of the first axis of every input, None for any. Floats keep the width they have in the
    model. A layer without an expansion is absent, and so is what depends on it.
    """
    visitor = _Inference()
    feeds = [TensorSpec((batch, *spec.shape[1:]) if spec.shape else (), spec.dtype) for spec in graph.inputs]
    traverse(graph, feeds, visitor)
    return visitor.found


class _Inference:
    def __init__(self) -> None:
        self.found: dict[Key, TensorSpec] = {}

    def visit(self, call: LayerCall, operands: Sequence[TensorSpec | None]) -> Sequence[TensorSpec | None]:
        known = [spec for spec in operands if spec is not None]
        if len(known) != len(operands):
            return []
        try:
            return layer_specs(call.layer, known, call.nodes[-1])
        except ModelError:
            return []

    def entered(
        self, call: LayerCall, operands: Sequence[TensorSpec | None], masks: Sequence[TensorSpec | None]
    ) -> Sequence[TensorSpec | None]:
        return operands

    def missing(self, call: LayerCall, operands: Sequence[TensorSpec | None]) -> TensorSpec | None:
        return None

    def made(self, call: LayerCall, results: Sequence[TensorSpec | None]) -> None:
        for index, spec in enumerate(results):
            if spec is not None:
                self.found[Key("output", call.name, call.call, index)] = spec
