"""What one layer computes, what rounding may do to it, and what it is expected to do: in one pass over its ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf

import numpy as np

from bittrue.ops import Axioms, Op, TensorSpec
from bittrue.traces import Array

from .evaluate import evaluate_layer, rounded_constant
from .examples import Cut
from .expansion import Constant, InputRef, OpNode, Ref
from .model import LayerNode

__all__ = ["Rounding", "layer_rounding"]


@dataclass(frozen=True)
class Rounding:
    """One output of a call: its exact value, and for each element what a computation may and will be off by.

    ``bound`` is rigorous under the axioms, infinite where they promise nothing. ``variance`` is the expected square
    of the error, an estimate. ``independent``: of how many independent roundings the errors are made at least.
    ``in_order`` evaluates the layer again and gives the variance where sums are added in the order of their terms, a
    larger one where these are sorted, or lost in what the sum begins with (None: the same). ``terms`` as
    `Op.unfinished_terms` says. ``cut``: it is a part of a batch, of
    which an example has so many rows, and ``independent`` counts the whole (0: it is not).
    """

    value: Array
    bound: Array
    variance: Array
    independent: float
    in_order: Callable[[], Array] | None = None
    terms: int = 0
    cut: int = 0


def layer_rounding(
    layer: LayerNode,
    inputs: Sequence[Array],
    axioms: Axioms,
    call: int = 0,
    *,
    expected: Axioms | None = None,
    replaced: Callable[[Op], Op] | None = None,
    cut: Cut | None = None,
) -> tuple[Rounding, ...]:
    """What each output of the ``call``-th call of ``layer`` is on ``inputs``, with the bound of `layer_bound`.

    ``expected`` are the axioms that the expectation is made from (None: ``axioms``). ``replaced`` puts another op in
    an op's place, e.g. one that evaluates a backend's own approximation of a function. ``cut``: the inputs are those of
    a part of a batch. Raises as `layer_bound`.
    """
    usual = expected or axioms

    def leaf(ref: Ref, value: Array) -> Rounding:
        return _given(ref, value, axioms, usual, cut)

    def step(node: OpNode, operands: Sequence[Rounding]) -> Rounding:
        op = replaced(node.op) if replaced else node.op
        values = [operand.value for operand in operands]
        exact = op.evaluate(*values)[0]
        terms = tuple(operand.terms for operand in operands)
        bound = op.error_bound(axioms, *values, errors=tuple(o.bound for o in operands), exact=exact, terms=terms)
        variances = tuple(o.variance for o in operands)
        variance = op.rounding_variance(usual, *values, variances=variances, exact=exact, terms=terms)
        open_terms = op.unfinished_terms(terms, *map(np.shape, values))
        part = _rows(op, operands) if cut is not None else 0
        size = cut.size if cut is not None else 0
        freedom = _freedom(op, operands, _whole(exact, part, size), bound, size)
        return Rounding(exact, bound, variance, freedom, terms=open_terms, cut=part)

    def in_order(at: int) -> Array:
        again = replace(usual, in_order=True)
        return layer_rounding(layer, inputs, axioms, call, expected=again, replaced=replaced, cut=cut)[at].variance

    found = evaluate_layer(layer, inputs, call, leaf, step)
    if usual.in_order:
        return found
    return tuple(replace(item, in_order=partial(in_order, at)) for at, item in enumerate(found))


def _given(ref: Ref, value: Array, axioms: Axioms, usual: Axioms, cut: Cut | None) -> Rounding:
    """What is known of an input or a weight, which are exact, and of a number, which may have been rounded."""
    error = rounded_constant(value, axioms) if isinstance(ref, Constant) else np.float64(0)
    freedom = float(np.size(value)) if isinstance(ref, Constant) and np.any(error) else inf
    unknown = rounded_constant(value, usual) if isinstance(ref, Constant) else np.float64(0)
    part = int(cut.inputs[ref.index]) if cut is not None and isinstance(ref, InputRef) else 0
    return Rounding(value, np.asarray(error), np.asarray(np.square(unknown) / 3), freedom, cut=part)


def _freedom(op: Op, operands: Sequence[Rounding], shape: tuple[int, ...], bound: Array, size: int) -> float:
    """The fewest roundings at any place on the way: a constant's one, a mean's one for each row, …"""
    before = min((operand.independent for operand in operands), default=inf)
    if not np.any(bound):
        return before
    shapes = (_whole(operand.value, operand.cut, size) for operand in operands)
    return min(before, float(op.independent_roundings(shape, *shapes)))


def _rows(op: Op, operands: Sequence[Rounding]) -> int:
    rows = tuple(operand.cut for operand in operands)
    return (op.cuts(rows, *(TensorSpec.of(operand.value) for operand in operands)) or 0) if any(rows) else 0


def _whole(array: Array, rows: int, size: int) -> tuple[int, ...]:
    """The shape of all that ``array`` is a part of."""
    return (size * rows, *array.shape[1:]) if rows else np.shape(array)
