"""One call of one layer on the reference and on every target: its decomposition, and whose fault it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bittrue.errors import BittrueError
from bittrue.floats import bits
from bittrue.graph.layers import expand
from bittrue.graph.model import Graph
from bittrue.graph.rounding import Rounding, layer_rounding
from bittrue.ops import TensorSpec
from bittrue.traces import Array, Trace

from .axioms import Arithmetic, arithmetic_of, in_dtype
from .causes import explain
from .causes.summation_order import known_order
from .decompose import amplification, decompose
from .effort import NOT_SEARCHED, Effort
from .evidence import Evidence, Side
from .judging import judge, misshapen
from .result import Finding, LayerDiagnosis, OutputEvidence, SideName, Verdict
from .verdicts import verdict_of
from .wiring import Wired, load

__all__ = ["CallExamination"]


@dataclass(frozen=True)
class NoTruth:
    """Why a side of a call cannot be held against the exact answer."""

    reason: str


@dataclass(frozen=True)
class Misshapen(NoTruth):
    """A side that returned a tensor of another shape than its layer means; ``side`` is all there is of it."""

    side: Side


_SHARED = 2**24
"""Bytes up to which an exact answer is kept for targets whose inputs agree; the reference's always is."""

_MOST = 3

_CHEAP = 2**18
"""Products up to which a layer whose errors are mere rounding is added up again to say by which order."""


