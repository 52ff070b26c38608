"""The fake that ships with the seam: a runtime that has its answer ready."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from bittrue.tracefile import TraceWriter
from bittrue.traces import Trace

from .base import Inputs, TraceOptions
from .target import Target

__all__ = ["FakeRuntime"]


class FakeRuntime:
    """Answers every `trace` with ``outcome``: a trace, or an exception to raise.

    ``asked`` keeps what it was asked for; ``entered`` says whether it is between start and end.
    """

    def __init__(self, target: Target, outcome: Trace | BaseException) -> None:
        self.target = target
        self.outcome = outcome
        self.asked: list[tuple[Inputs, TraceOptions]] = []
        self.entered = False

    def __enter__(self) -> FakeRuntime:
        self.entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.entered = False

    def trace(self, inputs: Inputs, options: TraceOptions = TraceOptions()) -> Trace:  # noqa: B008
        """The answer; handed on and written to ``options.save`` where that is wanted, as by a real runtime."""
        self.asked.append((inputs, options))
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        if options.on_record is not None:
            for record in self.outcome:
                options.on_record(record)
        if options.save is None:
            return self.outcome
        with TraceWriter(Path(options.save)) as writer:
            for record in self.outcome:
                writer.add(record)
            return writer.finish(self.outcome.provenance, self.outcome.checks, self.outcome.complete)
