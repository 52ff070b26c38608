"""The only module that joins the parts: models, conversion, runtimes, comparison and reports.

Each function here is an everyday command; the command line and the pytest plugin are edges over them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bittrue.errors import TargetError, TargetUnavailable, Unsupported
from bittrue.runtimes.target import Target, parse_targets

from .converting import as_nodes, convert, export, lint
from .pairing import alignment_notes, fed_to, weight_notes
from .running import Candidate, Run, file_name
from .running import Session as _Session

if TYPE_CHECKING:
    from bittrue.certifying import Certified
    from bittrue.model import OpenedModel
    from bittrue.report.data import ReportData
    from bittrue.report.many import ManyExamples
    from bittrue.runtimes.doctor import Findings
    from bittrue.runtimes.twin import Twin
    from bittrue.traces import Trace

__all__ = [
    "CONTROL",
    "REFERENCE",
    "Run",
    "certify",
    "check",
    "check_examples",
    "check_models",
    "compare",
    "convert",
    "demo",
    "doctor",
    "explain",
    "export",
    "file_name",
    "lint",
    "report",
    "trace",
    "twin",
]

REFERENCE = "keras:tensorflow"
"""What everything is compared with unless another target is named; ``tensorflow:cpu`` for what is no Keras model."""

CONTROL = "keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0"
"""A second Python configuration: Python does not agree with itself either."""


def check(
    model: Any,
    inputs: str | Mapping[str, Any] | None = None,
    targets: Sequence[str] = (),
    *,
    against: str | None = None,
    batch: int = 1,
    preprocessing: str | None = None,
    run: Run | None = None,
) -> ReportData:
    """Run ``model`` in Python and on every target, and compare them layer by layer.

    ``model`` is a path or a live Keras model; ``inputs`` as in `bittrue.inputs.load_inputs` (default: ones);
    ``targets`` are specifications, none for all that are found here. A target that fails is an outcome, not
    an exception; everything else that is wrong raises a `BittrueError`. ``against`` is what to compare with:
    `REFERENCE` for a Keras model, ``tensorflow:cpu`` for a SavedModel or a graph-model, unless it is named.
    """
    from bittrue.inputs import describe_inputs, load_inputs, parse_preprocessing
    from bittrue.model import open_model

    run = run or Run()
    named = Target.parse(against) if against else None
    wanted = _targets(targets, run)
    opened = open_model(model, trust=run.trust, custom=run.custom)
    python = named or _reference(opened)
    prepared = parse_preprocessing(preprocessing) if preprocessing else None
    tensors = load_inputs(inputs, opened.graph, batch=batch, preprocessing=prepared)
    try:
        with _Session(opened, run) as session:
            data = session.report("check", tensors, describe_inputs(inputs), python, wanted)
    except Unsupported as refusal:
        nodes = as_nodes(opened)
        if nodes is None:
            raise
        with _Session(nodes, run) as session:
            fed = load_inputs(fed_to(nodes.graph, tensors), nodes.graph)
            data = session.report("check", fed, describe_inputs(inputs), named or _reference(nodes), wanted)
        data = replace(data, notes=(*data.notes, f"compared as the nodes that TensorFlow makes of it, since {refusal}"))
    return replace(data, asked=bool(targets))


def check_examples(
    model: Any,
    inputs: str | Mapping[str, Any] | None,
    targets: Sequence[str] = (),
    *,
    batch_size: int,
    candidate: Any = None,
    count: int = 1,
    against: str | None = None,
    preprocessing: str | None = None,
    run: Run | None = None,
    closer: bool = False,
) -> tuple[ManyExamples, ReportData | None]:
    """`check` for many examples, ``batch_size`` at a time; what is in memory does not grow with their number.

    ``inputs`` as in `bittrue.inputs.examples.open_examples`, ``count`` of them where they are made up. Where
    ``run.save`` is set, a run that was interrupted goes on behind the last batch. With ``closer`` the batch with the
    most serious verdict is run once more, and its result returned as well. With a ``candidate`` two models are
    compared, as in `check_models`.
    """
    from bittrue.inputs import describe_inputs, parse_preprocessing
    from bittrue.inputs.examples import open_examples
    from bittrue.model import open_model

    from .streaming import Places, check_batches, closer_look

    run = run or Run()
    named = Target.parse(against) if against else None
    asked = _targets(targets, run) if targets or candidate is None else []
    opened = open_model(model, trust=run.trust, custom=run.custom)
    other = open_model(candidate, trust=run.trust, custom=run.custom) if candidate is not None else None
    wanted = asked or [named or _reference(other or opened)]
    prepared = parse_preprocessing(preprocessing) if preprocessing else None
    read = partial(open_examples, inputs, opened.graph, count=count, preprocessing=prepared)
    places = Places(opened, describe_inputs(inputs), batch_size, named or _reference(opened), wanted, run, other)
    found = check_batches(places, read)
    return found, closer_look(places, read, found) if closer else None


def check_models(
    reference: Any,
    candidate: Any,
    inputs: str | Mapping[str, Any] | None = None,
    targets: Sequence[str] = (),
    *,
    against: str | None = None,
    batch: int = 1,
    preprocessing: str | None = None,
    run: Run | None = None,
) -> ReportData:
    """Run two models that exist already on the same inputs, and compare them layer by layer.

    Each is what `check` takes. ``reference`` runs on ``against``, ``candidate`` on every target, a TensorFlow.js
    model as it is; with no targets both run on ``against``, so that nothing but the models differs. ``inputs`` go by
    the reference's names, and to the candidate by name or else by order and shape. Layers are aligned as
    `bittrue.comparison.align_models` does, and how is in the notes.
    """
    from bittrue.inputs import describe_inputs, load_inputs, parse_preprocessing
    from bittrue.model import open_model

    run = run or Run()
    named = Target.parse(against).at(run.tfjs) if against else None
    asked = _targets(targets, run) if targets else []
    left, right = (open_model(one, trust=run.trust, custom=run.custom) for one in (reference, candidate))
    python = named or _reference(left)
    wanted = asked or [named or _reference(right)]
    prepared = parse_preprocessing(preprocessing) if preprocessing else None
    tensors = load_inputs(inputs, left.graph, batch=batch, preprocessing=prepared)
    fed = load_inputs(fed_to(right.graph, tensors), right.graph)
    beside = run.save / "candidate" if run.save else None
    with _Session(left, run) as session, _Session(right, run, artifacts=beside) as other:
        data = session.report("check", tensors, describe_inputs(inputs), python, wanted, Candidate(other, fed))
    aligned = alignment_notes(data, str(left.path), str(right.path))
    return replace(
        data, notes=(*data.notes, *aligned, *weight_notes(left.graph, right.graph)), candidate=str(right.path)
    )


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
    ``say`` the progress in sentences, the model's summary included. Raises UsageError while another demo runs in it.
    """
    from bittrue.experiment import Experiment, alone_in, build_and_save
    from bittrue.inputs import load_inputs
    from bittrue.model import open_model

    experiment = Experiment(depth, size)
    run = replace(run or Run(), save=(run.save if run else None) or out / "traces")
    wanted = _targets(targets, run, control=True)
    with alone_in(out):
        live = build_and_save(experiment, out, say)
        opened = replace(open_model(live), path=out / "keras_model.keras")
        tensors = load_inputs("ones", opened.graph)
        with _Session(opened, run, artifacts=out, published=experiment.is_published) as session:
            artifact = session.artifact(run.tfjs)
            say(f"Converted to a TensorFlow.js layers-model for {artifact.version}: {artifact.folder}")
            data = session.report("demo", tensors, "ones", Target.parse(REFERENCE), wanted)
            proof = session.exact_proof(_exact_targets(wanted if targets else [], run), tensors, data.reference.trace)
    return replace(data, asked=bool(targets), exact=proof)


