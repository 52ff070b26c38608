"""Padding that is not where TensorFlow's rule has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import ClassVar

from bittrue.graph.layers import expand
from bittrue.ops import Conv, Op, Pool, TensorSpec
from bittrue.ops.window import dilated, paddings
from bittrue.traces import Array

from ..evidence import Evidence
from ..experiments import fits
from ..result import Finding
from .registry import cause

__all__ = ["PaddingSide"]

Pairs = tuple[tuple[int, int], ...]
_SIDES: tuple[tuple[str, Callable[[Pairs], Pairs]], ...] = (
    ("the odd element of its padding at the front instead of the end", lambda pairs: tuple((b, a) for a, b in pairs)),
    ("all of its padding at the end", lambda pairs: tuple((0, a + b) for a, b in pairs)),
    ("all of its padding at the front", lambda pairs: tuple((a + b, 0) for a, b in pairs)),
)


@cause
class PaddingSide:
    """The layer with its padding on other sides must give what came out."""

    name: ClassVar[str] = "padding-side"
    order: ClassVar[int] = 13

    def test(self, evidence: Evidence) -> Finding | None:
        specs = tuple(map(TensorSpec.of, evidence.side.inputs))
        ops = [op for op in expand(evidence.layer, specs, evidence.node).ops() if isinstance(op, Conv | Pool)]
        if not any(_pairs(op, evidence) for op in ops):
            return None
        for words, moved in _SIDES:
            found = fits(partial(evidence.try_ops, partial(_moved, moved=moved, evidence=evidence)))
            if found is not None and found.proven:
                sentence = f"the {evidence.side.name} computed with {words}"
                return found.finding(self.name, sentence, _FIX)
        return None


_FIX = (
    "pad explicitly: a ZeroPadding layer with the amounts of TensorFlow's rule (the odd element at the end) before the "
    "layer, whose own padding is then 'valid'"
)


def _moved(op: Op, moved: Callable[[Pairs], Pairs], evidence: Evidence) -> Op:
    pairs = _pairs(op, evidence) if isinstance(op, Conv | Pool) else None
    return replace(op, padding=moved(pairs)) if pairs and isinstance(op, Conv | Pool) else op


def _pairs(op: Conv | Pool, evidence: Evidence) -> Pairs | None:
    """What the op pads an image of the layer's first input by, channels last; None if nothing."""
    if isinstance(op.padding, tuple):
        return op.padding if any(map(any, op.padding)) else None
    sizes = _sizes(evidence.side.inputs[0], evidence)
    if isinstance(op, Pool):
        extents = op.size
    else:
        kernels = [w.value.shape[: len(sizes)] for w in evidence.layer.weights if w.value.ndim == len(sizes) + 2]
        if not kernels:
            return None
        extents = dilated(kernels[0], op.dilation)
    if len(extents) != len(sizes):
        return None
    found = paddings(op.padding, sizes, extents, op.strides)
    return found if any(map(any, found)) else None


def _sizes(x: Array, evidence: Evidence) -> tuple[int, ...]:
    first = evidence.layer.config.get("data_format") == "channels_first"
    return x.shape[2:] if first else x.shape[1:-1]
