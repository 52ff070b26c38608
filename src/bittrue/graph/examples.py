"""Calls in which no example of the batch meets another: what they compute can be had part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from bittrue.ops import TensorSpec
from bittrue.traces import Array

from .expansion import Constant, Expansion, InputRef, NodeRef, Ref, WeightRef
from .layers import expand
from .model import LayerNode

__all__ = ["Cut", "Walked", "cut_of", "walk"]


@dataclass(frozen=True)
class Cut:
    """How a call on a batch of ``size`` is computed in parts: of ``inputs`` those that are cut along their first axis.

    All outputs are cut. ``live`` is the most elements that the whole call holds at any time, results that are still to
    be read included, and ``fixed`` those that every part reads: weights.
    """

    size: int
    inputs: tuple[bool, ...]
    live: int
    fixed: int = 0

    def parts(self, elements: int) -> Iterator[slice]:
        """Examples, as many at a time as hold about ``elements`` elements; so few that it takes long are not."""
        step = max(1, max(elements, self.fixed, _LEAST) * self.size // max(self.live, 1))
        return (slice(start, min(start + step, self.size)) for start in range(0, self.size, step))

    def of(self, arrays: Sequence[Array], part: slice) -> tuple[Array, ...]:
        """The inputs of ``part``."""
        return tuple(array[part] if mark else array for array, mark in zip(arrays, self.inputs, strict=True))


def cut_of(layer: LayerNode, specs: Sequence[TensorSpec], call: int, size: int) -> Cut | None:
    """How the ``call``-th call of ``layer`` on tensors of ``specs`` is computed in parts of a batch of ``size``.

    Every input with ``size`` elements along its first axis is cut. None where that is not known to give what the whole
    call gives, cut alike. Raises as `expand`.
    """
    inputs = tuple(spec.rank > 0 and spec.shape[0] == size for spec in specs)
    walked = walk(layer, specs, tuple(map(int, inputs)), call)
    if walked is None or not all(rows == 1 and spec.shape[0] == size for rows, spec in walked.outputs):
        return None
    return Cut(size, inputs, walked.live, walked.fixed)


_LEAST = 2**16
"""Elements below which a part costs as much as a larger one."""

_Marked = tuple[int, TensorSpec]


@dataclass(frozen=True)
class Walked:
    """Of each output of a call, how it is cut where the inputs are, and what it is; the others as `Cut`."""

    outputs: tuple[_Marked, ...]
    live: int
    fixed: int


def walk(layer: LayerNode, specs: Sequence[TensorSpec], inputs: Sequence[int], call: int) -> Walked | None:
    """A call without its numbers, whose ``inputs`` are cut as `Op.cuts` has it; None where examples may meet.

    Raises as `expand`.
    """
    expansion: Expansion = expand(layer, tuple(specs), call)
    expansion.check(tuple(specs))
    results: list[_Marked] = []

    def value(ref: Ref) -> _Marked:
        match ref:
            case InputRef(index):
                return inputs[index], specs[index]
            case WeightRef(index):
                return 0, TensorSpec.of(layer.weights[index].value)
            case Constant(number):
                return 0, TensorSpec.of(number)
            case NodeRef(index):
                return results[index]

    last = expansion.last_uses()
    held = sum(_elements(spec) for mark, spec in zip(inputs, specs, strict=True) if mark)
    most = held
    for at, node in enumerate(expansion.nodes):
        operands = [value(ref) for ref in node.inputs]
        marks = tuple(mark for mark, _ in operands)
        made = node.op.cuts(marks, *(spec for _, spec in operands)) if any(marks) else 0
        if made is None:
            return None
        results.append((made, node.op.infer(*(spec for _, spec in operands))[0]))
        held += _elements(results[at][1])
        most = max(most, held)
        gone = {ref.index for ref in node.inputs if isinstance(ref, NodeRef) and last.get(ref.index) == at}
        held -= sum(_elements(results[index][1]) for index in gone)
    fixed = sum(weight.value.size for weight in layer.weights)
    return Walked(tuple(map(value, expansion.outputs)), most, fixed)


def _elements(spec: TensorSpec) -> int:
    return prod(size or 0 for size in spec.shape)