def _exact_targets(named: Sequence[Target], run: Run) -> list[Target]:
    """Where the exact model is run: in Python and in the engines that were named, or in all that are found."""
    from bittrue.runtimes.discovery import exact_targets

    found = exact_targets(webdriver=run.webdriver is not None)
    engines = {target.engine for target in named}
    return [target for target in found if not engines or target.engine in engines or target.engine == "python"]


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
    opened = open_model(model, trust=run.trust, custom=run.custom)
    prepared = parse_preprocessing(preprocessing) if preprocessing else None
    tensors = load_inputs(inputs, opened.graph, batch=batch, preprocessing=prepared)
    options = replace(run.options(wanted), save=str(out) if out else None)
    with _Session(opened, run) as session:
        return session.trace(wanted, tensors, options)


def twin(
    model: Any, *, backend: str = "wasm", tfjs: str | None = None, timeout: float = 120.0, trust: bool = False
) -> Twin:
    """``model`` as a Python callable whose bits equal what browsers compute on ``backend`` (``wasm`` or ``cpu``).

    ``model`` is what `check` takes; one that TensorFlow.js has not been given yet is converted first, for the version
    ``tfjs``. The twin keeps a Node process until it is closed: use it as a context manager, and see
    `bittrue.runtimes.twin.Twin` for what it takes and returns. Raises UsageError for ``webgl`` and ``webgpu``, whose
    bits belong to a graphics processor.
    """
    from bittrue.model import open_model
    from bittrue.runtimes.twin import Twin

    engine = "chrome" if backend in ("webgl", "webgpu") else "node"
    target = Target.parse(f"{engine}:{backend}").at(tfjs)
    opened = open_model(model, trust=trust)
    with ExitStack() as stack:
        session = stack.enter_context(_Session(opened, Run(tfjs=tfjs)))
        artifact = session.artifact(target.version)
        return Twin(target, artifact, opened.graph, timeout=timeout, owns=stack.pop_all())


