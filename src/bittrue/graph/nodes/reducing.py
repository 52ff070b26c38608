"""Nodes that make one number of many."""

from __future__ import annotations

from bittrue.ops import ArgMax

from ..formula import Value
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


@node("Softmax")
def softmax(given: Given) -> Value:
    """Softmax along the last axis."""
    return given[0].softmax(-1)


@node("LogSoftmax")
def log_softmax(given: Given) -> Value:
    """z - log Σ exp(z), z = x - max(x), along the last axis."""
    z = given[0] - given[0].reduced("max", (-1,))
    return z - z.function("exp").reduced("sum", (-1,)).function("log")
