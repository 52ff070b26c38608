"""One model on many targets: what is started, converted or evaluated once is shared, and ended at the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bittrue.errors import TargetFailure, UsageError
from bittrue.runtimes.base import DEFAULT_BUDGET, Inputs, NullProgress, Progress, Runtime, TraceOptions
from bittrue.runtimes.target import Target

if TYPE_CHECKING:
    from bittrue.conversion.tfjs import Artifact
    from bittrue.graph.model import Graph
    from bittrue.model import OpenedModel
    from bittrue.report.data import ExactProof, ReportData, TargetOutcome
    from bittrue.runtimes.device import Invitation
    from bittrue.runtimes.host import Host
    from bittrue.traces import Trace

__all__ = ["Candidate", "Run", "Session", "file_name"]


@dataclass(frozen=True)
class Run:
    """How to run, the same for every command that runs a model.

    ``runs``, ``budget`` (bytes) and ``timeout`` (seconds) as in `TraceOptions`. ``tfjs`` is the TensorFlow.js
    version for targets that name none, None for the bundled one. ``save`` keeps traces and converted models in
    a folder. ``webdriver`` is the address of a remote WebDriver, ``port`` the port to listen on (0: any free one).
    ``trust`` lets a model execute code that it brings along; ``custom`` are classes and functions of the user's own
    that it may name, or where they are (``module:Class``). ``explain`` says what the differences are, and whose fault.
    ``listen`` is the address of this machine that devices open (None: the only one in a private network), ``wait`` how
    many seconds somebody has to do so once ``invite`` has been called.
    ``host`` is one that is open already, with its server and browsers; whoever opened it ends it (None: one a run).
    """

    runs: int = 1
    budget: int = DEFAULT_BUDGET
    timeout: float = 120.0
    tfjs: str | None = None
    save: Path | None = None
    webdriver: str | None = None
    port: int = 0
    trust: bool = False
    custom: Sequence[Any] = ()
    explain: bool = True
    progress: Progress = field(default_factory=NullProgress)
    listen: str | None = None
    wait: float = 900.0
    invite: Callable[[Invitation], None] = lambda invitation: None
    host: Host | None = None

    def options(self, target: Target | str) -> TraceOptions:
        """How to trace one target; its records go to a file of its own where ``save`` is set."""
        path = str(self.save / f"{file_name(str(target))}.safetensors") if self.save else None
        return TraceOptions(runs=self.runs, budget=self.budget, timeout=self.timeout, save=path)


def file_name(target: str) -> str:
    """A target as a file name that every system accepts: ``chrome-webgl``."""
    return re.sub(r"[^A-Za-z0-9_.@=-]+", "-", target)


class Session:
    """One model on many targets: what is started, converted or evaluated once is shared, and ended at the end."""

    def __init__(
        self, opened: OpenedModel, run: Run, *, artifacts: Path | None = None, published: bool = False
    ) -> None:
        self.opened = opened
        self.run = run
        self.published = published
        self._artifacts = artifacts
        self._written: dict[str, Artifact] = {}
        self._exact: Artifact | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Session:
        if self.run.save:
            _make_folder(self.run.save)
            self._save_graph(self.run.save)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    def _save_graph(self, folder: Path) -> None:
        """What explains the traces in ``folder`` later; the candidate of two models has a folder of its own."""
        from bittrue.graph.stored import write_graph
        from bittrue.report.one_layer import GRAPH

        if self._artifacts is None or self._artifacts.parent != folder:
            write_graph(self.graph, folder / GRAPH)

    @property
    def graph(self) -> Graph:
        return self.opened.graph

    def artifact(self, version: str | None) -> Artifact:
        """The model converted for a version of TensorFlow.js, written once; as it is, if it came as an artifact."""
        from bittrue.conversion.tfjs import convert as write
        from bittrue.runtimes.tfjs import BUNDLED

        if self.opened.artifact is not None:
            return self.opened.artifact
        version = version or BUNDLED
        if version not in self._written:
            self._written[version] = write(self.graph, self._folder(version), version=version, nodes=self.opened.nodes)
        return self._written[version]

    def exact_artifact(self) -> Artifact:
        """The model as an exact one, written once. Raises Unsupported for what the exact runtime does not have."""
        from bittrue.runtimes.exact_artifact import exact_artifact as write

        if self._exact is None:
            self._exact = write(self.graph, self._kept("exact"))
        return self._exact

    def _folder(self, version: str) -> Path:
        from bittrue.runtimes.tfjs import BUNDLED

        return self._kept("keras_converted" if version == BUNDLED else f"keras_converted-{version}")

    def _kept(self, name: str) -> Path:
        """A folder for a converted model, gone at the end unless results are saved."""
        keep = self._artifacts or self.run.save
        if keep is None:
            from bittrue.runtimes.processes import Scratch

            scratch = Scratch()
            self._stack.callback(scratch.remove)
            keep = scratch.path
        return keep / name

    def _host(self) -> Any:
        from bittrue.runtimes.host import Host

        if self.run.host is not None:
            return self.run.host
        if not hasattr(self, "_running"):
            run = self.run
            host = Host(
                port=run.port,
                webdriver=run.webdriver,
                progress=run.progress,
                listen=run.listen,
                wait=run.wait,
                invite=run.invite,
            )
            self._running = self._stack.enter_context(host)
        return self._running

    def runtime(self, target: Target) -> Runtime:
        """What runs the model on ``target``."""
        if target.engine == "tensorflow":
            return self._tensorflow(target)
        if target.engine == "python":
            from bittrue.runtimes.exact import ExactRuntime

            return ExactRuntime(target, self.graph, progress=self.run.progress)
        if target.is_keras:
            from bittrue.runtimes.keras import KerasRuntime

            live, run = self.opened.keras(), self.run
            return KerasRuntime(
                target,
                self.opened.path,
                self.graph,
                live=live,
                progress=run.progress,
                trust=run.trust,
                custom=run.custom,
            )
        artifact = self.exact_artifact() if target.is_exact else self.artifact(target.version)
        return self._host().runtime(target, artifact, self.graph)  # type: ignore[no-any-return]

    def _tensorflow(self, target: Target) -> Runtime:
        from bittrue.runtimes.tensorflow import TensorFlowRuntime

        nodes, run = self.opened.nodes, self.run
        if nodes is None:
            raise UsageError(f"{target} runs SavedModels and graph-models: use keras:tensorflow for a Keras model")
        return TensorFlowRuntime(
            target, self.opened.path, self.graph, nodes, progress=run.progress, trust=run.trust, custom=run.custom
        )

    def trace(self, target: Target, inputs: Inputs, options: TraceOptions) -> Trace:
        try:
            with self.runtime(target) as runtime:
                return runtime.trace(inputs, options)
        finally:
            self.run.progress.done(str(target))

    def exact_proof(self, targets: Sequence[Target], inputs: Inputs, reference: Trace | None) -> ExactProof:
        """The outputs of the model as an exact one on ``targets``, hashed. One that fails is part of what is found.

        Where results are saved, it is kept beside the traces, as one about the model and inputs of ``reference``.
        """
        from bittrue.report.data import ExactProof
        from bittrue.report.proof import write_proof

        hashes: dict[str, str] = {}
        failures: dict[str, str] = {}
        values = 0
        for target in targets:
            try:
                trace = self.trace(target, inputs, TraceOptions(timeout=self.run.timeout))
            except TargetFailure as error:
                failures[str(target)] = str(error)
                continue
            hashes[str(target)] = trace.digest("prediction")
            values = sum(record.size for record in trace.of_kind("prediction"))
        proof = ExactProof(hashes, failures, values)
        if self.run.save and reference is not None:
            write_proof(proof, reference, self.run.save)
        return proof

    def report(
        self,
        command: str,
        inputs: Inputs,
        description: str,
        reference: Target,
        targets: Sequence[Target],
        candidate: Candidate | None = None,
    ) -> ReportData:
        """Trace the reference and every target, compare each with the reference and with the float64 answer.

        Where there is a ``candidate``, the targets run that model, and each model has its own float64 answer.
        """
        from bittrue.comparison import accuracy as from_truth
        from bittrue.report.data import InputFacts, ReferenceOutcome, ReportData
        from bittrue.report.facts import model_facts

        other, fed = (candidate.session, candidate.inputs) if candidate else (self, inputs)
        notes: dict[str, None] = {}
        for version in dict.fromkeys(target.version for target in targets if not (target.is_keras or target.is_exact)):
            # A model that cannot be converted is refused before anything runs.
            notes |= dict.fromkeys(other.artifact(version).notes)
        if any(target.is_device for target in targets):
            _ = other._host().device  # an address that cannot be listened on is refused before anything runs
        base = self.trace(reference, inputs, self._reference_options(reference))
        truth = self._truth(inputs)
        accuracy = from_truth(truth, base) if truth is not None else None
        no_truth = truth.provenance.details.get("no_truth", {}) if truth is not None else {}
        own = other._truth(fed) if candidate else truth
        outcomes = tuple(other._outcome(target, fed, base, own, models=candidate is not None) for target in targets)
        facts = tuple(InputFacts(name, array.shape, str(array.dtype)) for name, array in inputs.items())
        known = ReferenceOutcome(base.provenance, base.checks, accuracy, no_truth, base.digest(), base)
        model = model_facts(self.graph, self.opened.path)
        data = ReportData(command, model, facts, description, known, outcomes, notes=tuple(notes))
        if not self.run.explain:
            return data
        return self._explained(data, base, *((candidate.session.graph, own) if candidate else ()))

    def _explained(
        self, data: ReportData, base: Trace, other: Graph | None = None, other_truth: Trace | None = None
    ) -> ReportData:
        from bittrue.diagnosis import ROOM
        from bittrue.report.explained import explained

        room = min(ROOM, self.run.budget)
        self.run.progress.phase("diagnosis", "explaining")
        try:
            return explained(data, self.graph, base, other=other, other_truth=other_truth, room=room)
        finally:
            self.run.progress.done("diagnosis")

    def _reference_options(self, reference: Target) -> TraceOptions:
        options = self.run.options(reference)
        return replace(options, save=str(self.run.save / "reference.safetensors")) if self.run.save else options

    def _truth(self, inputs: Inputs) -> Trace | None:
        from bittrue.graph.truth import evaluate

        self.run.progress.phase("float64", "evaluating exactly")
        try:
            found = evaluate(self.graph, inputs)
        finally:
            self.run.progress.done("float64")
        return found if found.of_kind("output") else None

    def _outcome(
        self, target: Target, inputs: Inputs, base: Trace, truth: Trace | None, *, models: bool
    ) -> TargetOutcome:
        from bittrue.comparison import LiveComparison, align_models, published_lines
        from bittrue.comparison import accuracy as from_truth
        from bittrue.comparison import compare as compare_traces
        from bittrue.report.data import TargetOutcome

        live = LiveComparison(base)
        options = replace(self.run.options(target), on_record=None if models else live.take)
        try:
            trace = self.trace(target, inputs, options)
        except TargetFailure as error:
            return TargetOutcome(str(target), failure=error, saved=_existing(options.save))
        comparison = compare_traces(base, trace, align_models(base, trace)) if models else live.finish(trace)
        accuracy = from_truth(truth, trace) if truth is not None else None
        published = published_lines(comparison) if self.published else None
        return TargetOutcome(
            str(target),
            trace.provenance,
            trace.checks,
            comparison,
            accuracy,
            published=published,
            saved=_existing(options.save),
            digest=trace.digest(),
            trace=trace,
        )


@dataclass(frozen=True)
class Candidate:
    """Another model than the reference, to be run on the targets, and what it is fed under its own inputs' names."""

    session: Session
    inputs: Inputs


def _existing(path: str | None) -> str | None:
    return path if path and Path(path).exists() else None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the folder {folder} cannot be made: {error.strerror or error}; name another with --save"
        ) from error
