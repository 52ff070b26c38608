"""What a diagnosis says: facts and verdicts, with the evidence they rest on. No rendering.

r is the reference, c the candidate; x are the inputs a side's layer got, y what it returned, f the layer in float64.
Exactly: y_c - y_r = [y_c - f(x_c)] + [f(x_c) - f(x_r)] + [f(x_r) - y_r].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from bittrue.traces import Key

__all__ = [
    "Amplification",
    "Decision",
    "Diagnosis",
    "Finding",
    "FirstOrder",
    "LayerDiagnosis",
    "LayerShare",
    "NearRow",
    "OutputEvidence",
    "OwnError",
    "Part",
    "SideName",
    "Verdict",
    "Worst",
]

SideName = Literal["reference", "candidate"]


class Verdict(StrEnum):
    """What a difference is, from the least to the most serious; ordered so. As text it is what reports say.

    ``NO_TRUTH`` stands after ``ROUNDING``: it accuses nobody, but nothing is known. ``NON_FINITE``: a NaN or an
    infinity is born at the layer, where the exact answer is finite and no arithmetic of its axioms overflows.
    """

    IDENTICAL = "identical"
    ROUNDING = "rounding"
    NO_TRUTH = "no truth"
    APPROXIMATION = "approximation"
    PRECISION = "reduced precision"
    SUSPICIOUS = "suspicious"
    NON_FINITE = "non-finite"
    BUG = "bug"

    @property
    def severity(self) -> int:
        """Its place in the order, from 0."""
        return list(Verdict).index(self)

    @property
    def is_fault(self) -> bool:
        """Whether it names something that is not explained by rounding."""
        return self >= Verdict.APPROXIMATION

    def __lt__(self, other: str) -> bool:
        return self.severity < Verdict(other).severity

    def __le__(self, other: str) -> bool:
        return self.severity <= Verdict(other).severity

    def __gt__(self, other: str) -> bool:
        return self.severity > Verdict(other).severity

    def __ge__(self, other: str) -> bool:
        return self.severity >= Verdict(other).severity


@dataclass(frozen=True)
class Finding:
    """Why a side is off. ``proven`` only by an experiment, which ``proof`` names.

    ``proof`` is e.g. "50 of 50 values reproduced to the bit" or "every value within the bound of the layer with the
    cause, and 12 of 50 outside of it without". ``fix`` is a line that the user can apply, empty where there is none.
    ``verdict`` is what a proven cause makes of the layer (None: what it was; a bug remains one).
    """

    cause: str
    sentence: str
    proven: bool
    proof: str
    fix: str = ""
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Part:
    """One part of the decomposition: its largest and its root-mean-square magnitude over the finite elements."""

    max_abs: float
    rms: float


@dataclass(frozen=True)
class Worst:
    """The element farthest out: largest share of the bound; or the first that is not finite where it should be."""

    index: tuple[int, ...]
    value: float
    bits: str
    truth: float
    bound: float


@dataclass(frozen=True)
class OwnError:
    """How far one side's output is from f on that side's own inputs, against what rounding allows.

    ``max_ulp`` is in units of the record's own type at the exact value (None for integers), ``bound_share`` the
    largest |error| / bound (0 where both are 0, infinite outside a bound of 0). ``outside`` counts elements beyond
    the rigorous bound, ``non_finite`` those of them that are NaN or infinite. ``expectation`` is the observed over
    the expected mean square (None where nothing is expected to round), ``limit`` what it must not exceed with a
    false-positive rate of 1e-6. ``promised`` counts elements whose bound is finite, of ``size``; ``allowed`` is the
    largest of these bounds, in the units of the values.
    """

    size: int
    max_abs: float
    rms: float
    max_ulp: float | None
    bound_share: float
    outside: int
    non_finite: int
    promised: int
    expectation: float | None
    limit: float
    worst: Worst | None
    allowed: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """What the figures alone say; causes may know better."""
        if self.non_finite:
            return Verdict.NON_FINITE
        if self.outside:
            return Verdict.BUG
        if self.expectation is not None and self.expectation > self.limit:
            return Verdict.SUSPICIOUS
        return Verdict.ROUNDING if self.max_abs or self.promised < self.size else Verdict.IDENTICAL


@dataclass(frozen=True)
class Amplification:
    """How a layer enlarges a difference of its inputs. All norms are root-mean-squares over the finite elements.

    ``absolute`` |f(x_c) - f(x_r)| / |x_c - x_r|; ``relative`` the same with each divided by its values;
    ``growth`` |f(x_r)| / |x_r|. None where it is not defined: inputs that do not differ, or are no floats.
    """

    absolute: float | None
    relative: float | None
    growth: float | None


@dataclass(frozen=True)
class OutputEvidence:
    """One output tensor: the decomposition, each side's own error, and the closure.

    ``scale`` is the largest |y_r|, ``rms`` their root mean square. ``max_ulp`` is the largest ULP distance of the two
    sides and ``max_ulp_value`` the |y_r| where it stands (None for what is no float). ``closure`` is the largest
    difference between the left and the right side of the identity, in units of 2⁻⁵³ of the sum of the magnitudes of
    the values in it: at most 4, for the identity's own six roundings in float64.
    """

    key: Key
    scale: float
    rms: float
    max_ulp: float | None
    max_ulp_value: float | None
    total: Part
    own: OwnError
    inherited: Part
    reference: OwnError
    amplification: Amplification
    closure: float


def _named(key: Key) -> str:
    return key.layer + (f"#{key.call}" if key.call else "")


@dataclass(frozen=True)
class LayerDiagnosis:
    """One call of one layer on one target.

    ``side`` names who is at fault by itself, if anybody; ``reason`` says why there is no truth. ``assumes`` are the
    assumptions, beyond what the backends promise, that the verdict rests on.
    """

    key: Key
    class_name: str
    verdict: Verdict
    side: SideName | None = None
    sentence: str = ""
    reason: str | None = None
    outputs: tuple[OutputEvidence, ...] = ()
    causes: tuple[Finding, ...] = ()
    assumes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The layer's path, and its call where it is not the first: ``dense``, ``dense#1``."""
        return _named(self.key)

    @property
    def _first(self) -> OutputEvidence | None:
        return max(self.outputs, key=lambda found: found.own.bound_share, default=None)

    @property
    def own_error(self) -> OwnError | None:
        """The candidate's own error, of the output where it takes the largest share of its bound."""
        return self._first.own if self._first else None

    @property
    def reference_error(self) -> OwnError | None:
        """The reference's own error, of that output where it takes the largest share of its bound."""
        found = max(self.outputs, key=lambda evidence: evidence.reference.bound_share, default=None)
        return found.reference if found else None

    @property
    def inherited(self) -> Part | None:
        """f(x_c) - f(x_r): what came with the inputs."""
        return self._first.inherited if self._first else None

    @property
    def amplification(self) -> Amplification | None:
        """How the layer enlarges what it inherits."""
        return self._first.amplification if self._first else None


