"""A layer written out as primitive ops, in a straight line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bittrue.errors import ModelError
from bittrue.ops import Op, TensorSpec
from bittrue.traces import Array

__all__ = ["Constant", "Expansion", "InputRef", "NodeRef", "OpNode", "Ref", "WeightRef"]


@dataclass(frozen=True)
class InputRef:
    """The ``index``-th tensor the layer is called on: positional ones first, then keyword ones."""

    index: int


@dataclass(frozen=True)
class WeightRef:
    """The layer's ``index``-th weight, whose short name is ``name``."""

    index: int
    name: str


@dataclass(frozen=True, eq=False)
class Constant:
    """A number from the configuration as the float64 of its decimals, or a small table of such numbers."""

    value: Array


@dataclass(frozen=True)
class NodeRef:
    """The result of the ``index``-th op of the expansion."""

    index: int


Ref = InputRef | WeightRef | Constant | NodeRef


@dataclass(frozen=True)
class OpNode:
    """One op and where its operands come from. A `NodeRef` points only backwards."""

    op: Op
    inputs: tuple[Ref, ...]


@dataclass(frozen=True)
class Expansion:
    """What one call of a layer means: ``nodes`` in order, and which results are the layer's ``outputs``.

    ``specs`` are those of the outputs, as far as those of the inputs were known. ``ranks`` holds, for each input,
    the number of axes that the expansion was made for, None if it holds for any.
    """

    nodes: tuple[OpNode, ...]
    outputs: tuple[Ref, ...]
    specs: tuple[TensorSpec, ...]
    ranks: tuple[int | None, ...]

    def check(self, specs: tuple[TensorSpec, ...]) -> None:
        """Raises ModelError where inputs of ``specs`` are not what the expansion was made for."""
        if len(specs) != len(self.ranks):
            raise ModelError(f"the layer takes {len(self.ranks)} tensors, but is given {len(specs)}")
        for at, (spec, rank) in enumerate(zip(specs, self.ranks, strict=True)):
            if rank is not None and spec.rank != rank:
                raise ModelError(f"input {at} has {spec.rank} axes, but the expansion was made for {rank}")

    def last_uses(self) -> dict[int, int]:
        """For each node, the index of the last node that reads it; outputs are absent."""
        uses = {ref.index: at for at, node in enumerate(self.nodes) for ref in node.inputs if isinstance(ref, NodeRef)}
        kept = {ref.index for ref in self.outputs if isinstance(ref, NodeRef)}
        return {index: at for index, at in uses.items() if index not in kept}

    def ops(self) -> Iterator[Op]:
        """The ops in order."""
        return (node.op for node in self.nodes)


def constant_dtype(operands: tuple[Any, ...]) -> str:
    """The dtype a Python number takes beside ``operands`` (specs or None): that of the first floating one."""
    floating = [spec.dtype.name for spec in operands if spec is not None and spec.is_floating]
    return floating[0] if floating else "float32"
