"""The seam between the pipeline and whatever runs a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from bittrue.traces import Array, Record, Trace

from .target import Target

__all__ = ["DEFAULT_BUDGET", "Inputs", "NullProgress", "Progress", "Runtime", "TraceOptions"]

Inputs = Mapping[str, Array]
"""Input tensors by the model's input names; the first axis is the batch."""

DEFAULT_BUDGET = 512 * 2**20
"""Bytes that capturing may add to the memory of the prediction alone; what does not fit is captured in passes."""


class Progress(Protocol):
    """What a run says about itself while it goes on. Implementations must return quickly."""

    def phase(self, target: str, what: str) -> None:
        """``target`` is now doing ``what`` ("starting", "loading", "predicting", "capturing 1/3", …)."""

    def record(self, target: str, layer: str, nbytes: int, total: int | None) -> None:
        """``nbytes`` more bytes of ``layer`` have arrived; ``total`` bytes are expected in all, if known."""

    def done(self, target: str) -> None:
        """``target`` has finished or failed."""


class NullProgress:
    """Says nothing."""

    def phase(self, target: str, what: str) -> None: ...
    def record(self, target: str, layer: str, nbytes: int, total: int | None) -> None: ...
    def done(self, target: str) -> None: ...


@dataclass(frozen=True)
class TraceOptions:
    """How to trace.

    ``layers``: names of the layers to capture, None for all. ``runs``: how often to repeat the plain
    prediction in one visit; all must agree bit for bit, or a check says where they do not.
    ``budget``: bytes that capturing may add to the memory of the prediction alone: what does not fit is captured in
    several passes, and a budget that is too small for one tensor at a time is raised, which the check ``budget`` says.
    In a page it covers the tensors of the prediction too, as far as TensorFlow.js counts them. Keras on TensorFlow
    hands over each tensor as it is computed and needs no passes.
    ``timeout``: seconds of silence after which the target counts as hung; a Keras model in this process cannot be
    ended by it. ``save``: file the records are written to as they arrive (a run that dies leaves there
    what had arrived); None spools to a temporary file that ends with the trace. ``on_record`` is given records
    as soon as they are whole, by runtimes that have them in memory then (pages and Node, tensors of ordinary size);
    it is a chance to work on them while more arrive, and all of them are in the trace at the end. It is called in the
    thread that called ``trace``; what it raises ends the run. The tensor is the record's for the time of the call only.
    """

    layers: Iterable[str] | None = None
    runs: int = 1
    budget: int = DEFAULT_BUDGET
    timeout: float = 120.0
    save: str | None = None
    on_record: Callable[[Record], None] | None = None


class Runtime(AbstractContextManager["Runtime"], Protocol):
    """Runs one artifact on one target. Entering starts it, leaving ends everything it started."""

    target: Target

    def trace(self, inputs: Inputs, options: TraceOptions = ...) -> Trace:
        """Run the model on ``inputs`` and return what every layer produced.

        Raises a `TargetFailure` (with the partial trace saved, if ``options.save``).
        """
        ...
