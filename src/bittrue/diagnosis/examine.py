"""One call of one layer on the reference and on every target: its decomposition, and whose fault it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bittrue.errors import BittrueError
from bittrue.graph.layers import expand
from bittrue.graph.model import Graph
from bittrue.ops import TensorSpec
from bittrue.traces import Trace

from .causes import explain
from .causes.summation_order import known_order
from .decompose import Decomposition
from .effort import NOT_SEARCHED, Effort, products
from .evidence import Evidence
from .experiments import same_bits
from .judging import Judging, misshapen
from .result import Finding, LayerDiagnosis, OutputEvidence, OwnError, Verdict
from .sides import REFERENCE, Misshapen, NoTruth, Run, Sides
from .verdicts import verdict_of
from .wiring import Wired

__all__ = ["CallExamination"]

_CHEAP = 2**18
"""Products up to which a layer whose errors are mere rounding is added up again to say by which order."""


@dataclass(frozen=True)
class _Held:
    """A run that has been held against its exact answer, output by output."""

    run: Run
    errors: tuple[OwnError, ...]


class CallExamination:
    """Examines one call on all targets at once, part by part of the batch; f of equal inputs is computed once.

    ``room``: about how many bytes exact answers may take.
    """

    def __init__(
        self,
        graph: Graph,
        wired: Wired,
        reference: Trace,
        candidates: Mapping[str, Trace],
        effort: Effort,
        room: int,
    ) -> None:
        self._graph = graph
        self._effort = effort
        self._wired = wired
        self._traces = {REFERENCE: reference, **candidates}
        self._sides = Sides(wired, self._traces, room)
        self._held: dict[str, _Held | NoTruth] = {}
        self._parts: dict[str, list[Decomposition]] = {}

    def examine(self) -> dict[str, LayerDiagnosis]:
        """What is to be said of every target; of none for which neither side recorded the call."""
        self._gather()
        targets = [target for target in self._traces if target != REFERENCE and self._sides.count(target)]
        return {target: self._diagnosed(target) for target in targets}

    @property
    def _class(self) -> str:
        return self._wired.call.layer.class_name

    def _gather(self) -> None:
        """Hold every part of every run against its exact answer."""
        runs = {target: run for target, run in self._sides.runs.items() if isinstance(run, Run)}
        judged = {target: [Judging() for _ in run.outputs] for target, run in runs.items()}
        self._parts = {target: [Decomposition() for _ in run.outputs] for target, run in runs.items()}
        held: dict[str, _Held | NoTruth] = {t: run for t, run in self._sides.runs.items() if isinstance(run, NoTruth)}
        for part in self._sides.parts:
            self._gather_part(part, {t: run for t, run in runs.items() if t not in held}, judged, held)
        for target, run in runs.items():
            if target not in held:
                errors = (one.found(partial(self._sides.pairs, run, at)) for at, one in enumerate(judged[target]))
                held[target] = _Held(run, tuple(errors))
        self._held = held

    def _gather_part(
        self,
        part: slice,
        runs: Mapping[str, Run],
        judged: Mapping[str, Sequence[Judging]],
        held: dict[str, _Held | NoTruth],
    ) -> None:
        sides, ours = self._sides, None
        for target, run in runs.items():  # the reference is the first
            try:
                exact = sides.rounding(run, part)
            except BittrueError as error:
                held[target] = NoTruth(str(error))
                continue
            odd = sides.odd(run, exact, part)
            if odd is not None:
                held[target] = odd
                continue
            outputs = [sides.cut(output, part) for output in run.outputs]
            for judging, y, found in zip(judged[target], outputs, exact, strict=False):
                judging.add(y, found)
            values = [found.value for found in exact]
            ours = (outputs, values) if target == REFERENCE else ours
            if ours is not None and target != REFERENCE:
                for at, (y, value) in enumerate(zip(*ours, strict=False)):
                    self._parts[target][at].add((y, outputs[at]), (value, values[at]))

    def _diagnosed(self, target: str) -> LayerDiagnosis:
        count = self._sides.count(target)
        pairs = ([self._sides.output(side, at) for side in (REFERENCE, target)] for at in range(count))
        same = all(r is not None and c is not None and same_bits(r, c) for r, c in pairs)
        reference, candidate = self._held[REFERENCE], self._held[target]
        alien = self._misshapen(target, reference, candidate)
        if alien is not None:
            return alien
        for held in (reference, candidate):
            if isinstance(held, NoTruth):
                verdict = Verdict.IDENTICAL if same else Verdict.NO_TRUTH
                return LayerDiagnosis(self._wired.key, self._class, verdict, reason=held.reason)
        assert isinstance(reference, _Held)
        assert isinstance(candidate, _Held)
        return self._judged(reference, candidate, same)

    def _misshapen(self, target: str, reference: _Held | NoTruth, candidate: _Held | NoTruth) -> LayerDiagnosis | None:
        """What is to be said where one side alone returned another shape; where both did, the exact answer is off."""
        for fault, other in ((candidate, reference), (reference, candidate)):
            if isinstance(fault, Misshapen) and isinstance(other, _Held):
                run = fault.run
                found = LayerDiagnosis(self._wired.key, self._class, Verdict.BUG, run.side, fault.reason)
                return self._explained(found, target, _Held(run, tuple(map(misshapen, run.outputs))), other)
        return None

    def _judged(self, reference: _Held, candidate: _Held, same: bool) -> LayerDiagnosis:
        target = candidate.run.target
        outputs = self._evidence(reference, candidate)
        verdict, side, sentence = verdict_of(outputs, same)
        found = LayerDiagnosis(self._wired.key, self._class, verdict, side, sentence, None, outputs)
        if side is None or not verdict.is_fault:
            causes = () if verdict is not Verdict.ROUNDING else self._orders(reference, candidate)
            return replace(found, causes=causes, assumes=self._assumptions(reference, candidate))
        return self._explained(
            found, target, *((candidate, reference) if side == "candidate" else (reference, candidate))
        )

    def _orders(self, reference: _Held, candidate: _Held) -> tuple[Finding, ...]:
        """The order of summation that makes all of the candidate's rounding, where one is known and cheap to try."""
        size = sum(y.size for y in candidate.run.outputs)
        if self._wired.passes or self._sides.batch is not None or products(self._wired.call.layer, size) > _CHEAP:
            return ()
        mine, theirs = (self._sides.side(held.run, slice(None)) for held in (candidate, reference))
        found = known_order(Evidence(self._graph, self._wired.call, mine, theirs))
        return () if found is None else (found,)

    def _evidence(self, reference: _Held, candidate: _Held) -> tuple[OutputEvidence, ...]:
        inputs = reference.run.inputs, candidate.run.inputs
        return tuple(
            self._parts[candidate.run.target][at].found(
                replace(self._wired.key, index=at), (reference.errors[at], candidate.errors[at]), inputs
            )
            for at in range(len(reference.run.outputs))
        )

    def _explained(self, found: LayerDiagnosis, target: str, fault: _Held, other: _Held) -> LayerDiagnosis:
        if not self._effort.is_left(target):
            sentence = f"{found.sentence}; {NOT_SEARCHED}"
            return replace(found, sentence=sentence, assumes=self._assumptions(fault))
        part = self._worst_part(fault)
        evidence = self._collected(target, fault, other, part)
        causes = explain(evidence)
        if not any(finding.proven for finding in causes):
            self._effort.in_vain(target, evidence)
        proven = next((finding for finding in causes if finding.proven and finding.verdict is not None), None)
        verdict = proven.verdict if proven is not None and proven.verdict is not None else found.verdict
        causes = tuple(self._of_part(finding, part) for finding in causes)
        return replace(found, verdict=verdict, causes=causes, assumes=self._assumptions(fault))

    def _collected(self, target: str, fault: _Held, other: _Held, part: slice) -> Evidence:
        siblings = {
            name: held
            for name, held in self._held.items()
            if isinstance(held, _Held) and name not in (REFERENCE, target)
        }
        return Evidence(
            self._graph,
            self._wired.call,
            self._sides.side(fault.run, part),
            self._sides.side(other.run, part),
            {name: tuple(self._sides.cut(y, part) for y in held.run.outputs) for name, held in siblings.items()},
            {name: held.errors for name, held in siblings.items()},
            self._traces[fault.run.target].checks,
        )

    def _worst_part(self, fault: _Held) -> slice:
        """The part with the element that is farthest out."""
        worst = max(fault.errors, key=lambda error: error.bound_share).worst
        at = worst.index[0] if worst is not None and worst.index else 0
        parts = self._sides.parts
        return parts[0] if len(parts) == 1 else next(part for part in parts if at < part.stop)

    def _of_part(self, finding: Finding, part: slice) -> Finding:
        """A finding says in which examples it was tried, where these are not all."""
        if self._sides.batch is None:
            return finding
        which = f"example {part.start}" if part.stop - part.start == 1 else f"examples {part.start} to {part.stop - 1}"
        return replace(finding, proof=f"{finding.proof}, in {which} of {self._sides.batch}")

    def _assumptions(self, *sides: _Held) -> tuple[str, ...]:
        """What the verdict takes for granted. A nested model's own outputs rest on nothing."""
        if self._wired.passes:
            return ()
        specs = tuple(map(TensorSpec.of, sides[0].run.inputs))
        ops = frozenset(op.name for op in expand(self._wired.call.layer, specs, self._wired.call.nodes[-1]).ops())
        known = [side.run.arithmetic for side in sides]
        found = (f"{arithmetic.name}: {text}" for arithmetic in known for text in arithmetic.assumptions(ops))
        return tuple(dict.fromkeys(found))
