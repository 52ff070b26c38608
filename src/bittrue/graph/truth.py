"""The float64 answer: every call of every layer of a model, evaluated by Bittrue's own ops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bittrue.errors import InputError, ModelError
from bittrue.ops.base import same_size, widened
from bittrue.tracefile import TraceWriter
from bittrue.traces import Array, Key, Provenance, Record, Trace

from .evaluate import layer_truth
from .explicit_masks import with_masks
from .masks import passes_mask, uses_mask
from .model import Call, Graph, LayerCall
from .traversal import traverse

__all__ = ["evaluate", "passes_unseen", "unseen_mask"]


def evaluate(graph: Graph, inputs: Mapping[str, Array], *, save: Path | None = None) -> Trace:
    """What every call of every layer returns on ``inputs`` (by name, batch first), in float64.

    Inputs are cast to the dtypes the model takes, as every runtime does; weights are taken as their exact bits.
    An activation is let go once nothing reads it any more; records go to ``save``, or to a temporary file that
    ends with the trace. A layer that cannot be expressed, or that computes with a mask that its call does not name,
    has no truth, nor has what depends on it: the provenance's detail ``no_truth`` maps the name of each such layer
    to the reason. Raises InputError for inputs that do not fit the model.
    """
    feeds = _feeds(graph, inputs)
    with TraceWriter(save) as writer:
        for spec in graph.inputs:
            writer.add(Record.of(Key("input", spec.name), np.ascontiguousarray(inputs[spec.name])))
        evaluation = _Evaluation(writer, {call.name for call in graph.calls()})
        traverse(with_masks(graph), feeds, evaluation)
        details = {"no_truth": evaluation.no_truth}
        return writer.finish(Provenance("truth", "bittrue", "float64", _VERSION, details=details))


_VERSION = "1"  # of the float64 evaluation; raised whenever its results may move


@dataclass(frozen=True)
class _Tensor:
    """A tensor on its way: ``array``, or the layer ``without`` truth that it comes from.

    ``masked`` says whether Keras would send a mask along that no call of the graph names: a nested model's inputs
    are masked where it is called with a mask.
    """

    array: Array | None
    masked: bool = False
    without: str = ""


class _Evaluation:
    """Evaluates and records one call after the other."""

    def __init__(self, writer: TraceWriter, recorded: set[str]) -> None:
        self.no_truth: dict[str, str] = {}
        self._writer = writer
        self._recorded = recorded

    def visit(self, call: LayerCall, operands: Sequence[_Tensor]) -> Sequence[_Tensor]:
        masked = passes_unseen(call, _masked(operands))
        arrays = [tensor.array for tensor in operands if tensor.array is not None]
        reason = self._obstacle(call, operands)
        if reason is None:
            try:
                results = layer_truth(call.layer, arrays, call.nodes[-1])
                return [_Tensor(array, masked) for array in results]
            except ModelError as error:
                reason = str(error)
        self.no_truth[call.name] = reason
        return []

    def _obstacle(self, call: LayerCall, operands: Sequence[_Tensor]) -> str | None:
        for tensor in operands:
            if tensor.array is None:
                return f"it depends on {tensor.without!r}, which has none"
        return unseen_mask(call, _masked(operands))

    def entered(self, call: LayerCall, operands: Sequence[_Tensor], masks: Sequence[_Tensor]) -> Sequence[_Tensor]:
        masked = bool(masks) or any(tensor.masked for tensor in operands)
        return [replace(tensor, masked=masked) for tensor in operands]

    def missing(self, call: LayerCall, operands: Sequence[_Tensor]) -> _Tensor:
        origin = next((tensor.without for tensor in operands if tensor.array is None), call.name)
        return _Tensor(None, passes_unseen(call, _masked(operands)), origin)

    def made(self, call: LayerCall, results: Sequence[_Tensor]) -> None:
        for index, tensor in enumerate(results):
            if tensor.array is not None and call.name in self._recorded:
                key = Key("output", call.name, call.call, index)
                self._writer.add(Record.of(key, np.ascontiguousarray(tensor.array)))


def unseen_mask(call: LayerCall, masked: bool) -> str | None:
    """Why a call cannot be evaluated whose tensors are ``masked`` by what the graph does not name; None if it can."""
    if masked and uses_mask(call.layer) and not _given_masks(call):
        return "Keras computes it with the mask of the model that it is in, which is not evaluated here"
    return None


def passes_unseen(call: LayerCall, masked: bool) -> bool:
    """Whether such a mask goes on to what reads the call's output."""
    return masked and passes_mask(call.layer)


def _masked(operands: Sequence[_Tensor]) -> bool:
    """Whether a mask that is not named reaches a call."""
    return any(tensor.masked for tensor in operands)


def _given_masks(call: LayerCall) -> bool:
    """Whether the call names the masks it computes with."""
    kwargs = call.layer.calls[call.nodes[-1]].kwargs if call.layer.calls else {}
    return any(name.endswith("mask") and _tensor_in(value) for name, value in kwargs.items())


def _tensor_in(value: object) -> bool:
    return bool(Call((value,)).inputs)


def _feeds(graph: Graph, inputs: Mapping[str, Array]) -> list[_Tensor]:
    names = [spec.name for spec in graph.inputs]
    if set(names) != set(inputs):
        raise InputError(f"the model's inputs are {_listed(names)}, but {_listed(inputs)} were given")
    for spec in graph.inputs:
        shape = inputs[spec.name].shape
        if len(shape) != len(spec.shape) or not all(map(same_size, spec.shape, shape)):
            raise InputError(f"input {spec.name!r} has shape {shape}, but the model takes {spec.shape}", name=spec.name)
    return [_Tensor(widened(inputs[spec.name].astype(spec.dtype))) for spec in graph.inputs]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
