"""Loops over time in a formula: the body is written as a formula of its own and becomes the body of a `Scan`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bittrue.ops import Scan, ScanStep, TensorSpec

from .expansion import InputRef, NodeRef, Ref
from .formula import Formula, Number, Program, Value

__all__ = ["Body", "scan"]

Body = Callable[[Formula, Sequence[Value], Sequence[Value]], Sequence[Value]]
"""Writes one step: given the step's formula, the slices of the sequences and the states, returns the new states."""


def scan(formula: Formula, sequences: Sequence[Value], states: Sequence[Number], body: Body) -> Value:
    """The states after every step, side by side along the last axis, (batch, time, …).

    ``sequences`` are (batch, time, …), ``states`` (batch or 1, …). The body reads weights and numbers as any
    formula does, but no values of ``formula`` itself.
    """
    initial = [state if isinstance(state, Value) else formula.constant(state) for state in states]
    slices = [formula.spec(value.ref) for value in sequences]
    inputs = [TensorSpec((spec.shape[0], *spec.shape[2:]), spec.dtype) for spec in slices]
    floating = next((spec.dtype for spec in slices if spec.is_floating), slices[0].dtype)
    for value in initial:
        shape = formula.spec(value.ref).shape
        batch = slices[0].shape[0] if shape[0] == 1 else shape[0]
        inputs.append(TensorSpec((batch, *shape[1:]), floating))
    inside, results = _traced(formula, inputs, len(slices), body)
    shared = _shared(inside, [value.ref for value in results])
    places: dict[Ref, int] = {InputRef(index): index for index in range(len(inputs))}
    places.update({ref: len(inputs) + at for at, ref in enumerate(shared)})
    places.update({NodeRef(at): len(inputs) + len(shared) + at for at in range(len(inside.nodes))})
    steps = tuple(ScanStep(node.op, tuple(places[ref] for ref in node.inputs)) for node in inside.nodes)
    op = Scan(len(slices), len(initial), steps, tuple(places[value.ref] for value in results))
    return formula.apply(op, *sequences, *initial, *(Value(formula, ref) for ref in shared))


def _traced(
    formula: Formula, inputs: Sequence[TensorSpec], sequences: int, body: Body
) -> tuple[Program, Sequence[Value]]:
    program = Program(inputs, formula.program.weights)
    inside = formula.elsewhere(program, [InputRef(index) for index in range(len(inputs))])
    values = [Value(inside, InputRef(index)) for index in range(len(inputs))]
    results = body(inside, values[:sequences], values[sequences:])
    formula.program.depends_on_rank |= program.depends_on_rank
    return program, results


def _shared(program: Program, results: Sequence[Ref]) -> list[Ref]:
    """Weights and numbers that the steps read, each once."""
    read = [ref for node in program.nodes for ref in node.inputs] + list(results)
    return list(dict.fromkeys(ref for ref in read if not isinstance(ref, InputRef | NodeRef)))
