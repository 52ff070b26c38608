"""One architecture through the whole campaign, in a process of its own: ``python -m tests.applications.one JSON``."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.applications.architectures import Architecture, build, given
from tests.conversion.own_errors import OwnError, axioms_of, own_errors

from bittrue.conversion.tfjs import Artifact, convert
from bittrue.errors import BittrueError
from bittrue.graph.model import Graph
from bittrue.model import open_model
from bittrue.runtimes.base import TraceOptions
from bittrue.runtimes.host import Host
from bittrue.runtimes.target import Target

__all__ = ["Outcome", "examine"]

PATIENCE = 900.0  # seconds of silence


@dataclass(frozen=True)
class Outcome:
    """What a backend made of the model. ``worst``: own error over bound, at ``layer``; ``error`` if it did not run."""

    seconds: float
    worst: float | None = None
    layer: str = ""
    outside: int = 0
    looseness: float = 0.0
    failed: tuple[str, ...] = ()
    error: str | None = None

    @property
    def within(self) -> bool:
        """Whether every layer is within rounding, and the run's own checks passed."""
        return self.error is None and not self.outside and not self.failed


@dataclass
class Result:
    """One row of the page."""

    architecture: Mapping[str, Any]
    form: str | None = None
    reason: str | None = None
    layers: int = 0
    conversion: float = 0.0
    refusal: str | None = None
    outcomes: dict[str, Any] = field(default_factory=dict)


def examine(architecture: Architecture, targets: list[str]) -> Result:
    """Convert the architecture, run it on ``targets``, and hold every layer against float64."""
    result = Result(asdict(architecture))
    model = build(architecture)
    graph = open_model(model).graph
    inputs = given(model, graph, architecture.family)
    with tempfile.TemporaryDirectory(prefix="applications-") as folder, Host() as host:
        begun = time.monotonic()
        try:
            artifact = convert(graph, Path(folder) / "artifact")
        except BittrueError as error:
            result.refusal = str(error)
            return result
        result.conversion = round(time.monotonic() - begun, 1)
        result.form, result.reason, result.layers = artifact.format, artifact.reason, len(graph.calls())
        for target in targets:
            result.outcomes[target] = asdict(_outcome(host, target, artifact, graph, inputs))
    return result


def _outcome(host: Host, target: str, artifact: Artifact, graph: Graph, inputs: dict[str, Any]) -> Outcome:
    begun = time.monotonic()
    try:
        with host.runtime(Target.parse(target), artifact, graph) as runtime:
            trace = runtime.trace(inputs, TraceOptions(timeout=PATIENCE))
            seconds = time.monotonic() - begun
            errors = own_errors(graph, trace, axioms_of(Target.parse(target).backend))
    except BittrueError as error:
        return Outcome(round(time.monotonic() - begun, 1), error=str(error))
    failed = tuple(f"{check.name}: {check.detail}" for check in trace.checks if check.passed is False)
    return _summary(errors, seconds, failed)


def _summary(errors: list[OwnError], seconds: float, failed: tuple[str, ...]) -> Outcome:
    worst = max(errors, key=lambda error: error.ratio)
    outside = [error for error in errors if not error.ratio <= 1]
    kinds = Counter(error.class_name for error in outside)
    named = f"{worst.key.layer} ({worst.class_name})" + (f"; outside: {dict(kinds)}" if outside else "")
    looseness = max(error.looseness for error in errors)
    return Outcome(round(seconds, 1), worst.ratio, named, len(outside), looseness, failed)


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(asdict(examine(Architecture(**asked["architecture"]), asked["targets"]))))
