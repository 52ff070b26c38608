"""Many models traced in one process of Node, layer by layer: what the runtime does, without starting it each time."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from bittrue.conversion.tfjs import Artifact
from bittrue.errors import TargetFailure
from bittrue.graph.model import Graph
from bittrue.runtimes.base import Inputs, NullProgress, TraceOptions
from bittrue.runtimes.node import NodeLink, NodeRuntime
from bittrue.runtimes.session import run_session
from bittrue.runtimes.target import Target
from bittrue.traces import Trace

__all__ = ["OneNode"]

_SCRIPT = Path(__file__).with_name("many-sessions.mjs")


class OneNode:
    """Node on one ``backend``, started when first needed, and anew after a failure. A context manager."""

    def __init__(self, backend: str) -> None:
        self.target = Target.parse(f"node:{backend}")
        self._link: NodeLink | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def trace(self, artifact: Artifact, graph: Graph, inputs: Inputs) -> Trace:
        """What every layer produced. Raises a TargetFailure where TensorFlow.js cannot run it."""
        options = TraceOptions(timeout=60)
        with NodeRuntime(self.target, artifact, graph) as runtime:
            job = runtime.job(options)
            if self._link is None:
                self._link = NodeLink([*runtime.command()[:-1], str(_SCRIPT)])
        try:
            return run_session(self._link, job, graph, inputs, options, NullProgress(), {})
        except TargetFailure:
            self.close()
            raise

    def close(self) -> None:
        """End the process."""
        if self._link is not None:
            self._link.close()
            self._link = None
