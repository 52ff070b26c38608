"""One visit: send the inputs and the job, take what comes back, and lose nothing if it ends early."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bittrue.errors import BittrueError, ProtocolError, TargetDied, TargetFailure, TraceError
from bittrue.graph.model import Graph
from bittrue.tracefile import TraceWriter
from bittrue.traces import Trace

from . import wire
from .base import Inputs, Progress, TraceOptions
from .collect import Collector
from .inbox import LinkClosedError, SilenceError
from .job import Job
from .link import Link

__all__ = ["run_session"]


def run_session(
    link: Link,
    job: Job,
    graph: Graph,
    inputs: Inputs,
    options: TraceOptions,
    progress: Progress,
    facts: Mapping[str, Any],
) -> Trace:
    """Run ``job`` with ``inputs`` over ``link`` and return the trace.

    Raises a `TargetFailure` when the agent fails, dies, falls silent or breaks the protocol, and TraceError
    when the trace cannot be written. Where ``options.save`` is set, whatever had arrived whole is in it then.
    """
    path = Path(options.save) if options.save else None
    with TraceWriter(path) as writer:
        collector = Collector(job.target, graph, writer, progress, facts, options.on_record)
        try:
            _converse(link, job, inputs, collector, options.timeout)
            return writer.finish(collector.provenance, collector.checks)
        except TraceError:
            raise  # the disk is full, or the file gone: the writer has removed what it wrote
        except BaseException as error:
            kept = _salvage(writer, collector, path)
            if kept and isinstance(error, BittrueError):
                error.args = (f"{error}; what had arrived is in {path}",)
            raise


def _converse(link: Link, job: Job, inputs: Inputs, collector: Collector, timeout: float) -> None:
    target = str(job.target)
    try:
        for name in job.inputs:
            for frame in wire.input_frames(name, inputs[name]):
                link.send(frame, timeout)
        link.send(wire.encode(job.header()), timeout)
        while not collector.finished:
            collector.take(wire.parse(link.receive(timeout)))
    except LinkClosedError as error:
        advice = "run it again, or lower the budget if memory was short"
        raise TargetDied(
            f"{target} died {collector.where()}: {error}; {advice}", target=target, after=collector.last
        ) from error
    except SilenceError as error:
        raise TargetDied(_silent(link, collector, target, timeout), target=target, after=collector.last) from error
    except TargetFailure as error:
        error.target = error.target or target
        if isinstance(error, ProtocolError) and target not in str(error):
            error.args = (f"{target}: {error}",)
        raise


def _silent(link: Link, collector: Collector, target: str, timeout: float) -> str:
    answers = {
        True: "the browser still answers but its page is stuck or very slow",
        False: "nor does the browser itself answer",
        None: "its process is alive",
    }[link.answers()]
    return (
        f"{target} gave no answer for {timeout:g} s {collector.where()}: {answers}; "
        "allow a longer silence with the timeout, or choose a smaller batch"
    )


def _salvage(writer: TraceWriter, collector: Collector, path: Path | None) -> bool:
    """Keep the records that arrived whole. Returns whether there is a file of them."""
    if path is None or not collector.whole:
        return False
    with suppress(TraceError):
        writer.finish(collector.provenance, collector.checks, complete=False)
        return True
    return False