class CallExamination:
    """Examines one call on target after target. What they share is computed once: f(x_r), and f of equal inputs."""

    def __init__(
        self, graph: Graph, wired: Wired, reference: Trace, candidates: Mapping[str, Trace], effort: Effort
    ) -> None:
        self._graph = graph
        self._effort = effort
        self._wired = wired
        self._traces = {"": reference, **candidates}  # no target has an empty name
        self._sides: dict[str, Side | NoTruth] = {}
        self._known: list[tuple[tuple[Array, ...], str, tuple[Rounding, ...]]] = []

    def diagnose(self, target: str) -> LayerDiagnosis | None:
        """What is to be said of ``target``; None where neither side recorded the call."""
        pairs = [(self._output("", at), self._output(target, at)) for at in range(self._count(target))]
        if not pairs:
            return None
        same = all(r is not None and c is not None and _same_bits(r, c) for r, c in pairs)
        reference, candidate = self._side(""), self._side(target)
        alien = self._misshapen(target, reference, candidate)
        if alien is not None:
            return alien
        for side in (reference, candidate):
            if isinstance(side, NoTruth):
                verdict = Verdict.IDENTICAL if same else Verdict.NO_TRUTH
                return LayerDiagnosis(self._wired.key, self._class, verdict, reason=side.reason)
        assert isinstance(reference, Side)
        assert isinstance(candidate, Side)
        found = self._judged(target, reference, candidate, same)
        # Only the reference's side is needed again; causes ask for the others where one is at fault.
        self._sides = {"": reference}
        return found

    @property
    def _class(self) -> str:
        return self._wired.call.layer.class_name

    def _misshapen(self, target: str, reference: Side | NoTruth, candidate: Side | NoTruth) -> LayerDiagnosis | None:
        """What is to be said where one side alone returned another shape; where both did, the exact answer is off."""
        for fault, other in ((candidate, reference), (reference, candidate)):
            if isinstance(fault, Misshapen) and isinstance(other, Side):
                key, side = self._wired.key, fault.side
                found = LayerDiagnosis(key, self._class, Verdict.BUG, side.name, fault.reason)
                return self._explained(found, target, side, other)
        return None

    def _judged(self, target: str, reference: Side, candidate: Side, same: bool) -> LayerDiagnosis:
        outputs = self._evidence(reference, candidate)
        verdict, side, sentence = verdict_of(outputs, same)
        found = LayerDiagnosis(self._wired.key, self._class, verdict, side, sentence, None, outputs)
        if side is None or not verdict.is_fault:
            causes = () if verdict is not Verdict.ROUNDING else self._orders(reference, candidate)
            return replace(found, causes=causes, assumes=self._assumptions(reference, candidate))
        return self._explained(
            found, target, *((candidate, reference) if side == "candidate" else (reference, candidate))
        )

    def _orders(self, reference: Side, candidate: Side) -> tuple[Finding, ...]:
        """The order of summation that makes all of the candidate's rounding, where one is known and cheap to try."""
        if self._wired.passes:
            return ()
        found = known_order(Evidence(self._graph, self._wired.call, candidate, reference), _CHEAP)
        return () if found is None else (found,)

    def _evidence(self, reference: Side, candidate: Side) -> tuple[OutputEvidence, ...]:
        return tuple(
            decompose(
                replace(self._wired.key, index=at),
                (reference.outputs[at], candidate.outputs[at]),
                (reference.rounding[at], candidate.rounding[at]),
                (reference.errors[at], candidate.errors[at]),
                amplification(
                    (reference.inputs, candidate.inputs), (reference.rounding[at].value, candidate.rounding[at].value)
                ),
            )
            for at in range(len(reference.outputs))
        )

    def _explained(self, found: LayerDiagnosis, target: str, fault: Side, other: Side) -> LayerDiagnosis:
        others = {name: self._side(name) for name in self._traces if name not in ("", target)}
        siblings = {name: side for name, side in others.items() if isinstance(side, Side)}
        evidence = Evidence(
            self._graph,
            self._wired.call,
            self._whole(target, fault),
            self._whole(target, other),
            {name: side.outputs for name, side in siblings.items()},
            {name: side.errors for name, side in siblings.items()},
            self._traces[target if fault.name == "candidate" else ""].checks,
        )
        if not self._effort.is_left(target):
            sentence = f"{found.sentence}; {NOT_SEARCHED}"
            return replace(found, sentence=sentence, assumes=self._assumptions(fault))
        causes = explain(evidence)
        if not any(finding.proven for finding in causes):
            self._effort.in_vain(target, evidence)
        proven = next((finding for finding in causes if finding.proven and finding.verdict is not None), None)
        verdict = proven.verdict if proven is not None and proven.verdict is not None else found.verdict
        return replace(found, verdict=verdict, causes=causes, assumes=self._assumptions(fault))

    def _assumptions(self, *sides: Side) -> tuple[str, ...]:
        """What the verdict takes for granted. A nested model's own outputs rest on nothing."""
        if self._wired.passes:
            return ()
        specs = tuple(map(TensorSpec.of, sides[0].inputs))
        ops = frozenset(op.name for op in expand(self._wired.call.layer, specs, self._wired.call.nodes[-1]).ops())
        found = (f"{side.arithmetic.name}: {text}" for side in sides for text in side.arithmetic.assumptions(ops))
        return tuple(dict.fromkeys(found))

    def _side(self, target: str) -> Side | NoTruth:
        if target not in self._sides:
            self._sides[target] = self._made(target)
        return self._sides[target]

    def _made(self, target: str) -> Side | NoTruth:
        trace, wired = self._traces[target], self._wired
        if wired.obstacle is not None:
            return NoTruth(wired.obstacle)
        outputs = [self._output(target, at) for at in range(self._count(target))]
        if not outputs or any(output is None for output in outputs):
            return NoTruth(f"{_name(target)} has no record of what it returned")
        try:
            inputs = tuple(load(source, trace) for source in (wired.operands or wired.passes))
        except KeyError as missing:
            return NoTruth(f"{_name(target)} has no record of {missing.args[0]}, which it was made from")
        except BittrueError as error:
            return NoTruth(str(error))
        return self._held(target, inputs, tuple(output for output in outputs if output is not None))

    def _held(self, target: str, inputs: tuple[Array, ...], outputs: tuple[Array, ...]) -> Side | NoTruth:
        provenance = self._traces[target].provenance
        arithmetic = in_dtype(arithmetic_of(provenance), outputs[0].dtype)
        try:
            exact = self._rounding(inputs, arithmetic)
        except BittrueError as error:
            return NoTruth(str(error))
        shapes = [found.value.shape for found in exact]
        fits = shapes[: len(outputs)] == [output.shape for output in outputs]
        errors = (
            judge(output, found) if fits else misshapen(output) for output, found in zip(outputs, exact, strict=False)
        )
        name: SideName = "candidate" if target else "reference"
        side = Side(name, provenance, arithmetic, inputs, outputs, (), (), (), exact, tuple(errors))
        if fits:
            return side
        given = ", ".join(str(output.shape) for output in outputs)
        meant = ", ".join(map(str, shapes))
        return Misshapen(f"{_name(target)} returned {given}, where its inputs give {meant}", side)

    def _rounding(self, inputs: tuple[Array, ...], arithmetic: Arithmetic) -> tuple[Rounding, ...]:
        if self._wired.passes:
            none = np.zeros(())
            return tuple(Rounding(_exact(array), none, none, 1.0) for array in inputs)
        for given, name, found in self._known:
            if name == arithmetic.name and all(map(_same_bits, given, inputs)):
                return found
        call = self._wired.call
        found = layer_rounding(call.layer, inputs, arithmetic.axioms, call.nodes[-1], expected=arithmetic.expected)
        if not self._known or sum(exact.value.nbytes for exact in found) < _SHARED:
            self._known = [*self._known[-_MOST:], (inputs, arithmetic.name, found)]
        return found

    def _whole(self, target: str, side: Side) -> Side:
        """``side`` with its weights, masks and states, which only causes ask for."""
        name = target if side.name == "candidate" else ""
        mask, state = self._beside(name, "mask"), self._beside(name, "state")
        return replace(side, weights=self._weights(name), masks=mask, states=state)

    def _weights(self, target: str) -> tuple[Array, ...]:
        name = self._wired.call.name
        held = tuple(self._all(target, "weight", name, 0))
        return held or tuple(weight.value for weight in self._wired.call.layer.weights)

    def _beside(self, target: str, kind: Any) -> tuple[Array, ...]:
        return tuple(self._all(target, kind, self._wired.call.name, self._wired.call.call))

    def _all(self, target: str, kind: Any, name: str, call: int) -> Sequence[Array]:
        records = self._traces[target].records
        found = sorted(key for key in records if (key.kind, key.layer, key.call) == (kind, name, call))
        return [records[key].load() for key in found]

    def _output(self, target: str, at: int) -> Array | None:
        record = self._traces[target].records.get(replace(self._wired.key, index=at))
        return None if record is None else record.load()

    def _count(self, target: str) -> int:
        """How many outputs the call has on either side."""
        tables = [self._traces[""].records, self._traces[target].records]
        count = 0
        while any(replace(self._wired.key, index=count) in table for table in tables):
            count += 1
        return count


def _name(target: str) -> str:
    return target or "the reference"


def _exact(array: Array) -> Array:
    return array if array.dtype.kind in "iub" else array.astype(np.float64)


def _same_bits(a: Array, b: Array) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind not in "fiub":
        return a.tobytes() == b.tobytes()
    return bool(np.array_equal(bits(a), bits(b)))
