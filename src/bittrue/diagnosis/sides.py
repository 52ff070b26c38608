"""What every run recorded of one call, and the exact answer on it: whole, or of a part of the batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from bittrue.errors import BittrueError
from bittrue.graph.examples import Cut, cut_of
from bittrue.graph.rounding import Rounding, layer_rounding
from bittrue.ops import TensorSpec
from bittrue.traces import Array, Key, Kind, Provenance, Trace

from .axioms import Arithmetic, arithmetic_of, in_dtype
from .evidence import Side
from .experiments import same_bits
from .judging import judge, misshapen
from .result import SideName
from .wiring import Wired, load

__all__ = ["REFERENCE", "Misshapen", "NoTruth", "Run", "Sides"]

REFERENCE = ""  # no target has an empty name

_SHARED = 2**24
"""Bytes up to which an exact answer is kept for runs whose inputs agree; the reference's always is."""

_MOST = 3

_FLOATS = 24
"""Numbers of float64 that are held for each live element of a call: three of every tensor, those of the tensors that it
is made from, what their evaluation takes, and all that for two runs."""


@dataclass(frozen=True)
class NoTruth:
    """Why a run's call cannot be held against the exact answer."""

    reason: str


@dataclass(frozen=True)
class Misshapen(NoTruth):
    """A run that returned a tensor of another shape than its layer means."""

    run: Run


@dataclass(frozen=True)
class Run:
    """What one run recorded of the call, whole: the inputs that it was made on, and what it returned."""

    target: str
    provenance: Provenance
    arithmetic: Arithmetic
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]

    @property
    def side(self) -> SideName:
        """Which side of a comparison it is."""
        return "candidate" if self.target else "reference"


