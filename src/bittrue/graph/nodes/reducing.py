"""Nodes that make one number of many."""

from __future__ import annotations

from bittrue.ops import ArgMax

from ..formula import Value
from ..layers.operations_shape import running_sum
from .table import Given, node

_KINDS = {"All": "all", "Any": "any", "Max": "max", "Mean": "mean", "Min": "min", "Sum": "sum"}


@node(*_KINDS, known=(1,), reads=("keep_dims",))
def reduction(given: Given) -> Value:
    """A reduction over axes."""
    x = given[0]
    axes = tuple(dict.fromkeys(given.axis(axis, x.rank) for axis in given.wholes(1)))
    return x.reduced(_KINDS[given.node.op], axes, given.flag("keep_dims")) if axes else x


@node("ArgMax", "ArgMin", known=(1,), inert=("output_type",))
def arg_max(given: Given) -> Value:
    """The number of the first of the largest (smallest) elements."""
    x = given[0] if given.node.op == "ArgMax" else -given[0]
    return given.apply(ArgMax(given.axis(given.whole(1), x.rank)), x)


@node("Cumsum", known=(1,), reads=("exclusive", "reverse"))
def cumulative_sum(given: Given) -> Value:
    """Every element plus those before it along an axis, or behind it if ``reverse``."""
    x = given[0]
    axis = given.axis(given.whole(1), x.rank)
    if x.rank < 2 or given.flag("exclusive"):
        raise given.refused("it adds up along the only axis of its tensor, or leaves each element out of its own sum")
    if not given.flag("reverse"):
        return running_sum(given.formula, x, axis)
    return running_sum(given.formula, x.sliced(axis, None, None, -1), axis).sliced(axis, None, None, -1)


@node("Softmax")
def softmax(given: Given) -> Value:
    """Softmax along the last axis."""
    return given[0].softmax(-1)


@node("LogSoftmax")
def log_softmax(given: Given) -> Value:
    """z - log Σ exp(z), z = x - max(x), along the last axis."""
    z = given[0] - given[0].reduced("max", (-1,))
    return z - z.function("exp").reduced("sum", (-1,)).function("log")
