"""One case: a clean run and a spoilt run of one model on one backend, and what the diagnosis says of both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os.path import relpath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bittrue.conversion.tfjs.artifact import Artifact
from bittrue.diagnosis import Diagnosis, diagnose
from bittrue.graph.model import Graph
from bittrue.runtimes.base import TraceOptions
from bittrue.runtimes.target import Target
from bittrue.traces import Key, Trace

from .kinds import KINDS
from .models import build, inputs_for
from .plan import Plan

__all__ = ["Case", "Model", "opened", "run_case"]

Array = NDArray[Any]
TOLERANCES = {"1e-3": (1e-3, 0.0), "1e-5": (1e-5, 0.0), "Polygraphy": (1e-5, 1e-5)}
"""Absolute and relative tolerance of what people use instead."""


@dataclass(frozen=True)
class Case:
    """``kinds`` of faults, in one run of the model of ``family`` and ``seed`` on ``target``."""

    kinds: tuple[str, ...]
    family: str
    seed: int
    target: str

    @property
    def key(self) -> str:
        return f"{'+'.join(self.kinds)} | {self.family} | {self.seed} | {self.target}"


@dataclass(frozen=True)
class Model:
    """A model of one family and seed, converted, with the reference's run on clean inputs."""

    graph: Graph
    artifact: Artifact
    inputs: dict[str, Array]
    reference: Trace


@contextmanager
def opened(family: str, seed: int, folder: Path) -> Iterator[Model]:
    """The model, converted into ``folder`` and run by Keras."""
    from bittrue.pipeline import convert, trace

    made = build(family, seed)
    path = folder / "model.keras"
    made.save(path)
    artifact = convert(path, folder / "clean", form="layers-model")
    inputs = inputs_for(made, seed)
    from bittrue.model import open_model

    yield Model(open_model(path).graph, artifact, inputs, trace(path, "keras:tensorflow", inputs=inputs))


def run_case(case: Case, model: Model, folder: Path) -> dict[str, Any] | None:
    """The row of one case; None where the model has no place for one of the faults."""
    draw = np.random.default_rng([case.seed, *case.key.encode()])
    plan = Plan.of(model.artifact, folder, model.inputs)
    for kind in case.kinds:
        at = KINDS[kind].plant(plan, draw)
        if at is None:
            return None
        plan.taken.append(at)
    script = plan.script()
    clean = traced(model.artifact, model.graph, case.target, model.inputs)
    spoilt = traced(plan.written(), model.graph, case.target, plan.inputs, script)
    if not plan.inputs_differ(model.inputs) and clean.digest() == spoilt.digest():
        return None  # nothing came of it, as where a slope meets no negative number
    row: dict[str, Any] = {"case": case.key, "kinds": case.kinds, "where": [KINDS[k].where for k in case.kinds]}
    row |= {"family": case.family, "target": case.target, "layers": list(plan.taken)}
    row["causes"] = [sorted(KINDS[kind].causes) for kind in case.kinds]
    row["clean"] = judged(model.reference, clean, model.graph)
    row["spoilt"] = judged(model.reference, spoilt, model.graph)
    row["beyond"] = [beyond(model.graph, clean, spoilt, at) for at in plan.taken]
    return row


def traced(artifact: Artifact, graph: Graph, spec: str, inputs: dict[str, Array], script: str | None = None) -> Trace:
    """One run; ``script``, a file in the artifact's folder, is loaded after TensorFlow.js."""
    target = Target.parse(spec)
    if target.engine == "node":
        return _by_node(artifact, graph, target, inputs, script)
    return _by_browser(artifact, graph, target, inputs, script)


def _by_node(artifact: Artifact, graph: Graph, target: Target, inputs: dict[str, Array], script: str | None) -> Trace:
    from bittrue.runtimes.job import Job
    from bittrue.runtimes.node import NodeRuntime

    class Spoilt(NodeRuntime):
        def job(self, options: TraceOptions) -> Job:
            job = super().job(options)
            if script is None:
                return job
            return replace(job, scripts=(*job.scripts, relpath(artifact.folder.resolve() / script, job.runtime_base)))

    with Spoilt(target, artifact, graph) as runtime:
        return runtime.trace(inputs)


_HOSTS: list[Any] = []


def _by_browser(
    artifact: Artifact, graph: Graph, target: Target, inputs: dict[str, Array], script: str | None
) -> Trace:
    from bittrue.runtimes.host import Host

    if not _HOSTS:
        _HOSTS.append(Host().__enter__())
    host = _HOSTS[0]
    with host.runtime(target, artifact, graph) as runtime:
        if script is not None:
            made = runtime._job

            def job(options: TraceOptions) -> Any:
                found = made(options)
                base = host.server.mount(f"faults/{artifact.folder.name}", artifact.folder, [script])
                return replace(found, scripts=(*found.scripts, base + script))

            runtime._job = job
        return runtime.trace(inputs)  # type: ignore[no-any-return]


def judged(reference: Trace, candidate: Trace, graph: Graph) -> dict[str, Any]:
    """What the diagnosis says, in how many seconds, and what tolerances would have said."""
    start = time.perf_counter()
    found = diagnose(reference, candidate, graph)
    seconds = time.perf_counter() - start
    return {
        "verdict": str(found.verdict),
        "faults": [_fault(found, at) for at in range(len(found.faults))],
        "seconds": seconds,
        "tolerances": {name: first_over(reference, candidate, *limits) for name, limits in TOLERANCES.items()},
        "layers": len(found.entries),
        "values": sum(out.own.size + out.reference.size for entry in found.entries for out in entry.outputs),
    }


def _fault(found: Diagnosis, at: int) -> dict[str, Any]:
    fault = found.faults[at]
    causes = [{"cause": cause.cause, "proven": cause.proven, "words": cause.sentence} for cause in fault.causes]
    return {"layer": fault.name, "verdict": str(fault.verdict), "side": fault.side, "causes": causes}


def first_over(reference: Trace, candidate: Trace, absolute: float, relative: float) -> str | None:
    """The first layer with a value over the tolerance."""
    for record in reference.of_kind("output"):
        other = candidate.records.get(record.key)
        if other is None:
            continue
        a, b = record.load().astype(np.float64), other.load().astype(np.float64)
        if a.shape != b.shape or not np.all(np.abs(b - a) <= absolute + relative * np.abs(a)):
            return record.key.layer
    return None


def beyond(graph: Graph, clean: Trace, spoilt: Trace, layer: str) -> bool:
    """Whether the fault moved a value by more than twice the bound: then it must be found.

    Both runs are the same bits up to the fault, and the clean one lies within the bound. Where another fault comes
    before this one, the spoilt run is held against float64 instead.
    """
    from bittrue.diagnosis.axioms import arithmetic_of
    from bittrue.diagnosis.wiring import load, wire
    from bittrue.graph.evaluate import layer_bound

    if Key("input", layer) in spoilt.records:
        return True
    for wired in wire(graph):
        if wired.call.name != layer:
            continue
        key = wired.key
        y, z = clean[key].load(), spoilt[key].load()
        if y.shape != z.shape:
            return True
        inputs = [load(source, spoilt) for source in wired.operands]
        same = all(np.array_equal(load(s, clean), x) for x, s in zip(inputs, wired.operands, strict=True))
        axioms = arithmetic_of(clean.provenance).axioms
        value, bound = layer_bound(wired.call.layer, inputs, axioms, wired.call.nodes[-1])[0]
        return bool(np.any(~(np.abs(z.astype(np.float64) - (y if same else value)) <= (2 if same else 1) * bound)))
    raise ValueError(f"the model has no layer {layer!r}")
