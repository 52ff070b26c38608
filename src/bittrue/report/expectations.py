"""What a user allows of a result, and what of it is outside: tolerances by layer, known deviations with an end.

Verdicts say what a difference is, bounds how large it may be. Neither is invented here: without a tolerance for a layer
the one limit on verdicts holds for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from math import isnan
from typing import Protocol

from bittrue.diagnosis import LayerDiagnosis, Verdict

from .data import LayerRow, ReportData, TargetOutcome

__all__ = [
    "CallResult",
    "Deviation",
    "Expectations",
    "Judged",
    "Judgement",
    "Measured",
    "Tolerance",
    "Violation",
    "calls_of",
    "judge",
    "judge_calls",
]


@dataclass(frozen=True)
class Tolerance:
    """What is allowed of the calls of layers that ``layers`` fits, on the targets that ``targets`` fits.

    Both are patterns as in `fnmatch`, of which one must fit. ``at_most``: the most serious verdict. ``absolute``: the
    largest difference, in the tensor's unit. ``relative``: the same over the reference's largest value, a ratio.
    ``ulp``: the largest distance in ULP. All that are given must hold; where bounds are given and no verdict,
    the verdict is not looked at. A NaN or an infinity on one side alone is outside of every bound.
    """

    layers: tuple[str, ...] = ("*",)
    targets: tuple[str, ...] = ("*",)
    at_most: Verdict | None = None
    absolute: float | None = None
    relative: float | None = None
    ulp: float | None = None

    def fits(self, layer: str, target: str) -> bool:
        """Whether it speaks of this layer (``dense``, ``outer/dense#1``) on this target."""
        return _fits(layer, self.layers) and _fits(target, self.targets)

    def broken_by(self, call: Judged) -> str | None:
        """How the call is outside of it, in a phrase; None where it is inside."""
        if self.at_most is not None and call.verdict > self.at_most:
            return f"{call.verdict}, where at most {self.at_most} is allowed"
        return next(filter(None, (self._beyond(found) for found in call.measured)), None)

    def _beyond(self, found: Measured) -> str | None:
        bounds = (("absolute", self.absolute), ("relative", self.relative), ("ulp", self.ulp))
        given = [(name, bound) for name, bound in bounds if bound is not None]
        if given and found.problem:
            return found.problem
        for name, bound in given:
            value = getattr(found, name)
            if value > bound:
                return f"its {_WORDS[name]} is {value:.3g}, where at most {bound:.3g} is allowed"
        return None


_WORDS = {
    "absolute": "largest absolute difference",
    "relative": "largest difference over its largest value",
    "ulp": "largest distance in ULP",
}


@dataclass(frozen=True)
class Deviation:
    """A deviation that is known: what is allowed because of it, why, and the last day on which it is."""

    allowed: Tolerance
    reason: str
    expires: date

    def expired(self, today: date) -> bool:
        """Whether its last day is past."""
        return today > self.expires

    def __str__(self) -> str:
        return f"{', '.join(self.allowed.layers)} ({self.reason})"


@dataclass(frozen=True)
class Expectations:
    """What is allowed: ``at_most`` of every layer that no tolerance fits; of several that fit, the last holds.

    With ``bits`` every bit must agree, of weights and of tensors without a partner too.
    """

    at_most: Verdict = Verdict.PRECISION
    tolerances: tuple[Tolerance, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    bits: bool = False

    def limit(self, layer: str, target: str) -> Tolerance:
        """What holds for one layer on one target."""
        fitting = [one for one in self.tolerances if one.fits(layer, target)]
        return fitting[-1] if fitting else Tolerance(at_most=self.at_most)


@dataclass(frozen=True)
class Measured:
    """One output tensor: its largest difference, in the tensor's unit, over its largest value, and in ULP.

    ``problem`` says, in a phrase, why no bound can hold of it: a shape that does not fit, a NaN on one side alone.
    """

    absolute: float = 0.0
    relative: float = 0.0
    ulp: float = 0.0
    problem: str = ""

    @classmethod
    def of(cls, row: LayerRow) -> Measured:
        """The figures of one row of a result."""
        found = row.pair.metrics
        if found is None:
            return cls(problem=f"it cannot be measured ({row.pair.problem})")
        odd = found.mismatched_nan + found.mismatched_inf
        problem = f"{odd} values are NaN or infinite on one side alone" if odd else ""
        return cls(_number(found.max_abs), _number(found.max_abs_to_scale), _number(found.max_ulp), problem)


class Judged(Protocol):
    """What is held to what is expected: one call of one layer on one target."""

    @property
    def target(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def class_name(self) -> str: ...
    @property
    def verdict(self) -> Verdict: ...
    @property
    def measured(self) -> Sequence[Measured]: ...
    @property
    def sentence(self) -> str: ...
    @property
    def fix(self) -> str: ...


@dataclass(frozen=True)
class CallResult:
    """One call of one layer on one target: its verdict and its outputs.

    ``verdict`` is `Verdict.NO_TRUTH` where nothing was diagnosed and not every bit agrees.
    """

    target: str
    name: str
    class_name: str
    verdict: Verdict
    diagnosis: LayerDiagnosis | None
    rows: tuple[LayerRow, ...]

    @property
    def measured(self) -> tuple[Measured, ...]:
        """The figures of its outputs."""
        return tuple(map(Measured.of, self.rows))

    @property
    def fix(self) -> str:
        """What to do about it, as the first of its causes that knows says; empty where none does."""
        causes = self.diagnosis.causes if self.diagnosis else ()
        return next((cause.fix for cause in causes if cause.fix), "")

    @property
    def sentence(self) -> str:
        """Why the verdict is what it is: the proven cause, else the figures; empty where there is nothing to say."""
        if self.diagnosis is None:
            return ""
        proven = next((cause for cause in self.diagnosis.causes if cause.proven), None)
        return proven.sentence if proven else self.diagnosis.sentence or self.diagnosis.reason or ""


@dataclass(frozen=True)
class Violation:
    """Something that is not allowed. ``layer`` is None where it is the run as a whole; ``fix`` may be empty."""

    target: str
    layer: str | None
    class_name: str
    verdict: Verdict | None
    what: str
    why: str = ""
    fix: str = ""

    def __str__(self) -> str:
        place = (
            f"{self.layer} ({self.class_name}) on " if self.class_name else f"{self.layer} on " if self.layer else ""
        )
        return f"{place}{self.target}: {self.what}" + (f"; {self.why}" if self.why else "")


@dataclass(frozen=True)
class Judgement:
    """What of a result is not allowed, what is excused by a known deviation, and what else to say of those."""

    violations: tuple[Violation, ...] = ()
    excused: tuple[tuple[Violation, Deviation], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all is allowed."""
        return not self.violations

    def of(self, target: str, layer: str | None) -> tuple[Violation, ...]:
        """The violations of one layer (None: of the run as a whole) on one target."""
        return tuple(found for found in self.violations if (found.target, found.layer) == (target, layer))


def calls_of(data: ReportData, outcome: TargetOutcome) -> list[CallResult]:
    """The calls of layers of one target, in execution order; inputs that differ come first."""
    rows: dict[tuple[str, int], list[LayerRow]] = {}
    for row in data.rows(outcome):
        rows.setdefault((row.key.layer, row.key.call), []).append(row)
    entries = outcome.diagnosis.entries if outcome.diagnosis else ()
    known = {(entry.key.layer, entry.key.call): entry for entry in entries}
    places = dict.fromkeys([*(place for place in known if place not in rows), *rows])
    return [_call(outcome.target, place, known.get(place), tuple(rows.get(place, ()))) for place in places]


def _call(target: str, place: tuple[str, int], entry: LayerDiagnosis | None, rows: tuple[LayerRow, ...]) -> CallResult:
    name = place[0] + (f"#{place[1]}" if place[1] else "")
    kind = rows[0].class_name if rows else entry.class_name if entry else ""
    return CallResult(target, name, kind, _verdict(entry, rows), entry, rows)


def _verdict(entry: LayerDiagnosis | None, rows: Sequence[LayerRow]) -> Verdict:
    if entry is None:
        return Verdict.IDENTICAL if all(row.pair.identical for row in rows) else Verdict.NO_TRUTH
    # What nobody is at fault for is no fault, as in the verdict on the target.
    return Verdict.ROUNDING if entry.verdict.is_fault and entry.side is None else entry.verdict


def judge(data: ReportData, expected: Expectations, today: date) -> Judgement:
    """Hold a result to what is expected of it. Targets that did not deliver are left to the caller."""
    calls: list[CallResult] = []
    whole: list[Violation] = []
    for outcome in data.targets:
        if outcome.comparison is not None:
            found = calls_of(data, outcome)
            calls += found
            whole += _whole(outcome, found, expected)
    return judge_calls(calls, expected, today, whole)


def judge_calls(
    calls: Sequence[Judged], expected: Expectations, today: date, whole: Sequence[Violation] = ()
) -> Judgement:
    """Hold calls to what is expected of them; ``whole`` are violations of runs that no call shows."""
    violations: list[Violation] = []
    excused: list[tuple[Violation, Deviation]] = []
    met: dict[Deviation, bool] = {}
    for call in calls:
        fitting = [one for one in expected.deviations if one.allowed.fits(call.name, call.target)]
        what = expected.limit(call.name, call.target).broken_by(call)
        for deviation in fitting:
            met[deviation] = met.get(deviation, False) or what is not None
        if what is not None:
            found, excuse = _violation(call, what), _excuse(fitting, call, today)
            excused += [(found, excuse)] if excuse else []
            violations += [] if excuse else [found]
    return Judgement((*violations, *whole, *_expired(met, today)), tuple(excused), tuple(_unneeded(met, today)))


def _excuse(fitting: Sequence[Deviation], call: Judged, today: date) -> Deviation | None:
    holding = (one for one in fitting if not one.expired(today) and one.allowed.broken_by(call) is None)
    return next(holding, None)


def _violation(call: Judged, what: str) -> Violation:
    return Violation(call.target, call.name, call.class_name, call.verdict, what, call.sentence, call.fix)


def _whole(outcome: TargetOutcome, calls: Sequence[CallResult], expected: Expectations) -> Iterator[Violation]:
    """What is wrong with a run that no single layer shows."""
    found = outcome.diagnosis
    if found is not None:
        worst = max((call.verdict for call in calls), default=Verdict.IDENTICAL)
        if found.verdict > expected.at_most and found.verdict > worst:
            why = "; ".join(found.notes) or found.headline
            what = f"{found.verdict}, where at most {expected.at_most} is allowed"
            yield Violation(outcome.target, None, "", found.verdict, what, why)
    if expected.bits and not outcome.identical:
        yield Violation(outcome.target, None, "", None, "not every bit is that of the reference")


def _expired(met: dict[Deviation, bool], today: date) -> Iterator[Violation]:
    """One for each deviation past its day that speaks of a layer that was compared, needed or not."""
    for deviation, needed in met.items():
        if deviation.expired(today):
            still = "the layer still deviates" if needed else "the layer no longer deviates"
            advice = "fix it, or give a new reason and date" if needed else "remove it"
            layers = ", ".join(deviation.allowed.layers)
            what = f"the known deviation of {layers} expired on {deviation.expires} and {still}: {advice}"
            yield Violation("settings", None, "", None, what, f"its reason was: {deviation.reason}")


def _unneeded(met: dict[Deviation, bool], today: date) -> Iterator[str]:
    for deviation, needed in met.items():
        if not needed and not deviation.expired(today):
            yield f"the known deviation of {deviation} is no longer there: remove it from the settings"


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _number(value: float | None) -> float:
    """A figure; 0 where there is no finite value to measure or no float."""
    return 0.0 if value is None or isnan(value) else float(value)
