"""The only module that joins the parts: models, conversion, runtimes, comparison and reports.

Each function here is an everyday command; the command line and the pytest plugin are edges over them.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bittrue.errors import TargetFailure, UsageError
from bittrue.runtimes.base import DEFAULT_BUDGET, Inputs, NullProgress, Progress, Runtime, TraceOptions
from bittrue.runtimes.target import Target, parse_targets

if TYPE_CHECKING:
    from bittrue.conversion.tfjs import Artifact
    from bittrue.graph.model import Graph
    from bittrue.model import OpenedModel
    from bittrue.report.data import ReportData, TargetOutcome
    from bittrue.runtimes.doctor import Findings
    from bittrue.traces import Trace

__all__ = ["CONTROL", "REFERENCE", "Run", "check", "compare", "convert", "demo", "doctor", "trace"]

REFERENCE = "keras:tensorflow"
"""What everything is compared with unless another target is named."""

_HDF5_LAYER = 16 * 2**10  # bytes that HDF5 takes for a layer besides its weights, and more than that

CONTROL = "keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0"
"""A second Python configuration: Python does not agree with itself either."""


@dataclass(frozen=True)
class Run:
    """How to run, the same for every command that runs a model.

    ``runs``, ``budget`` (bytes) and ``timeout`` (seconds) as in `TraceOptions`. ``tfjs`` is the TensorFlow.js
    version for targets that name none, None for the bundled one. ``save`` keeps traces and converted models in
    a folder. ``webdriver`` is the address of a remote WebDriver, ``port`` the port to listen on (0: any free one).
    ``trust`` lets a model execute code that it brings along.
    """

    runs: int = 1
    budget: int = DEFAULT_BUDGET
    timeout: float = 120.0
    tfjs: str | None = None
    save: Path | None = None
    webdriver: str | None = None
    port: int = 0
    trust: bool = False
    progress: Progress = field(default_factory=NullProgress)

    def options(self, target: Target | str) -> TraceOptions:
        """How to trace one target; its records go to a file of its own where ``save`` is set."""
        path = str(self.save / f"{file_name(str(target))}.safetensors") if self.save else None
        return TraceOptions(runs=self.runs, budget=self.budget, timeout=self.timeout, save=path)


def file_name(target: str) -> str:
    """A target as a file name that every system accepts: ``chrome-webgl``."""
    return re.sub(r"[^A-Za-z0-9_.@=-]+", "-", target)


def check(
    model: Any,
    inputs: str | Mapping[str, Any] | None = None,
    targets: Sequence[str] = (),
    *,
    against: str = REFERENCE,
    batch: int = 1,
    preprocessing: str | None = None,
    run: Run | None = None,
) -> ReportData:
    """Run ``model`` in Python and on every target, and compare them layer by layer.

    ``model`` is a path or a live Keras model; ``inputs`` as in `bittrue.inputs.load_inputs` (default: ones);
    ``targets`` are specifications, none for all that are found here. A target that fails is an outcome, not
    an exception; everything else that is wrong raises a `BittrueError`.
    """
    from bittrue.inputs import describe_inputs, load_inputs, parse_preprocessing
    from bittrue.model import open_model

    run = run or Run()
    wanted, python = _targets(targets, run), Target.parse(against)
    opened = open_model(model, trust=run.trust)
    prepared = parse_preprocessing(preprocessing) if preprocessing else None
    tensors = load_inputs(inputs, opened.graph, batch=batch, preprocessing=prepared)
    with _Session(opened, run) as session:
        data = session.report("check", tensors, describe_inputs(inputs), python, wanted)
    return replace(data, asked=bool(targets))


def demo(
    depth: int = 10,
    size: int = 50,
    targets: Sequence[str] = (),
    *,
    out: Path = Path("bittrue-demo"),
    run: Run | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> ReportData:
    """The experiment: build the model, save it, run it everywhere on ones, compare.

    ``out`` receives ``keras_model.h5``, ``keras_model.keras``, ``keras_converted/`` and the traces;
    ``say`` the progress in sentences, the model's summary included.
    """
    from bittrue.experiment import Experiment
    from bittrue.inputs import load_inputs
    from bittrue.model import open_model

    experiment = Experiment(depth, size)
    run = replace(run or Run(), save=(run.save if run else None) or out / "traces")
    wanted = _targets(targets, run, control=True)
    live = _build(experiment, out, say)
    opened = replace(open_model(live), path=out / "keras_model.keras")
    tensors = load_inputs("ones", opened.graph)
    with _Session(opened, run, artifacts=out, published=experiment.is_published) as session:
        artifact = session.artifact(run.tfjs)
        say(f"Converted to a TensorFlow.js layers-model for {artifact.version}: {artifact.folder}")
        data = session.report("demo", tensors, "ones", Target.parse(REFERENCE), wanted)
    return replace(data, asked=bool(targets))


def _build(experiment: Any, out: Path, say: Callable[[str], None]) -> Any:
    from bittrue.model.framework import import_keras

    import_keras()
    live = experiment.build()
    experiment.summary(live, say)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _check_room(live, out)
        for name in ("keras_model.h5", "keras_model.keras"):
            _save_whole(live, out / name)
            say(f"Saved {out / name}")
    except OSError as error:
        raise UsageError(
            f"the demo cannot write to {out}: {error.strerror or error}; give another folder with --out"
        ) from error
    return live


def _check_room(model: Any, folder: Path) -> None:
    """Raise OSError where the model would fill the disk, on which HDF5 brings the whole process down."""
    needed = 4 * model.count_params() + _HDF5_LAYER * (len(model.layers) + 4)
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _save_whole(model: Any, path: Path) -> None:
    """Save a Keras model under a name that no half-written file ever has."""
    from bittrue.model.framework import quiet

    partial = path.with_name(f".{secrets.token_hex(4)}-{path.name}")  # Keras tells formats by their ending
    try:
        with quiet():  # Keras advises against HDF5, which the document uses
            model.save(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def convert(
    model: Any, out: Path, *, tfjs: str | None = None, quantize: Sequence[str] = (), trust: bool = False
) -> Artifact:
    """Write ``model`` as a TensorFlow.js layers-model into the folder ``out``; refuses what cannot be faithful.

    ``quantize``: ``float16``, ``uint16`` or ``uint8``, each with ``:PATTERN`` of weight names where it is not for all;
    of several that fit a weight, the last.
    """
    from bittrue.conversion.tfjs import convert as write
    from bittrue.conversion.tfjs import parse_quantize
    from bittrue.model import open_model
    from bittrue.runtimes.tfjs import BUNDLED

    rules = [parse_quantize(text) for text in quantize]
    return write(open_model(model, trust=trust).graph, Path(out), version=tfjs or BUNDLED, quantize=rules)


def trace(
    model: Any,
    target: str,
    out: Path | None = None,
    inputs: str | Mapping[str, Any] | None = None,
    *,
    batch: int = 1,
    preprocessing: str | None = None,
    run: Run | None = None,
) -> Trace:
    """Run ``model`` on one target and return what every layer produced, saved to ``out`` if given."""
    from bittrue.inputs import load_inputs, parse_preprocessing
    from bittrue.model import open_model

    run = run or Run()
    wanted = Target.parse(target).at(run.tfjs)
    opened = open_model(model, trust=run.trust)
    prepared = parse_preprocessing(preprocessing) if preprocessing else None
    tensors = load_inputs(inputs, opened.graph, batch=batch, preprocessing=prepared)
    options = replace(run.options(wanted), save=str(out) if out else None)
    with _Session(opened, run) as session:
        return session.trace(wanted, tensors, options)


def compare(reference: Path, candidate: Path) -> ReportData:
    """Compare two saved runs: traces, or the document's JSON on either side."""
    from bittrue.comparison import compare as compare_traces
    from bittrue.report.data import ReferenceOutcome, ReportData, TargetOutcome
    from bittrue.tracefile import load

    left, right = load(reference), load(candidate)
    outcome = TargetOutcome(
        right.provenance.target,
        right.provenance,
        right.checks,
        compare_traces(left, right),
        saved=str(candidate),
        digest=right.digest(),
    )
    known = ReferenceOutcome(left.provenance, left.checks, None, digest=left.digest())
    return ReportData("compare", None, (), "as traced", known, (outcome,))


