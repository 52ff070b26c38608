"""A mask that was lost on its way to the layer, or that reached a layer which Keras gives none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from bittrue.graph.masks import uses_mask
from bittrue.graph.model import Call, LayerNode, TensorRef
from bittrue.traces import Array

from ..evidence import Evidence
from ..experiments import first_proven
from ..result import Finding
from .registry import cause

__all__ = ["Mask"]


@cause
class Mask:
    """The layer without the mask that Keras gives it, or with one that it does not, must give what came out."""

    name: ClassVar[str] = "mask"
    order: ClassVar[int] = 8

    def test(self, evidence: Evidence) -> Finding | None:
        if not uses_mask(evidence.layer) or not evidence.layer.calls:
            return None
        found = first_proven(evidence, _alternatives(evidence))
        if found is None:
            return None
        words, reproduction = found
        fix = "use 'bittrue convert', which writes masks out, or leave mask_zero and Masking out and mask explicitly"
        return reproduction.finding(self.name, f"the {evidence.side.name} computed this layer {words}", fix)


def _alternatives(evidence: Evidence) -> Iterator[tuple[str, LayerNode, Sequence[Array]]]:
    call = evidence.layer.calls[evidence.node]
    named = [key for key, value in call.kwargs.items() if key.endswith("mask") and isinstance(value, TensorRef)]
    if named:
        yield "without the mask that Keras gives it", *_without(evidence, call, named)
        for key in named:
            yield f"with the mask {key!r} inverted", evidence.layer, _inverted(evidence, call, key)
    elif not call.keyword_inputs:
        for words, mask in _masks(evidence):
            yield (
                words,
                _called(evidence, Call(call.args, {**call.kwargs, "mask": _REF})),
                (*evidence.side.inputs, mask),
            )


_REF = TensorRef("the mask")


def _called(evidence: Evidence, call: Call) -> LayerNode:
    calls = list(evidence.layer.calls)
    calls[evidence.node] = call
    return replace(evidence.layer, calls=tuple(calls))


def _without(evidence: Evidence, call: Call, named: list[str]) -> tuple[LayerNode, Sequence[Array]]:
    refs = [*call.inputs, *call.keyword_inputs]
    kept = Call(call.args, {key: value for key, value in call.kwargs.items() if key not in named})
    left = [*kept.inputs, *kept.keyword_inputs]
    return _called(evidence, kept), [x for ref, x in zip(refs, evidence.side.inputs, strict=True) if ref in left]


def _inverted(evidence: Evidence, call: Call, key: str) -> Sequence[Array]:
    at = [*call.inputs, *call.keyword_inputs].index(call.kwargs[key])
    return [np.logical_not(x) if place == at else x for place, x in enumerate(evidence.side.inputs)]


def _masks(evidence: Evidence) -> Iterator[tuple[str, Array]]:
    """Masks that may have leaked: those that the runtime was seen to pass, and those that zeros in an input make."""
    x = evidence.side.inputs[0]
    for mask in evidence.side.masks:
        if mask.shape == x.shape[: mask.ndim]:
            yield "with a mask that Keras does not give it (the runtime was seen to pass it)", mask.astype(bool)
    if x.ndim == 3:
        yield "with a mask of the steps that are all zeros, which Keras does not give it", np.any(x != 0, axis=-1)