@dataclass(frozen=True)
class LayerShare:
    """What the roundings of one call of a layer add to a first-order bound: a ``share`` of it, from 0 to 1."""

    key: Key
    share: float

    @property
    def name(self) -> str:
        """As `LayerDiagnosis.name`."""
        return _named(self.key)


@dataclass(frozen=True)
class NearRow:
    """A row in which a decision may tip: the reference's ``margin`` there, and its first-order ``bound``.

    Both as `FirstOrder` has them; the bound is None where there is none.
    """

    row: int
    margin: float
    bound: float | None

    @property
    def inside(self) -> bool | None:
        """Whether the margin lies inside the bound."""
        return None if self.bound is None else self.margin <= self.bound


@dataclass(frozen=True)
class FirstOrder:
    """How far rounding may move the margin of a decision to first order, in the row where it is least. No proof.

    ``row`` counts the output's rows from 0; ``margin`` is that of the reference there, between what was chosen last and
    the best of the others, and ``change`` by how much it is another on the candidate (None: no such output). The bound
    is Σ |∂margin/∂v| · b over all values v that the operations of all layers make, at the reference's inputs, with b
    the rigorous bound of an operation's own rounding: ``reference`` and ``candidate`` are what each side's arithmetic
    may do to its own margin. Terms of second order are left out; at kinks the derivative is that on one side. All
    figures are in the units of the output.
    ``layers`` are the calls that add most to both, the largest first. ``obstacle`` says why there is no bound, where
    there is none (``reference`` and ``candidate`` are None then). ``nearest`` are the rows of the least margins, this
    one first, that were followed back: more than one where rounding might turn it.
    """

    row: int
    margin: float
    change: float | None
    reference: float | None = None
    candidate: float | None = None
    layers: tuple[LayerShare, ...] = ()
    obstacle: str = ""
    nearest: tuple[NearRow, ...] = ()

    @property
    def bound(self) -> float | None:
        """By how much the margins of both sides may differ to first order, in the units of the output."""
        if self.reference is None or self.candidate is None:
            return None
        return self.reference + self.candidate

    @property
    def inside(self) -> bool | None:
        """Whether the margin lies inside the bound, so that rounding may turn the decision as far as the bound says."""
        return None if self.bound is None else self.margin <= self.bound


@dataclass(frozen=True)
class Decision:
    """A decision that hangs on an output: the largest of a row (``argmax``), or the ``top-5``.

    ``rows`` decisions in all; ``changed`` came out differently on the candidate. ``margin`` is the smallest distance
    between what was chosen and what was not (reference), ``difference`` the largest |y_c - y_r| of the output.
    ``at_risk`` decisions have a margin within twice the observed difference. ``bound`` is the largest composed
    rigorous bound of a value's error on either side (None: not composed; infinite: nothing is promised) and
    ``safe`` the decisions whose margin exceeds what both sides' bounds allow: proven safe. ``first_order`` bounds the
    least margin's change to first order (None: not looked at).
    """

    key: Key
    kind: str
    rows: int
    changed: int
    at_risk: int
    margin: float
    difference: float
    bound: float | None = None
    safe: int | None = None
    first_order: FirstOrder | None = None


@dataclass(frozen=True)
class Diagnosis:
    """What differs between the reference and one target, whose fault it is, and what it means.

    ``entries`` are the calls of layers (and inputs that differ) in the order of execution. ``notes`` are checks of
    the run itself that failed. ``software`` says whether the candidate's adapter is emulated.
    """

    target: str
    verdict: Verdict
    headline: str
    entries: tuple[LayerDiagnosis, ...]
    decisions: tuple[Decision, ...] = ()
    assumes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    software: bool | None = None

    @property
    def layers(self) -> Mapping[str, LayerDiagnosis]:
        """The calls by `LayerDiagnosis.name`."""
        return MappingProxyType({entry.name: entry for entry in self.entries})

    @property
    def faults(self) -> tuple[LayerDiagnosis, ...]:
        """The calls that are at fault by themselves, independent of one another, in the order of execution."""
        return tuple(entry for entry in self.entries if entry.verdict.is_fault and entry.side is not None)

    @property
    def first_fault(self) -> LayerDiagnosis | None:
        """The first call at fault by itself. A known approximation or format yields to what nothing explains."""
        levels = (Verdict.SUSPICIOUS, Verdict.PRECISION, Verdict.APPROXIMATION)
        return next((entry for least in levels for entry in self.faults if entry.verdict >= least), None)
