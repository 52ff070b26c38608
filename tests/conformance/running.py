"""Cases on targets: many in one model, as branches that know nothing of each other, one by one where that fails."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tests.conformance.building import Built, build
from tests.conformance.cases import Case
from tests.conformance.judging import Bounded, bounded, gpu_axioms, judge, worst

from bittrue.conversion.tfjs import convert
from bittrue.errors import BittrueError, ModelError, Unsupported
from bittrue.graph.model import Graph
from bittrue.model import open_model
from bittrue.ops import Axioms
from bittrue.runtimes.base import TraceOptions
from bittrue.runtimes.host import Host
from bittrue.runtimes.target import Target
from bittrue.traces import Array

__all__ = ["TARGETS", "Outcome", "Prepared", "prepare", "run_all"]

TARGETS = (
    "node:cpu",
    "node:wasm",
    "chrome:webgl+WEBGL_CPU_FORWARD=false",
    "chrome:webgpu+WEBGPU_CPU_FORWARD=false",
)
"""Where every case runs. Small tensors would else be computed by the CPU and the wrong kernel be judged."""

_TOGETHER = 24


@dataclass
class Prepared:
    """A case as far as it comes without running.

    ``state``: ``ready``, ``refused`` (by the converter), ``illegal`` (Keras refuses it) or ``wrong`` (the float64
    evaluation is not what Keras computes).
    """

    case: Case
    state: str
    built: Built | None = None
    graph: Graph | None = None
    exact: list[Bounded] = field(default_factory=list)
    on_gpu: list[Bounded] = field(default_factory=list)
    form: str = ""
    reason: str = ""
    keras: str = ""


@dataclass(frozen=True)
class Outcome:
    """What one target made of one case. ``verdict`` as in `Judgement`, or ``failed``."""

    verdict: str
    worst: float = 0.0
    relative: float = 0.0
    note: str = ""


def prepare(case: Case, folder: Path) -> Prepared:
    """The case built, evaluated, checked against Keras, and converted by itself."""
    try:
        built = build(case)
        outputs = _keras_outputs(built)
    except Exception as error:  # whatever Keras raises, it refuses the case
        return Prepared(case, "illegal", reason=_sentence(error))
    try:
        graph = open_model(built.model).graph
        form, reason = _form(graph, folder)
    except (Unsupported, ModelError) as error:
        return Prepared(case, "refused", built, reason=_sentence(error).replace(case.key, "K"))
    try:
        exact, on_gpu = bounded(graph, built.inputs, Axioms()), bounded(graph, built.inputs, gpu_axioms())
    except (ModelError, Unsupported) as error:
        return Prepared(case, "wrong", built, graph, reason=f"converted, but not evaluated: {_sentence(error)}")
    ratio, relative = worst(exact, outputs)
    found = Prepared(case, "ready", built, graph, exact, on_gpu, form, reason, f"float32, {ratio:.2g} of the bound")
    if ratio > 1:
        found.state, found.reason = "wrong", f"Keras itself is {ratio:.3g} bounds away, {relative:.2g} of the size"
    return found


def _keras_outputs(built: Built) -> list[Array]:
    import keras

    return [np.asarray(item) for item in keras.tree.flatten(built.model(dict(built.inputs), training=False))]


def _form(graph: Graph, folder: Path) -> tuple[str, str]:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        artifact = convert(graph, Path(place) / "one")
        return artifact.format, artifact.reason or ""


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def run_all(
    prepared: Sequence[Prepared], targets: Sequence[str], host: Host, folder: Path
) -> Iterator[tuple[Prepared, Mapping[str, Outcome]]]:
    """Every case that is ready, with what each target made of it, batch after batch."""
    ready = [item for item in prepared if item.state == "ready"]
    for form in ("layers-model", "graph-model"):
        own = [item for item in ready if item.form == form]
        for start in range(0, len(own), _TOGETHER):
            batch = own[start : start + _TOGETHER]
            found = {target: _run(batch, form, target, host, folder) for target in targets}
            for item in batch:
                yield item, {target: found[target][item.case.key] for target in targets}


def _run(batch: Sequence[Prepared], form: Any, target: str, host: Host, folder: Path) -> dict[str, Outcome]:
    """What ``target`` makes of each case of ``batch``: together, else by halves until the one that fails is alone."""
    try:
        outputs = _predictions(batch, form, Target.parse(target), host, folder)
    except BittrueError as error:
        if len(batch) == 1:
            return {batch[0].case.key: Outcome("failed", note=_sentence(error))}
        half = len(batch) // 2
        return {
            **_run(batch[:half], form, target, host, folder),
            **_run(batch[half:], form, target, host, folder),
        }
    judged = {item.case.key: _judged(item, found, Target.parse(target).backend) for item, found in outputs}
    if len(batch) > 1:
        # On webgpu a kernel that the device refuses takes others of the same batch with it.
        for item in batch:
            if judged[item.case.key].verdict == "wrong":
                judged.update(_run([item], form, target, host, folder))
    return judged


def _judged(item: Prepared, outputs: Sequence[Array], backend: str) -> Outcome:
    assert item.graph is not None
    assert item.built is not None
    exact = item.on_gpu if backend.startswith("webg") else item.exact
    judgement = judge(item.graph, item.built.inputs, outputs, backend, exact)
    return Outcome(judgement.verdict, judgement.worst, judgement.relative, judgement.named)


def _predictions(
    batch: Sequence[Prepared], form: Any, target: Target, host: Host, folder: Path
) -> list[tuple[Prepared, list[Array]]]:
    """What the model of all branches returns, sorted to them."""
    import keras

    models = [item.built.model for item in batch if item.built is not None]
    inputs = {name: array for item in batch if item.built is not None for name, array in item.built.inputs.items()}
    whole = models[0]
    if len(models) > 1:
        whole = keras.Model(
            [x for model in models for x in model.inputs], [y for model in models for y in model.outputs]
        )
    graph = open_model(whole).graph
    with tempfile.TemporaryDirectory(dir=folder) as place:
        artifact = convert(graph, Path(place) / "model", form=form)
        with host.runtime(target, artifact, graph) as runtime:
            trace = runtime.trace(inputs, TraceOptions(layers=(), timeout=180.0))
    records = sorted(trace.of_kind("prediction"), key=lambda record: record.key.index)
    arrays = [np.array(record.load()) for record in records]
    found, at = [], 0
    for item, model in zip(batch, models, strict=True):
        found.append((item, arrays[at : at + len(model.outputs)]))
        at += len(model.outputs)
    return found
