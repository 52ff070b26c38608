"""What a report shows, before anybody decides how. Facts only; everything else is derived by property."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bittrue.comparison import Comparison, Metrics, Pair, Published
from bittrue.diagnosis import Diagnosis, LayerDiagnosis, OutputEvidence, Verdict
from bittrue.errors import BittrueError, TargetUnavailable
from bittrue.traces import Check, Key, Provenance, Trace

if TYPE_CHECKING:
    from pandas import DataFrame

    from .figures import LayerFigures

__all__ = ["ExactProof", "InputFacts", "LayerRow", "ModelFacts", "ReferenceOutcome", "ReportData", "TargetOutcome"]


@dataclass(frozen=True)
class ModelFacts:
    """What was run. ``parameters`` counts scalars; ``source`` is the file as the user named it, if any.

    ``classes`` maps a layer's path (names joined by "/") to its Keras class, ``reads`` to the paths that it reads.
    """

    name: str
    kind: str
    source: str | None
    parameters: int
    classes: Mapping[str, str] = field(default_factory=dict)
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def layers(self) -> int:
        """Number of layers, those of nested models included."""
        return len(self.classes)


@dataclass(frozen=True)
class InputFacts:
    """One input tensor that the model was fed. ``shape`` includes the batch."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class LayerRow:
    """One output of one call of one layer on one target, beside the reference and the float64 answer."""

    class_name: str
    pair: Pair
    own_accuracy: Metrics | None
    reference_accuracy: Metrics | None
    diagnosis: LayerDiagnosis | None = None

    @property
    def evidence(self) -> OutputEvidence | None:
        """The decomposition of this output, where there is one."""
        outputs = self.diagnosis.outputs if self.diagnosis else ()
        return next((found for found in outputs if found.key == self.pair.key), None)

    @property
    def key(self) -> Key:
        """Which tensor it is."""
        return self.pair.key

    @property
    def label(self) -> str:
        """The layer's name; ``#call`` and ``[output]`` only where there is more than the first."""
        call = f"#{self.key.call}" if self.key.call else ""
        return f"{self.key.layer}{call}" + (f"[{self.key.index}]" if self.key.index else "")


@dataclass(frozen=True)
class ReferenceOutcome:
    """The run that all are compared with: ``accuracy`` is its distance from the float64 answer, ``trace`` itself."""

    provenance: Provenance
    checks: tuple[Check, ...]
    accuracy: Comparison | None
    no_truth: Mapping[str, str] = field(default_factory=dict)
    digest: str | None = None
    trace: Trace | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class TargetOutcome:
    """What became of one target: compared, or failed with ``failure``.

    ``published`` counts the lines of the published table that this target reproduced; None where the run
    is not the published experiment. ``saved`` is the file that holds the trace, if it was kept. ``digest``
    is the SHA-256 over every bit of every layer output (`Trace.digest`): equal digests are equal bits.
    ``trace`` is what it produced; ``diagnosis`` what its differences are, None where nobody asked.
    """

    target: str
    provenance: Provenance | None = None
    checks: tuple[Check, ...] = ()
    comparison: Comparison | None = None
    accuracy: Comparison | None = None
    failure: BittrueError | None = None
    published: Published | None = None
    saved: str | None = None
    digest: str | None = None
    trace: Trace | None = field(default=None, repr=False, compare=False)
    diagnosis: Diagnosis | None = None

    @property
    def status(self) -> str:
        """``compared``, ``absent`` (not on this machine) or ``failed``."""
        if self.failure is None:
            return "compared"
        return "absent" if isinstance(self.failure, TargetUnavailable) else "failed"

    @property
    def sentence(self) -> str:
        """The failure as a sentence that begins with the target; empty where there is none."""
        if self.failure is None or str(self.failure).startswith(self.target):
            return str(self.failure or "")
        return f"{self.target}: {self.failure}"

    @property
    def outputs(self) -> tuple[Pair, ...]:
        """The pairs of layer outputs, in execution order."""
        return self.comparison.of_kind("output") if self.comparison else ()

    @property
    def weights(self) -> tuple[Pair, ...]:
        """The pairs of weights."""
        return self.comparison.of_kind("weight") if self.comparison else ()

    @property
    def identical(self) -> bool:
        """Whether every bit of every record is the same on both sides, and every record has its twin."""
        return self.comparison is not None and self.comparison.identical


@dataclass(frozen=True)
class ExactProof:
    """The same model as an exact one, everywhere it can be run here.

    ``hashes`` are the SHA-256 over every bit of its outputs (`Trace.digest` of the predictions), by target;
    ``failures`` sentences, by the targets that gave none. ``values`` is how many numbers the outputs hold.
    """

    hashes: Mapping[str, str]
    failures: Mapping[str, str] = field(default_factory=dict)
    values: int = 0

    @property
    def identical(self) -> bool:
        """Whether all targets that ran gave the same bits, and at least two did."""
        return len(self.hashes) > 1 and len(set(self.hashes.values())) == 1

    @property
    def refuted(self) -> bool:
        """Whether two targets gave other bits, which no model may."""
        return len(set(self.hashes.values())) > 1


