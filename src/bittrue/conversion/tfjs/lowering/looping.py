"""Loops over time, written out step by step: what loops in a graph-model cannot be run by ``predict``."""

from __future__ import annotations

from collections.abc import Sequence

from bittrue.ops import Scan

from .attributes import whole
from .nodes import Tensor
from .registry import lower, lowers
from .scope import Scope

_MOST_NODES = 50_000  # beyond, loading takes longer than anyone waits


@lowers(Scan)
def scan(scope: Scope, op: Scan, *operands: Tensor) -> Tensor:
    """The body once for every step. Raises Unsupported where their number is not known beforehand."""
    sequences, states = operands[: op.sequences], list(operands[op.sequences : op.sequences + op.states])
    shared = operands[op.sequences + op.states :]
    steps = next((x.spec.shape[1] for x in sequences if x.spec.shape[1] is not None), None)
    if steps is None:
        raise scope.refused("graph-models are written step by step, and the number of its steps is not known")
    if steps * len(op.body) > _MOST_NODES:
        raise scope.refused(f"its {steps} steps would take {steps * len(op.body):,} nodes; make the sequences shorter")
    slices = [_unpacked(scope, x, steps) for x in sequences]
    made: list[list[Tensor]] = []
    for at in range(steps):
        values = [*(parts[at] for parts in slices), *states, *shared]
        for step in op.body:
            values.append(lower(scope, step.op, [values[number] for number in step.operands]))
        states = [values[number] for number in op.results]
        made.append(states)
    stacked = [_packed(scope, [states[which] for states in made]) for which in range(op.states)]
    return scope.concatenated(stacked, stacked[0].spec.rank - 1)


def _unpacked(scope: Scope, x: Tensor, steps: int) -> list[Tensor]:
    """The slices of ``x`` along the second axis: the outputs of one node."""
    shape = (x.spec.shape[0], *x.spec.shape[2:])
    node = scope.node("Unpack", (x,), shape, {"axis": whole(1), "num": whole(steps)})
    return [Tensor(f"{node.node}:{at}" if at else node.node, node.spec) for at in range(steps)]


def _packed(scope: Scope, steps: Sequence[Tensor]) -> Tensor:
    """Tensors of equal shape along a new second axis."""
    first = steps[-1].spec.shape
    shape = (first[0], len(steps), *first[1:])
    return scope.node("Pack", steps, shape, {"axis": whole(1), "N": whole(len(steps))})