def doctor() -> Findings:
    """What is found on this machine, and what is missing with its remedy."""
    from bittrue.runtimes.doctor import examine

    return examine()


def _targets(specs: Sequence[str], run: Run, *, control: bool = False) -> list[Target]:
    """The targets asked for, or all that are found here."""
    if specs:
        return parse_targets(list(specs), run.tfjs)
    from bittrue.runtimes.discovery import default_targets

    found = [target.at(run.tfjs) for target in default_targets(webdriver=run.webdriver is not None)]
    return [*found, Target.parse(CONTROL)] if control else found


class _Session:
    """One model on many targets: what is started, converted or evaluated once is shared, and ended at the end."""

    def __init__(
        self, opened: OpenedModel, run: Run, *, artifacts: Path | None = None, published: bool = False
    ) -> None:
        self.opened = opened
        self.run = run
        self.published = published
        self._artifacts = artifacts
        self._written: dict[str, Artifact] = {}
        self._stack = ExitStack()

    def __enter__(self) -> _Session:
        if self.run.save:
            _make_folder(self.run.save)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    @property
    def graph(self) -> Graph:
        return self.opened.graph

    def artifact(self, version: str | None) -> Artifact:
        """The model converted for a version of TensorFlow.js, written once."""
        from bittrue.conversion.tfjs import convert as write
        from bittrue.runtimes.tfjs import BUNDLED

        version = version or BUNDLED
        if version not in self._written:
            self._written[version] = write(self.graph, self._folder(version), version=version)
        return self._written[version]

    def _folder(self, version: str) -> Path:
        from bittrue.runtimes.tfjs import BUNDLED

        name = "keras_converted" if version == BUNDLED else f"keras_converted-{version}"
        keep = self._artifacts or self.run.save
        if keep is None:
            keep = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bittrue-")))
        return keep / name

    def _host(self) -> Any:
        from bittrue.runtimes.host import Host

        if not hasattr(self, "_running"):
            host = Host(port=self.run.port, webdriver=self.run.webdriver, progress=self.run.progress)
            self._running = self._stack.enter_context(host)
        return self._running

    def runtime(self, target: Target) -> Runtime:
        """What runs the model on ``target``."""
        if target.is_keras:
            from bittrue.runtimes.keras import KerasRuntime

            live, run = self.opened.keras(), self.run
            return KerasRuntime(target, self.opened.path, self.graph, live=live, progress=run.progress, trust=run.trust)
        return self._host().runtime(target, self.artifact(target.version), self.graph)  # type: ignore[no-any-return]

    def trace(self, target: Target, inputs: Inputs, options: TraceOptions) -> Trace:
        try:
            with self.runtime(target) as runtime:
                return runtime.trace(inputs, options)
        finally:
            self.run.progress.done(str(target))

    def report(
        self, command: str, inputs: Inputs, description: str, reference: Target, targets: Sequence[Target]
    ) -> ReportData:
        """Trace the reference and every target, compare each with the reference and with the float64 answer."""
        from bittrue.comparison import accuracy as from_truth
        from bittrue.report.data import InputFacts, ReferenceOutcome, ReportData

        for version in dict.fromkeys(target.version for target in targets if not target.is_keras):
            self.artifact(version)  # a model that cannot be converted is refused before anything runs
        base = self.trace(reference, inputs, self._reference_options(reference))
        truth = self._truth(inputs)
        accuracy = from_truth(truth, base) if truth is not None else None
        no_truth = truth.provenance.details.get("no_truth", {}) if truth is not None else {}
        outcomes = tuple(self._outcome(target, inputs, base, truth) for target in targets)
        facts = tuple(InputFacts(name, array.shape, str(array.dtype)) for name, array in inputs.items())
        known = ReferenceOutcome(base.provenance, base.checks, accuracy, no_truth, base.digest())
        return ReportData(command, _model_facts(self.opened), facts, description, known, outcomes)

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

    def _outcome(self, target: Target, inputs: Inputs, base: Trace, truth: Trace | None) -> TargetOutcome:
        from bittrue.comparison import accuracy as from_truth
        from bittrue.comparison import compare as compare_traces
        from bittrue.comparison import published_lines
        from bittrue.report.data import TargetOutcome

        options = self.run.options(target)
        try:
            trace = self.trace(target, inputs, options)
        except TargetFailure as error:
            return TargetOutcome(str(target), failure=error, saved=_existing(options.save))
        comparison = compare_traces(base, trace)
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
        )


def _existing(path: str | None) -> str | None:
    return path if path and Path(path).exists() else None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the folder {folder} cannot be made: {error.strerror or error}; name another with --save"
        ) from error


def _model_facts(opened: OpenedModel) -> Any:
    from bittrue.report.data import ModelFacts

    layers = list(opened.graph.walk())
    counted = {id(weight.value): weight.value.size for _, layer in layers for weight in layer.weights}
    return ModelFacts(
        opened.graph.name,
        opened.graph.kind,
        str(opened.path) if opened.path else None,
        sum(counted.values()),
        {"/".join(path): layer.class_name for path, layer in layers},
    )
