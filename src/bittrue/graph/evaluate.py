"""What one layer computes on given inputs, in float64, and what rounding may do to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from bittrue.errors import ModelError
from bittrue.ops import Axioms, TensorSpec
from bittrue.traces import Array

from .expansion import Constant, Expansion, InputRef, NodeRef, OpNode, Ref, WeightRef
from .layers import expand
from .model import LayerNode

__all__ = ["evaluate_layer", "layer_bound", "layer_specs", "layer_truth", "rounded_constant"]

_Result = TypeVar("_Result")


def layer_truth(layer: LayerNode, inputs: Sequence[Array], call: int = 0) -> tuple[Array, ...]:
    """What the ``call``-th call of ``layer`` returns on ``inputs`` (its tensors: positional, then keyword ones).

    Weights are taken as their exact bits; floats come back as float64. Raises Unsupported for a layer that has
    no expansion, ModelError for inputs that do not fit.
    """

    def step(node: OpNode, operands: Sequence[Array]) -> Array:
        return node.op.evaluate(*operands)[0]

    return evaluate_layer(layer, inputs, call, lambda ref, value: value, step)


def layer_bound(
    layer: LayerNode,
    inputs: Sequence[Array],
    axioms: Axioms,
    call: int = 0,
    errors: Sequence[Array | float] | None = None,
) -> tuple[tuple[Array, Array], ...]:
    """For each output of a call: its exact value and an elementwise bound on the error of any computation of it.

    Holds for every order of summation, fused or not, by an arithmetic that keeps ``axioms``, if the layer is
    computed by the ops of its expansion. ``errors`` bound how far the inputs of the computation may lie from
    ``inputs`` (None: they are the same bits). Numbers from the configuration may have been rounded once.
    """
    given = errors if errors is not None else [0.0] * len(inputs)

    def leaf(ref: Ref, value: Array) -> tuple[Array, Array, int]:
        error: Array | float = 0.0
        if isinstance(ref, InputRef):
            error = given[ref.index]
        elif isinstance(ref, Constant):
            error = rounded_constant(value, axioms)
        return value, np.asarray(error, np.float64), 0

    def step(node: OpNode, operands: Sequence[tuple[Array, Array, int]]) -> tuple[Array, Array, int]:
        values, moved, terms = zip(*operands, strict=True) if operands else ((), (), ())
        exact = node.op.evaluate(*values)[0]
        bound = node.op.error_bound(axioms, *values, errors=moved, exact=exact, terms=terms)
        return exact, bound, node.op.unfinished_terms(terms, *map(np.shape, values))

    return tuple((value, bound) for value, bound, _ in evaluate_layer(layer, inputs, call, leaf, step))


def evaluate_layer(
    layer: LayerNode,
    inputs: Sequence[Array],
    call: int,
    leaf: Callable[[Ref, Array], _Result],
    step: Callable[[OpNode, Sequence[_Result]], _Result],
) -> tuple[_Result, ...]:
    """The outputs of a call, where ``leaf`` says what is known of an input, weight or constant, and ``step`` of an op.

    Raises as `layer_truth`.
    """
    expansion = _expansion(layer, inputs, call)

    def named(node: OpNode, operands: Sequence[_Result]) -> _Result:
        try:
            return step(node, operands)
        except ModelError as error:
            raise ModelError(f"layer {layer.name!r} ({layer.class_name}): {error}") from error

    return _run(expansion, lambda ref: leaf(ref, _leaf(layer, inputs, ref)), named)


def rounded_constant(value: Array, axioms: Axioms) -> Array:
    """How far a number from the configuration may be off where an arithmetic has rounded it once; elementwise."""
    if value.dtype.kind != "f":
        return np.zeros(value.shape)
    return np.where(_is_exact(value, axioms), 0.0, np.abs(value) * axioms.unit_roundoff)


def layer_specs(layer: LayerNode, specs: Sequence[TensorSpec], call: int = 0) -> tuple[TensorSpec, ...]:
    """Shapes and dtypes of what the ``call``-th call of ``layer`` returns for tensors of ``specs``.

    Raises Unsupported for a layer that has no expansion, ModelError for tensors that do not fit.
    """
    return expand(layer, specs, call).specs


def _is_exact(value: Array, axioms: Axioms) -> Array:
    """Which numbers have so few digits that no rounding changes them."""
    mantissa, _ = np.frexp(value)
    scaled = mantissa / axioms.unit_roundoff
    return np.asarray(scaled == np.rint(scaled))


def _expansion(layer: LayerNode, inputs: Sequence[Array], call: int) -> Expansion:
    specs = tuple(map(TensorSpec.of, inputs))
    expansion = expand(layer, specs, call)
    expansion.check(specs)
    return expansion


def _leaf(layer: LayerNode, inputs: Sequence[Array], ref: Ref) -> Array:
    match ref:
        case InputRef(index):
            return inputs[index]
        case WeightRef(index):
            return layer.weights[index].value
        case Constant(value):
            return value
        case NodeRef(index):
            raise AssertionError(f"node {index} is no leaf")


def _run(
    expansion: Expansion, leaf: Callable[[Ref], _Result], step: Callable[[OpNode, Sequence[_Result]], _Result]
) -> tuple[_Result, ...]:
    """The outputs of ``expansion``; every result is let go after its last use."""
    results: dict[int, _Result] = {}
    last = expansion.last_uses()

    def value(ref: Ref) -> _Result:
        return results[ref.index] if isinstance(ref, NodeRef) else leaf(ref)

    for at, node in enumerate(expansion.nodes):
        results[at] = step(node, [value(ref) for ref in node.inputs])
        for index in {ref.index for ref in node.inputs if isinstance(ref, NodeRef)}:
            if last.get(index) == at:
                del results[index]
    return tuple(value(ref) for ref in expansion.outputs)
