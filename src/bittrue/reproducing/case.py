"""One call of one layer cut out of two saved runs: its inputs, its weights, and what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bittrue.diagnosis.axioms import arithmetic_of, in_dtype
from bittrue.diagnosis.judging import outside
from bittrue.diagnosis.wiring import Wired, load, wire
from bittrue.errors import UsageError
from bittrue.graph.evaluate import layer_bound
from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef, Weight
from bittrue.traces import Array, Key, Provenance, Trace

__all__ = ["Case", "case_of", "redacted", "single_layer"]


@dataclass(frozen=True)
class Case:
    """``layer`` has the model's weights and one call, on inputs called ``input_0``, ``input_1``, …

    ``held`` are the weights as the candidate's runtime had them, in the model's order. ``inputs`` are what its layer
    was given, ``outputs`` what it returned.
    """

    layer: LayerNode
    held: tuple[Array, ...] = field(repr=False)
    inputs: Mapping[str, Array] = field(repr=False)
    outputs: tuple[Array, ...] = field(repr=False)
    provenance: Provenance
    path: tuple[str, ...]

    @property
    def exact(self) -> tuple[tuple[Array, Array], ...]:
        """For each output the exact value on the same inputs, and the bound."""
        arithmetic = in_dtype(arithmetic_of(self.provenance), self.outputs[0].dtype)
        call = self.layer.calls[0]
        given = [self.inputs[ref.layer] for ref in (*call.inputs, *call.keyword_inputs)]
        return layer_bound(self.layer, given, arithmetic.axioms)

    def outside(self, outputs: Sequence[Array]) -> int:
        """How many values of ``outputs`` lie outside of what rounding allows."""
        pairs = zip(outputs, self.exact, strict=False)
        return sum(int(np.count_nonzero(outside(y, value, bound))) for y, (value, bound) in pairs)

    def graph(self) -> Graph:
        """A model of this layer alone, with the weights that the candidate held."""
        held = zip(self.layer.weights, self.held, strict=True)
        layer = replace(self.layer, weights=tuple(Weight(weight.name, value) for weight, value in held))
        return single_layer(layer, self.inputs, len(self.outputs))


def case_of(reference: Trace, candidate: Trace, graph: Graph, name: str) -> Case:
    """The call ``name`` (``layer`` or ``layer#call``) as the candidate made it.

    Raises UsageError where the model has no such layer, or the traces lack what it was made from.
    """
    layer, _, number = name.partition("#")
    wanted = (layer, int(number) if number.isdigit() else 0)
    wired = next((w for w in wire(graph) if (w.call.name, w.call.call) == wanted), None)
    if wired is None or wired.passes:
        raise UsageError(f"the model has no layer {name!r} of its own to cut out; 'bittrue explain' lists what it has")
    try:
        arrays = [load(source, candidate) for source in wired.operands]
    except KeyError as missing:
        raise UsageError(f"{name!r} cannot be cut out: the trace has no record of {missing.args[0]}") from missing
    outputs = _outputs(candidate, wired.key)
    if not outputs:
        raise UsageError(f"{name!r} cannot be cut out: the trace has no record of what it returned")
    return _cut(wired, arrays, outputs, _held(candidate, wired), candidate.provenance)


def _outputs(trace: Trace, key: Key) -> tuple[Array, ...]:
    found: list[Array] = []
    while replace(key, index=len(found)) in trace.records:
        found.append(trace[replace(key, index=len(found))].load())
    return tuple(found)


def _held(trace: Trace, wired: Wired) -> tuple[Array, ...]:
    """The weights as the runtime had them; the model's where it did not show them, or has others."""
    layer, name = wired.call.layer, wired.call.name
    seen = sorted(record.key for record in trace.of_kind("weight") if record.key.layer == name)
    held = tuple(trace[key].load() for key in seen)
    same = [array.shape for array in held] == [weight.value.shape for weight in layer.weights]
    return held if same else tuple(weight.value for weight in layer.weights)


def _cut(
    wired: Wired, arrays: list[Array], outputs: tuple[Array, ...], held: tuple[Array, ...], provenance: Provenance
) -> Case:
    layer, node = wired.call.layer, wired.call.nodes[-1]
    call = layer.calls[node]
    refs = [*call.inputs, *call.keyword_inputs]
    inputs = {f"input_{at}": array for at, array in enumerate(arrays)}
    names: dict[TensorRef, str] = {}
    for ref, given in zip(refs, inputs, strict=True):
        names.setdefault(ref, given)
    used = {name: inputs[name] for name in names.values()}
    args = tuple(_renamed(item, names) for item in call.args)
    kwargs = {key: _renamed(value, names) for key, value in call.kwargs.items()}
    alone = replace(layer, calls=(Call(args, kwargs),))
    return Case(alone, held, used, outputs, provenance, wired.call.path)


def _renamed(item: Any, names: Mapping[TensorRef, str]) -> Any:
    if isinstance(item, TensorRef):
        return TensorRef(names[item])
    if isinstance(item, tuple):
        return tuple(_renamed(inner, names) for inner in item)
    return [_renamed(inner, names) for inner in item] if isinstance(item, list) else item


def single_layer(layer: LayerNode, inputs: Mapping[str, Array], outputs: int) -> Graph:
    """A model of ``layer`` alone, whose one call is on inputs of these names."""
    entries, specs = [], []
    for name, array in inputs.items():
        config = {"name": name, "batch_shape": [None, *array.shape[1:]], "dtype": array.dtype.name}
        entries.append(LayerNode(name, "InputLayer", "keras.layers", config, (), ()))
        specs.append(InputSpec(name, (None, *array.shape[1:]), array.dtype, TensorRef(name)))
    refs = tuple(TensorRef(layer.name, 0, at) for at in range(outputs))
    return Graph("repro", "Functional", (*entries, layer), tuple(specs), refs)


def redacted(case: Case, seed: int) -> Case:
    """The same case on random inputs and weights of the same shapes and magnitudes; its outputs are the old ones."""
    draw = np.random.default_rng(seed)
    weights = tuple(Weight(weight.name, _random(weight.value, draw)) for weight in case.layer.weights)
    inputs = {name: _random(array, draw) for name, array in case.inputs.items()}
    return replace(
        case,
        layer=replace(case.layer, weights=weights),
        held=tuple(weight.value for weight in weights),
        inputs=inputs,
    )


def _random(array: Array, draw: np.random.Generator) -> Array:
    if array.dtype.kind == "b":
        return draw.integers(0, 2, array.shape).astype(bool)
    if array.dtype.kind in "iu":
        low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
        return draw.integers(low, high + 1, array.shape).astype(array.dtype)
    finite = array[np.isfinite(array)].astype(np.float64)
    if not finite.size:
        return array
    made = draw.normal(finite.mean(), finite.std() or abs(finite.mean()) or 1.0, array.shape)
    # What is positive throughout (a variance, a scale) stays so.
    return (np.abs(made) + 1e-3 * finite.std() if finite.min() > 0 else made).astype(array.dtype)
