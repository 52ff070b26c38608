"""The gradient of Σ g · y of a whole graph with respect to its inputs, by its layers' tapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bittrue.graph.explicit_masks import with_masks
from bittrue.graph.model import Graph, LayerCall
from bittrue.graph.tape import Tape
from bittrue.graph.traversal import traverse
from bittrue.traces import Array

__all__ = ["input_gradients"]


@dataclass(eq=False)
class Tensor:
    """A tensor on its way forwards, which collects its gradient on the way back."""

    value: Array
    gradient: Array | None = None

    def add(self, gradient: Array) -> None:
        self.gradient = gradient if self.gradient is None else self.gradient + gradient


class _Forwards:
    def __init__(self) -> None:
        self.taped: list[tuple[Tape, Sequence[Tensor], list[Tensor]]] = []

    def visit(self, call: LayerCall, operands: Sequence[Tensor]) -> Sequence[Tensor]:
        tape = Tape(call.layer, [operand.value for operand in operands], call=call.nodes[-1])
        made = [Tensor(output) for output in tape.outputs]
        self.taped.append((tape, operands, made))
        return made

    def entered(self, call: LayerCall, operands: Sequence[Tensor], masks: Sequence[Tensor]) -> Sequence[Tensor]:
        return operands

    def missing(self, call: LayerCall, operands: Sequence[Tensor]) -> Tensor:
        raise AssertionError(f"{call.name} returns less than is read")

    def made(self, call: LayerCall, results: Sequence[Tensor]) -> None: ...


def input_gradients(graph: Graph, inputs: Sequence[Array], gradients: Sequence[Array]) -> list[Array]:
    """For each input, zero where nothing hangs on it; ``gradients`` are those of the outputs."""
    forwards, feeds = _Forwards(), [Tensor(array) for array in inputs]
    for output, gradient in zip(traverse(with_masks(graph), feeds, forwards), gradients, strict=True):
        output.add(gradient)
    for tape, operands, made in reversed(forwards.taped):
        for operand, found in zip(operands, tape.pullback([one.gradient for one in made]).inputs, strict=True):
            if found is not None:
                operand.add(found)
    return [np.zeros(feed.value.shape) if feed.gradient is None else feed.gradient for feed in feeds]
