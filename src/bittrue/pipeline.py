"""The only module that joins the parts: models, conversion, runtimes, comparison and reports.

Each function here is an everyday command; the command line and the pytest plugin are edges over them.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bittrue.errors import TargetError, TargetUnavailable, UsageError
from bittrue.runtimes.target import Target, parse_targets

from .pairing import alignment_notes, fed_to
from .running import Candidate, Run, file_name
from .running import Session as _Session

if TYPE_CHECKING:
    from bittrue.certifying import Certified
    from bittrue.conversion.tfjs import Artifact, Form
    from bittrue.conversion.tfjs.lint import Lint
    from bittrue.report.data import ReportData
    from bittrue.runtimes.doctor import Findings
    from bittrue.runtimes.twin import Twin
    from bittrue.traces import Trace

__all__ = [
    "CONTROL",
    "REFERENCE",
    "Run",
    "certify",
    "check",
    "check_models",
    "compare",
    "convert",
    "demo",
    "doctor",
    "file_name",
    "lint",
    "trace",
    "twin",
]

REFERENCE = "keras:tensorflow"
"""What everything is compared with unless another target is named."""

_HDF5_LAYER = 16 * 2**10  # bytes that HDF5 takes for a layer besides its weights, and more than that

CONTROL = "keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0"
"""A second Python configuration: Python does not agree with itself either."""


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


def check_models(
    reference: Any,
    candidate: Any,
    inputs: str | Mapping[str, Any] | None = None,
    targets: Sequence[str] = (),
    *,
    against: str = REFERENCE,
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
    python = Target.parse(against).at(run.tfjs)
    wanted = _targets(targets, run) if targets else [python]
    left, right = open_model(reference, trust=run.trust), open_model(candidate, trust=run.trust)
    prepared = parse_preprocessing(preprocessing) if preprocessing else None
    tensors = load_inputs(inputs, left.graph, batch=batch, preprocessing=prepared)
    fed = load_inputs(fed_to(right.graph, tensors), right.graph)
    beside = run.save / "candidate" if run.save else None
    with _Session(left, run) as session, _Session(right, run, artifacts=beside) as other:
        data = session.report("check", tensors, describe_inputs(inputs), python, wanted, Candidate(other, fed))
    return replace(data, notes=(*data.notes, *alignment_notes(data, str(left.path), str(right.path))))


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
    model: Any,
    out: Path,
    *,
    tfjs: str | None = None,
    form: Form = "auto",
    quantize: Sequence[str] = (),
    trust: bool = False,
) -> Artifact:
    """Write ``model`` for TensorFlow.js into the folder ``out``; refuses what cannot be faithful.

    ``form``: ``layers-model`` or ``graph-model``; ``auto`` is the first where every layer can be expressed in it, and
    the artifact's ``reason`` says which layer decided otherwise.
    ``quantize``: ``float16``, ``uint16`` or ``uint8``, each with ``:PATTERN`` of weight names where it is not for all;
    of several that fit a weight, the last.
    """
    from bittrue.conversion.tfjs import convert as write
    from bittrue.conversion.tfjs import parse_quantize
    from bittrue.model import open_model
    from bittrue.runtimes.tfjs import BUNDLED

    rules = [parse_quantize(text) for text in quantize]
    graph = open_model(model, trust=trust).graph
    return write(graph, Path(out), version=tfjs or BUNDLED, form=form, quantize=rules)


def lint(model: Any, *, tfjs: str | None = None, trust: bool = False) -> Lint:
    """What TensorFlow.js would reject or silently compute differently, and what `convert` does about it."""
    from bittrue.conversion.tfjs.lint import lint as examine_model
    from bittrue.model import open_model
    from bittrue.runtimes.tfjs import BUNDLED

    return examine_model(open_model(model, trust=trust).graph, version=tfjs or BUNDLED)


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
    return certify_model(open_model(model, trust=run.trust), named, inputs, examples, run)


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
