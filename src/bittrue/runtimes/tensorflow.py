"""TensorFlow as a target, for models that are graphs of its nodes: SavedModels, graph-models, subclassed models."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from bittrue.errors import TargetUnavailable, UsageError
from bittrue.graph.model import Graph
from bittrue.graph.nodegraph import NodeGraph
from bittrue.traces import Check, Provenance

from .base import Inputs, Progress, TraceOptions
from .keras import KerasRuntime, Recorder
from .target import Target

__all__ = ["TensorFlowRuntime"]


class TensorFlowRuntime(KerasRuntime):
    """Runs ``nodes`` on ``tensorflow:cpu``, with TensorFlow's own kernels and none of its optimiser's rewritings.

    ``model_path`` is where a process of its own would read the model again, which a target with flags (environment
    variables) gets. Otherwise as `KerasRuntime`.
    """

    def __init__(
        self,
        target: Target,
        model_path: str | Path | None,
        graph: Graph,
        nodes: NodeGraph,
        *,
        progress: Progress | None = None,
        trust: bool = False,
        custom: Sequence[Any] = (),
    ) -> None:
        super().__init__(target, model_path, graph, live=nodes, progress=progress, trust=trust, custom=custom)
        self._nodes = nodes

    def __enter__(self) -> Self:
        """Raises TargetUnavailable where TensorFlow, or the version asked for, is not installed."""
        _check_installed(self.target)
        return self

    def _runs_here(self) -> bool:
        return not self.target.flags

    def _here(self, inputs: Inputs, options: TraceOptions, recorder: Recorder) -> tuple[Provenance, tuple[Check, ...]]:
        from .tensorflow_session import TensorFlowSession

        recorder.phase("loading")
        return TensorFlowSession(str(self.target), self._nodes, self._graph, inputs, options, recorder).run()

    def _elsewhere(
        self, inputs: Inputs, options: TraceOptions, recorder: Recorder
    ) -> tuple[Provenance, tuple[Check, ...]]:
        if self._path is None:
            raise UsageError(f"{self.target} needs a process of its own, and the model has no file; save or export it")
        return super()._elsewhere(inputs, options, recorder)


def _check_installed(target: Target) -> None:
    remedy = f"pip install tensorflow=={target.version}" if target.version else "pip install tensorflow"
    if "tensorflow" not in sys.modules and importlib.util.find_spec("tensorflow") is None:
        message = f"{target} needs the package tensorflow, which is not installed; run: {remedy}"
        raise TargetUnavailable(message, target=str(target), remedy=remedy)
    if target.version is None:
        return
    from bittrue.model.framework import import_tensorflow

    installed = import_tensorflow().__version__
    if installed != target.version:
        message = f"{target} asks for tensorflow {target.version} and {installed} is installed; run: {remedy}"
        raise TargetUnavailable(message, target=str(target), remedy=remedy)
