"""Certificates: one model on several targets and many inputs, every bit of every layer hashed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bittrue.comparison.certificate import Certifier, InputSet
from bittrue.errors import UsageError
from bittrue.inputs import load_inputs
from bittrue.runtimes.target import Target

from .running import Run, Session

if TYPE_CHECKING:
    from bittrue.comparison.certificate import Certificate
    from bittrue.graph.model import Graph
    from bittrue.model import OpenedModel
    from bittrue.runtimes.base import Inputs
    from bittrue.traces import Trace

__all__ = ["BATCHES", "Certified", "certify_model"]

BATCHES = (1, 16, 7)
"""Sizes of the batches of random examples, in turn: kernels take other paths for one example and for odd sizes."""


@dataclass(frozen=True)
class Certified:
    """A certificate and what it is about: the model, its artifact's files with their SHA-256, and when (UTC)."""

    certificate: Certificate
    model: str
    kind: str
    parameters: int
    artifact: str | None
    files: Mapping[str, str]
    made: str

    @property
    def identical(self) -> bool:
        """Whether all targets produced the same tensors, and in each the same bits."""
        return self.certificate.identical

    @property
    def model_data(self) -> dict[str, Any]:
        """The model as plain JSON values."""
        about = {"name": self.model, "kind": self.kind, "parameters": self.parameters}
        return {**about, "artifact": self.artifact, "files": dict(self.files)}


def certify_model(
    opened: OpenedModel, targets: Sequence[Target], spec: str | Mapping[str, Any] | None, examples: int, run: Run
) -> Certified:
    """Run every layer of ``opened`` on all ``targets``, for each input set. Raises a `TargetFailure` if one fails."""
    if len(targets) < 2:
        raise UsageError("a certificate says that several targets agree: name two at least with --in")
    sets = list(_input_sets(opened.graph, spec, examples))
    certifier = Certifier([str(target) for target in targets])
    with ExitStack() as stack:
        session = stack.enter_context(Session(opened, run))
        runtimes = {str(target): stack.enter_context(session.runtime(target)) for target in targets}
        for name, tensors in sets:
            certifier.add(InputSet.of(name, tensors), _traces(runtimes, tensors, run))
        form, files = _artifacts(session, targets)
    graph = opened.graph
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return Certified(certifier.finish(), graph.name, graph.kind, _parameters(graph), form, files, made)


def _artifacts(session: Session, targets: Sequence[Target]) -> tuple[str | None, dict[str, str]]:
    """What was run, in words, and the SHA-256 of its files by name."""
    words: list[str] = []
    files: dict[str, str] = {}
    web = next((target for target in targets if not (target.is_keras or target.is_exact)), None)
    if web:
        artifact = session.artifact(web.version)
        words.append(f"{artifact.format} for TensorFlow.js {artifact.version}")
        files |= artifact.files
    if any(target.is_exact for target in targets):
        exact = session.exact_artifact()
        words.append(f"exact model for {exact.version}")
        files |= exact.files
    return " and ".join(words) or None, files


def _traces(runtimes: Mapping[str, Any], tensors: Inputs, run: Run) -> dict[str, Trace]:
    traces = {}
    for target, runtime in runtimes.items():
        options = replace(run.options(target), save=None)
        try:
            traces[target] = runtime.trace(tensors, options)
        finally:
            run.progress.done(target)
    return traces


def _input_sets(graph: Graph, spec: Any, examples: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tensors that the user gave, or ones and random examples in batches of several sizes."""
    if spec is not None:
        given = str(spec) if not isinstance(spec, Mapping) else "given as arrays"
        yield given, load_inputs(spec, graph)
        return
    yield "ones", load_inputs("ones", graph)
    done, seed = 1, 0
    while done < examples:
        batch = min(BATCHES[seed % len(BATCHES)], examples - done)
        seed += 1
        tensors = load_inputs(f"random:{seed}", graph, batch=batch)
        yield f"random:{seed}", tensors
        done += max(batch, 1)


def _parameters(graph: Graph) -> int:
    weights = {id(weight.value): weight.value.size for _, layer in graph.walk() for weight in layer.weights}
    return sum(weights.values())
