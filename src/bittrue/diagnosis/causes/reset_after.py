"""A GRU whose reset gate is applied on the other side of the product: before it (2014) or after it (cuDNN, Keras 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np

from bittrue.graph.model import LayerNode, Weight
from bittrue.traces import Array

from ..evidence import Evidence
from ..experiments import first_proven
from ..result import Finding
from .registry import cause

__all__ = ["ResetAfter"]


@cause
class ResetAfter:
    """The GRU with its reset gate on the other side, and its bias as far as the other form has one."""

    name: ClassVar[str] = "reset-after"
    order: ClassVar[int] = 11

    def test(self, evidence: Evidence) -> Finding | None:
        if evidence.layer.class_name != "GRU":
            return None
        found = first_proven(evidence, ((words, layer, None) for words, layer in _other_forms(evidence.layer)))
        if found is None:
            return None
        words, reproduction = found
        sentence = f"the {evidence.side.name} applied the reset gate {words}"
        fix = "convert again with 'bittrue convert', which writes the form that the model was trained in"
        return reproduction.finding(self.name, sentence, fix)


def _other_forms(layer: LayerNode) -> Iterator[tuple[str, LayerNode]]:
    after = bool(layer.config.get("reset_after", True))
    config = {**layer.config, "reset_after": not after}
    where = "before the product" if after else "after the product"
    for words, bias in _biases(layer, after):
        weights = tuple(
            Weight(w.name, bias if w.name == "bias" and bias is not None else w.value) for w in layer.weights
        )
        yield f"{where}{words}", replace(layer, config=config, weights=weights)


def _biases(layer: LayerNode, after: bool) -> Iterator[tuple[str, Array | None]]:
    bias = next((weight.value for weight in layer.weights if weight.name == "bias"), None)
    if bias is None:
        yield "", None
    elif after and bias.ndim == 2:
        yield ", both rows of its bias added", bias.sum(axis=0, dtype=bias.dtype)
        yield ", with the first row of its bias", bias[0]
        yield ", with the second row of its bias", bias[1]
    elif not after and bias.ndim == 1:
        yield "", np.stack([bias, np.zeros_like(bias)])