@dataclass(frozen=True)
class ReportData:
    """Everything one run of a command found out. ``command`` is ``demo``, ``check`` or ``compare``.

    ``asked`` says whether the targets were named by the user; where they are all that were found, one that
    turns out to be absent is a state and no failure. ``candidate`` is the other model's file, where two were compared.
    """

    command: str
    model: ModelFacts | None
    inputs: tuple[InputFacts, ...]
    input_description: str
    reference: ReferenceOutcome
    targets: tuple[TargetOutcome, ...]
    notes: tuple[str, ...] = ()
    asked: bool = True
    exact: ExactProof | None = None
    candidate: str | None = None

    def rows(self, outcome: TargetOutcome) -> list[LayerRow]:
        """The layers of one target, in execution order; input layers are left to the inputs."""
        own = _metrics(outcome.accuracy)
        reference = _metrics(self.reference.accuracy)
        classes: Mapping[str, Any] = self.model.classes if self.model else {}
        inputs = _inputs(outcome.comparison) if outcome.comparison else set()
        entries = {(e.key.layer, e.key.call): e for e in (outcome.diagnosis.entries if outcome.diagnosis else ())}
        known = {entry.key.layer: entry.class_name for entry in entries.values()} | dict(classes)
        return [
            LayerRow(
                known.get(pair.key.layer, ""),
                pair,
                own.get(pair.candidate.key),
                reference.get(pair.key),
                entries.get((pair.key.layer, pair.key.call)),
            )
            for pair in outcome.outputs
            if classes.get(pair.key.layer) != "InputLayer" and pair.key.layer not in inputs
        ]

    @property
    def worst(self) -> Diagnosis | None:
        """The diagnosis with the most serious verdict, the first of those equally serious; None if there is none."""
        found = [outcome.diagnosis for outcome in self.targets if outcome.diagnosis is not None]
        return max(found, key=lambda diagnosis: diagnosis.verdict.severity, default=None)

    @property
    def verdict(self) -> Verdict | None:
        """The most serious verdict on any target; None where nothing was diagnosed."""
        return self.worst.verdict if self.worst else None

    @property
    def headline(self) -> str | None:
        """The answer for the target with the most serious verdict."""
        return self.worst.headline if self.worst else None

    @property
    def layers(self) -> Mapping[str, LayerDiagnosis]:
        """By name, each layer as it is on the target where its verdict is most serious."""
        found: dict[str, LayerDiagnosis] = {}
        for outcome in self.targets:
            for name, entry in (outcome.diagnosis.layers if outcome.diagnosis else {}).items():
                if name not in found or entry.verdict > found[name].verdict:
                    found[name] = entry
        return found

    @property
    def groups(self) -> list[list[TargetOutcome]]:
        """The targets that were compared, those together whose layer outputs are the same in every bit."""
        found: dict[str, list[TargetOutcome]] = {}
        for outcome in self.targets:
            if outcome.comparison is not None:
                found.setdefault(outcome.digest or outcome.target, []).append(outcome)
        return list(found.values())

    @property
    def figures(self) -> tuple[LayerFigures, ...]:
        """Every figure of every layer on every target, as properties that say their units."""
        from .figures import figures_of

        return figures_of(self)

    def to_dataframe(self) -> DataFrame:
        """The figures as a pandas DataFrame: one row a layer output and target, `LayerFigures`'s properties as columns.

        ``attrs["columns"]`` says what each column is and in which unit. Raises UsageError where there is no pandas.
        """
        from .figures import dataframe

        return dataframe(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: verdict, targets and layers."""
        from .notebook import notebook_html

        return notebook_html(self)

    @property
    def has_truth(self) -> bool:
        """Whether distances from the float64 answer are known."""
        return self.reference.accuracy is not None

    @property
    def published(self) -> TargetOutcome | None:
        """The target whose numbers the published table shows (webgl in Chrome), if it was run."""
        for outcome in self.targets:
            if outcome.published is not None and outcome.target.startswith("chrome:webgl"):
                return outcome
        return None

    @property
    def failures(self) -> list[TargetOutcome]:
        """Targets that did not deliver what was asked of them; where none delivered, absent ones too."""
        nothing = all(outcome.status == "absent" for outcome in self.targets)
        failed = ("failed", "absent") if self.asked or nothing else ("failed",)
        return [outcome for outcome in self.targets if outcome.status in failed]


def _inputs(comparison: Comparison) -> set[str]:
    """The names of inputs that either side has a record of."""
    keys = [*(pair.key for pair in comparison.pairs), *comparison.unmatched_reference, *comparison.unmatched_candidate]
    return {key.layer for key in keys if key.kind == "input"}


def _metrics(comparison: Comparison | None) -> dict[Key, Metrics]:
    pairs = comparison.of_kind("output") if comparison else ()
    return {pair.key: pair.metrics for pair in pairs if pair.metrics is not None}