class Sides:
    """The runs of a call, and their exact answers, of which those of equal inputs are evaluated once.

    About ``room`` bytes are held at a time where the call keeps examples apart, and more only for a single example.
    """

    def __init__(self, wired: Wired, traces: Mapping[str, Trace], room: int) -> None:
        self._wired = wired
        self._traces = traces
        self._room = room
        self._known: list[tuple[tuple[Array, ...], str, tuple[Rounding, ...]]] = []
        self._known_part: slice | None = None
        self.runs = {target: self._run(target) for target in traces}
        self._cut = self._division()

    @property
    def parts(self) -> list[slice]:
        """The parts of the batch, in order; all of it is one where it fits, or where examples may meet."""
        return [slice(None)] if self._cut is None else list(self._cut.parts(self._room // (8 * _FLOATS)))

    @property
    def batch(self) -> int | None:
        """How many examples are taken part by part, None if they are not."""
        return None if self._cut is None else self._cut.size

    def output(self, target: str, at: int) -> Array | None:
        """An output as it was recorded, None where it was not."""
        record = self._traces[target].records.get(replace(self._wired.key, index=at))
        return None if record is None else record.load()

    def count(self, target: str) -> int:
        """How many outputs the call has on either side."""
        tables = [self._traces[REFERENCE].records, self._traces[target].records]
        count = 0
        while any(replace(self._wired.key, index=count) in table for table in tables):
            count += 1
        return count

    def rounding(self, run: Run, part: slice) -> tuple[Rounding, ...]:
        """The exact answer of each output on the inputs of ``part``. Raises BittrueError where there is none."""
        if part != self._known_part:
            self._known, self._known_part = [], part
        inputs = self._inputs(run, part)
        if self._wired.passes:
            none = np.zeros(())
            return tuple(Rounding(_exact(array), none, none, 1.0) for array in inputs)
        for given, name, found in self._known:
            if name == run.arithmetic.name and all(map(same_bits, given, inputs)):
                return found
        call, arithmetic = self._wired.call, run.arithmetic
        found = layer_rounding(
            call.layer, inputs, arithmetic.axioms, call.nodes[-1], expected=arithmetic.expected, cut=self._cut
        )
        if not self._known or sum(exact.value.nbytes for exact in found) < _SHARED:
            self._known = [*self._known[-_MOST:], (inputs, arithmetic.name, found)]
        return found

    def pairs(self, run: Run, at: int) -> Iterator[tuple[Array, Rounding]]:
        """Output ``at``, part by part, with its exact answer."""
        return ((self.cut(run.outputs[at], part), self.rounding(run, part)[at]) for part in self.parts)

    def cut(self, array: Array, part: slice) -> Array:
        """``part`` of a tensor that has all examples, any other whole."""
        return array[part] if self._cut is not None and array.ndim and len(array) == self._cut.size else array

    def odd(self, run: Run, exact: Sequence[Rounding], part: slice) -> Misshapen | None:
        """What is to be said of a run whose outputs are not of the shapes of the exact answer."""
        shapes = [found.value.shape for found in exact][: len(run.outputs)]
        if shapes == [self.cut(output, part).shape for output in run.outputs]:
            return None
        given = ", ".join(str(output.shape) for output in run.outputs)
        meant = ", ".join(str(shape if self._cut is None else (self._cut.size, *shape[1:])) for shape in shapes)
        return Misshapen(f"{_name(run.target)} returned {given}, where its inputs give {meant}", run)

    def side(self, run: Run, part: slice) -> Side:
        """``run`` in ``part``, for causes: with its exact answer, its errors there and all that was recorded of it."""
        exact = self.rounding(run, part)
        outputs = tuple(self.cut(output, part) for output in run.outputs)
        pairs = zip(outputs, exact, strict=False)
        errors = tuple(judge(y, found) if y.shape == found.value.shape else misshapen(y) for y, found in pairs)
        return Side(
            run.side,
            run.provenance,
            run.arithmetic,
            self._inputs(run, part),
            outputs,
            self._weights(run.target),
            self._beside(run.target, "mask", part),
            self._beside(run.target, "state", part),
            exact,
            errors,
            run.inputs,
        )

    def _inputs(self, run: Run, part: slice) -> tuple[Array, ...]:
        return run.inputs if self._cut is None else self._cut.of(run.inputs, part)

    def _run(self, target: str) -> Run | NoTruth:
        trace, wired = self._traces[target], self._wired
        if wired.obstacle is not None:
            return NoTruth(wired.obstacle)
        outputs = [self.output(target, at) for at in range(self.count(target))]
        if not outputs or any(output is None for output in outputs):
            return NoTruth(f"{_name(target)} has no record of what it returned")
        try:
            inputs = tuple(load(source, trace) for source in (wired.operands or wired.passes))
        except KeyError as missing:
            return NoTruth(f"{_name(target)} has no record of {missing.args[0]}, which it was made from")
        except BittrueError as error:
            return NoTruth(str(error))
        found = tuple(output for output in outputs if output is not None)
        return Run(target, trace.provenance, in_dtype(arithmetic_of(trace.provenance), found[0].dtype), inputs, found)

    def _division(self) -> Cut | None:
        """How the call is taken in parts, None where it is not: it is small, examples may meet, or the runs differ."""
        runs = [run for run in self.runs.values() if isinstance(run, Run)]
        if not runs or not runs[0].outputs[0].ndim:
            return None
        specs, size = tuple(map(TensorSpec.of, runs[0].inputs)), len(runs[0].outputs[0])
        if any([array.shape for array in run.inputs] != [spec.shape for spec in specs] for run in runs):
            return None
        if any(not output.ndim or len(output) != size for run in runs for output in run.outputs):
            return None
        cut = self._cut_of(specs, size)
        return cut if cut is not None and cut.live * 8 * _FLOATS > self._room else None

    def _cut_of(self, specs: tuple[TensorSpec, ...], size: int) -> Cut | None:
        if self._wired.passes:
            whole = all(spec.rank and spec.shape[0] == size for spec in specs)
            live = sum(prod(n or 0 for n in spec.shape) for spec in specs)
            return Cut(size, (True,) * len(specs), live) if whole else None
        try:
            return cut_of(self._wired.call.layer, specs, self._wired.call.nodes[-1], size)
        except BittrueError:
            return None  # whoever evaluates the call will say why

    def _weights(self, target: str) -> tuple[Array, ...]:
        held = tuple(self._all(target, "weight", self._wired.call.name, 0))
        return held or tuple(weight.value for weight in self._wired.call.layer.weights)

    def _beside(self, target: str, kind: Kind, part: slice) -> tuple[Array, ...]:
        found = self._all(target, kind, self._wired.call.name, self._wired.call.call)
        return tuple(self.cut(array, part) for array in found)

    def _all(self, target: str, kind: Kind, name: str, call: int) -> Sequence[Array]:
        records = self._traces[target].records
        found: list[Key] = sorted(key for key in records if (key.kind, key.layer, key.call) == (kind, name, call))
        return [records[key].load() for key in found]


def _name(target: str) -> str:
    return target or "the reference"


def _exact(array: Array) -> Array:
    return array if array.dtype.kind in "iub" else array.astype(np.float64)