def certify(
    model: Any,
    targets: Sequence[str],
    *,
    inputs: str | Mapping[str, Any] | None = None,
    examples: int = 32,
    run: Run | None = None,
) -> Certified:
    """Whether ``model`` gives the same bits on all ``targets``: every layer, every weight, many inputs.

    ``inputs`` as in `check`; None for ones and ``examples`` random examples in batches of several sizes. Raises
    UsageError for fewer than two targets and a `TargetFailure` if one of them fails.
    """
    from bittrue.certifying import certify_model
    from bittrue.model import open_model

    run = run or Run()
    named = parse_targets(list(targets), run.tfjs)
    return certify_model(open_model(model, trust=run.trust, custom=run.custom), named, inputs, examples, run)


def compare(reference: Path, candidate: Path, *, image: Path | None = None) -> ReportData:
    """Compare two saved runs: traces, recordings of a page, the document's JSON, or a .npz of inputs on either side.

    Inputs that differ are explained in the notes: by the order of channels and axes, by scale and offset, and, where
    the ``image`` that both began with is given, by the convention of its resize.
    """
    from bittrue.comparison import compare as compare_traces
    from bittrue.diagnosis.inputs import input_sentences
    from bittrue.inputs import Preprocessing
    from bittrue.inputs.images import read_images
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
    picture = read_images([image], Preprocessing()) if image else None
    notes = input_sentences(left, right, picture)
    return ReportData("compare", None, (), "as traced", known, (outcome,), notes=notes)


def report(saved: Path) -> ReportData:
    """The report of the runs that `check` or `demo` saved in the folder ``saved``, from its files alone.

    Raises UsageError where there is nothing to compare, TraceError for damaged files.
    """
    from bittrue.report.saved import report_of

    return report_of(Path(saved))


def explain(
    path: Path, layer: str, *, against: Path | None = None, model: Any = None, trust: bool = False
) -> list[Mapping[str, Any]]:
    """The evidence of one layer, from files alone: as `bittrue.report.one_layer.evidence_of`.

    ``model`` is opened for its graph, where none was saved beside the trace. Nothing is run.
    """
    from bittrue.report.one_layer import evidence_of

    graph = None
    if model is not None:
        from bittrue.model import open_model

        graph = open_model(model, trust=trust).graph
    return evidence_of(Path(path), layer, against=against, graph=graph)


def doctor() -> Findings:
    """What is found on this machine, and what is missing with its remedy."""
    from bittrue.runtimes.doctor import examine

    return examine()


def _reference(opened: OpenedModel) -> Target:
    """Where a model is run to be compared with, if nobody says otherwise: by the framework that it is made for."""
    return Target.parse("tensorflow:cpu" if opened.nodes is not None else REFERENCE)


def _targets(specs: Sequence[str], run: Run, *, control: bool = False) -> list[Target]:
    """The targets asked for, or all that are found here. Never none: comparing nothing would pass for success."""
    if specs:
        named = parse_targets(list(specs), run.tfjs)
        if not named:
            raise TargetError("no target is named; name one such as chrome:webgl, or none for all", spec=specs[0])
        return named
    from bittrue.runtimes.discovery import default_targets

    found = [target.at(run.tfjs) for target in default_targets(webdriver=run.webdriver is not None)]
    if not found:
        remedy = "install one ('bittrue doctor' says how), or name a target with --in"
        raise TargetUnavailable(f"no browser and no Node is found on this machine: {remedy}", remedy=remedy)
    return [*found, Target.parse(CONTROL)] if control else found
