"""A loop over time whose body is ops: what recurrent layers are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar, TypeVar

import numpy as np

from bittrue.traces import Array

from .axioms import Axioms
from .base import Op, TensorSpec, promote, widened
from .gradients import Computed, Seen, backward

__all__ = ["Scan", "ScanStep"]

_Item = TypeVar("_Item")
_Marked = tuple[int, TensorSpec]
"""How a value of the body is cut, as `Op.cuts` has it, and what it is."""


@dataclass(frozen=True)
class ScanStep:
    """One op of the body. ``operands`` are numbers of values: see `Scan`."""

    op: Op
    operands: tuple[int, ...]


@dataclass(frozen=True)
class _Measured:
    """A value of the body with the bound of its error, or its variance; ``terms`` as `Op.unfinished_terms` says."""

    value: Array
    error: Array
    terms: int = 0


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

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """Where every op of the body is, for the states of the first step and for those that it makes."""
        sequences, states, shared = self._parted(list(zip(cut, specs, strict=True)))
        slices = [(mark, TensorSpec((spec.shape[0], *spec.shape[2:]), spec.dtype)) for mark, spec in sequences]
        try:
            for _ in range(2):
                states = self._step([*slices, *states, *shared], _cut)
        except _Mixed:
            return None
        return max(cut) if all(mark for mark, _ in states) else None

    def _evaluate(self, *arrays: Array) -> Array:
        sequences, states, shared = self._parted(arrays)
        made = []
        for at in range(sequences[0].shape[1]):
            slices = [sequence[:, at] for sequence in sequences]
            states = self._step([*slices, *states, *shared], _evaluated)
            made.append(np.concatenate(states, axis=-1))
        return np.stack(made, axis=1)

    def error_bound(
        self,
        axioms: Axioms,
        *arrays: Array,
        errors: tuple[Array | float, ...] | None = None,
        exact: Array | None = None,
        terms: tuple[int, ...] | None = None,
    ) -> Array:
        """The bounds of the body's own ops, composed step by step; sums before it are finished."""

        def bound(
            op: Op, values: list[Array], moved: tuple[Array, ...], result: Array, unfinished: tuple[int, ...]
        ) -> Array:
            return op.error_bound(axioms, *values, errors=moved, exact=result, terms=unfinished)

        return self._composed(arrays, errors, bound)

    def rounding_variance(
        self,
        axioms: Axioms,
        *arrays: Array,
        variances: tuple[Array | float, ...] | None = None,
        exact: Array | None = None,
        terms: tuple[int, ...] | None = None,
    ) -> Array:
        """The expectations of the body's own ops, composed step by step; sums before it are finished."""

        def variance(
            op: Op, values: list[Array], moved: tuple[Array, ...], result: Array, unfinished: tuple[int, ...]
        ) -> Array:
            return op.rounding_variance(axioms, *values, variances=moved, exact=result, terms=unfinished)

        return self._composed(arrays, variances, variance)

    def pullback(
        self,
        *arrays: Array,
        gradient: Array,
        exact: Array | None = None,
        wanted: Sequence[bool] | None = None,
        terms: tuple[int, ...] = (),
        seen: Seen | None = None,
    ) -> tuple[Array | None, ...]:
        """Backwards through time, each step computed anew from the states before it: one step is held at a time.

        ``seen`` is told of the body's ops in every step.
        """
        self.infer(*map(TensorSpec.of, arrays))
        operands = [widened(array) for array in arrays]
        asked = wanted if wanted is not None else (True,) * len(operands)
        into = [ask and operand.dtype.kind == "f" for ask, operand in zip(asked, operands, strict=True)]
        pulled = [np.zeros(operand.shape) if want else None for operand, want in zip(operands, into, strict=True)]
        before = self._states_before(operands)
        carried: list[Array | None] = [None] * self.states
        for at in reversed(range(len(before))):
            values = self._values(operands, before[at], at)
            came = self._came(values, carried, gradient[:, at])
            inside = self._live(values, into, first=at == 0, every=seen is not None)
            backward(self._program(len(operands)), values, came, inside, seen)
            for number, total in enumerate(pulled):
                found = came[number]
                if total is None or found is None:
                    continue
                if number < self.sequences:
                    total[:, at] = found
                elif at == 0 or number >= self.sequences + self.states:
                    total += found
            carried = came[self.sequences : self.sequences + self.states]
        return tuple(pulled)

    def _program(self, operands: int) -> list[Computed]:
        return [(step.op, step.operands, operands + at) for at, step in enumerate(self.body)]

    def _values(self, operands: list[Array], states: list[Array], at: int) -> list[Array]:
        """All values of one step by number."""
        sequences, _, shared = self._parted(operands)
        values = [*(sequence[:, at] for sequence in sequences), *states, *shared]
        self._step(values, _evaluated)
        return values

    def _states_before(self, operands: list[Array]) -> list[list[Array]]:
        """The states that each step begins with."""
        _, states, _ = self._parted(operands)
        found = []
        for at in range(operands[0].shape[1]):
            found.append(states)
            values = self._values(operands, states, at)
            states = [values[result] for result in self.results]
        return found

    def _came(self, values: list[Array], carried: list[Array | None], gradient: Array) -> list[Array | None]:
        """What comes to each value of a step from later steps and from the result, whose slice ``gradient`` is of."""
        came: list[Array | None] = [None] * len(values)
        ends = np.cumsum([values[result].shape[-1] for result in self.results])
        parts = np.split(gradient, ends[:-1], axis=-1)
        for result, later, own in zip(self.results, carried, parts, strict=True):
            if values[result].dtype.kind == "f":
                total, before = own if later is None else own + later, came[result]
                came[result] = total if before is None else before + total
        return came

    def _live(self, values: list[Array], wanted: list[bool], *, first: bool, every: bool) -> list[bool]:
        """Which values of a step are wanted: all states (before the first step as asked), and what depends on any.

        All that the step makes if ``every`` is.
        """
        states = range(self.sequences, self.sequences + self.states)
        live = [values[at].dtype.kind == "f" if at in states and not first else want for at, want in enumerate(wanted)]
        for at, step in enumerate(self.body, len(live)):
            live.append(values[at].dtype.kind == "f" and (every or any(live[operand] for operand in step.operands)))
        return live

    def independent_roundings(self, result: tuple[int, ...], *shapes: tuple[int, ...]) -> int:
        """Those of one step: what a step errs by, the next ones carry on."""
        return prod(result) // max(1, result[1])

    def _composed(
        self,
        arrays: tuple[Array, ...],
        given: tuple[Array | float, ...] | None,
        measure: Callable[[Op, list[Array], tuple[Array, ...], Array, tuple[int, ...]], Array],
    ) -> Array:
        """What ``measure`` says of every state, from what is ``given`` of the operands (None: nothing)."""
        self.infer(*map(TensorSpec.of, arrays))
        first = given if given is not None else (0.0,) * len(arrays)
        pairs = [
            _Measured(widened(array), np.broadcast_to(np.asarray(error, np.float64), array.shape))
            for array, error in zip(arrays, first, strict=True)
        ]
        sequences, states, shared = self._parted(pairs)

        def compute(op: Op, operands: Sequence[_Measured]) -> _Measured:
            values, terms = [item.value for item in operands], tuple(item.terms for item in operands)
            result = op.evaluate(*values)[0]
            error = measure(op, values, tuple(item.error for item in operands), result, terms)
            return _Measured(result, error, op.unfinished_terms(terms, *(value.shape for value in values)))

        made = []
        for at in range(sequences[0].value.shape[1]):
            slices = [_Measured(item.value[:, at], item.error[:, at]) for item in sequences]
            states = [replace(state, terms=0) for state in self._step([*slices, *states, *shared], compute)]
            made.append(np.concatenate([state.error for state in states], axis=-1))
        return np.stack(made, axis=1)

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        raise NotImplementedError("a scan's bound is that of its body")

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        raise NotImplementedError("a scan's bound is that of its body")


def _inferred(op: Op, operands: Sequence[TensorSpec]) -> TensorSpec:
    return op.infer(*operands)[0]


def _evaluated(op: Op, operands: Sequence[Array]) -> Array:
    return op.evaluate(*operands)[0]


class _Mixed(Exception):
    """An op of the body may let examples meet."""


def _cut(op: Op, operands: Sequence[_Marked]) -> _Marked:
    specs, marks = [spec for _, spec in operands], tuple(mark for mark, _ in operands)
    found = op.cuts(marks, *specs) if any(marks) else 0
    if found is None:
        raise _Mixed
    return found, op.infer(*specs)[0]
