"""A loop over time whose body is ops: what recurrent layers are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar, TypeVar

import numpy as np

from bittrue.traces import Array

from .base import Axioms, Op, TensorSpec, promote, widened

__all__ = ["Scan", "ScanStep"]

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class ScanStep:
    """One op of the body. ``operands`` are numbers of values: see `Scan`."""

    op: Op
    operands: tuple[int, ...]


@dataclass(frozen=True)
class Scan(Op):
    """The states after every step, side by side along the last axis, stacked along axis 1.

    Operands: ``sequences`` tensors (batch, time, …), then ``states`` initial states (batch, …) whose batch may be 1,
    then any number of tensors that every step reads alike. In the body, values are numbered in this order (of the
    sequences each step sees its own slice (batch, …)), followed by the results of ``body``, in order. ``results``
    are the numbers of the new states.
    """

    arity: ClassVar[tuple[int, int | None]] = (2, None)
    sequences: int
    states: int
    body: tuple[ScanStep, ...]
    results: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.sequences < 1 or self.states < 1 or len(self.results) != self.states:
            raise ValueError("a scan needs a sequence, a state, and a result for every state")

    def _infer(self, *specs: TensorSpec) -> TensorSpec:
        sequences, states, shared = self._parted(specs)
        if not sequences or len(states) != self.states or any(spec.rank < 2 for spec in sequences):
            raise self.refused(*specs, because="it needs all its sequences, with a time axis, and all its states")
        lengths = {spec.shape[1] for spec in sequences if spec.shape[1] is not None}
        if len(lengths) > 1 or 0 in lengths:
            raise self.refused(*specs, because="its sequences are of different lengths, or empty")
        slices = [TensorSpec((spec.shape[0], *spec.shape[2:]), spec.dtype) for spec in sequences]
        # The first step makes a batch of 1 the batch of the sequences; the second shows that all then fits.
        for _ in range(2):
            states = self._step([*slices, *states, *shared], _inferred)
        sizes = [spec.shape[-1] for spec in states]
        width = None if None in sizes else sum(size for size in sizes if size is not None)
        batch, *middle = states[0].shape[:-1]
        return TensorSpec((batch, next(iter(lengths), None), *middle, width), promote(*states))

    def _parted(self, items: Sequence[_Item]) -> tuple[list[_Item], list[_Item], list[_Item]]:
        first, second = self.sequences, self.sequences + self.states
        return list(items[:first]), list(items[first:second]), list(items[second:])

    def _step(self, values: list[_Item], compute: Callable[[Op, Sequence[_Item]], _Item]) -> list[_Item]:
        """The new states, for the values that one step begins with."""
        for step in self.body:
            values.append(compute(step.op, [values[operand] for operand in step.operands]))
        return [values[result] for result in self.results]

    def reduction_length(self, *shapes: tuple[int, ...]) -> int:
        """The length of the longest sum in one step."""
        longest = 0

        def compute(op: Op, operands: Sequence[Array]) -> Array:
            nonlocal longest
            longest = max(longest, op.reduction_length(*(operand.shape for operand in operands)))
            return op.evaluate(*operands)[0]

        sequences, states, shared = self._parted([np.zeros(shape) for shape in shapes])
        self._step([*(sequence[:, 0] for sequence in sequences), *states, *shared], compute)
        return longest

    def _evaluate(self, *arrays: Array) -> Array:
        sequences, states, shared = self._parted(arrays)
        made = []
        for at in range(sequences[0].shape[1]):
            slices = [sequence[:, at] for sequence in sequences]
            states = self._step([*slices, *states, *shared], lambda op, operands: op.evaluate(*operands)[0])
            made.append(np.concatenate(states, axis=-1))
        return np.stack(made, axis=1)

    def error_bound(
        self,
        axioms: Axioms,
        *arrays: Array,
        errors: tuple[Array | float, ...] | None = None,
        exact: Array | None = None,
    ) -> Array:
        """The bounds of the body's own ops, composed step by step."""

        def bound(op: Op, values: list[Array], moved: tuple[Array, ...], result: Array) -> Array:
            return op.error_bound(axioms, *values, errors=moved, exact=result)

        return self._composed(arrays, errors, bound)

    def rounding_variance(
        self,
        axioms: Axioms,
        *arrays: Array,
        variances: tuple[Array | float, ...] | None = None,
        exact: Array | None = None,
    ) -> Array:
        """The expectations of the body's own ops, composed step by step."""

        def variance(op: Op, values: list[Array], moved: tuple[Array, ...], result: Array) -> Array:
            return op.rounding_variance(axioms, *values, variances=moved, exact=result)

        return self._composed(arrays, variances, variance)

    def independent_roundings(self, result: tuple[int, ...], *shapes: tuple[int, ...]) -> int:
        """Those of one step: what a step errs by, the next ones carry on."""
        return prod(result) // max(1, result[1])

    def _composed(
        self,
        arrays: tuple[Array, ...],
        given: tuple[Array | float, ...] | None,
        measure: Callable[[Op, list[Array], tuple[Array, ...], Array], Array],
    ) -> Array:
        """What ``measure`` says of every state, from what is ``given`` of the operands (None: nothing)."""
        self.infer(*map(TensorSpec.of, arrays))
        first = given if given is not None else (0.0,) * len(arrays)
        pairs = [
            (widened(array), np.broadcast_to(np.asarray(error, np.float64), array.shape))
            for array, error in zip(arrays, first, strict=True)
        ]
        sequences, states, shared = self._parted(pairs)

        def compute(op: Op, operands: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
            values = [value for value, _ in operands]
            result = op.evaluate(*values)[0]
            return result, measure(op, values, tuple(error for _, error in operands), result)

        made = []
        for at in range(sequences[0][0].shape[1]):
            slices = [(value[:, at], error[:, at]) for value, error in sequences]
            states = self._step([*slices, *states, *shared], compute)
            made.append(np.concatenate([error for _, error in states], axis=-1))
        return np.stack(made, axis=1)

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        raise NotImplementedError("a scan's bound is that of its body")

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        raise NotImplementedError("a scan's bound is that of its body")


def _inferred(op: Op, operands: Sequence[TensorSpec]) -> TensorSpec:
    return op.infer(*operands)[0]
