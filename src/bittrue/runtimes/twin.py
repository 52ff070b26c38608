"""A TensorFlow.js model as a Python callable: one Node process kept alive, whose bits are those of the browsers.

The ``wasm`` and ``cpu`` backends compute the same bits in Chrome, Firefox and Node, so a process of Node that runs
the very files of TensorFlow.js that a page loads is the browser's twin. ``webgl`` and ``webgpu`` compute on whatever
graphics processor and driver are there, and can have none.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bittrue.errors import InputError, ProtocolError, TargetDied, UsageError
from bittrue.graph.model import Graph
from bittrue.inputs import load_inputs
from bittrue.tracefile import TraceWriter
from bittrue.traces import Array, Provenance

from . import wire
from .base import NullProgress, TraceOptions
from .collect import Collector
from .inbox import LinkClosedError, SilenceError
from .messages import Piece, Predicted, Refused
from .node import NodeLink, NodeRuntime
from .target import Target

if TYPE_CHECKING:
    from bittrue.conversion.tfjs.artifact import Artifact

__all__ = ["BATCH", "Twin"]

BATCH = 32
"""Examples in one prediction unless another number is asked for: what `predict` of a layers-model takes."""

_GOODBYE = 1.0  # seconds to take the last frame


class Twin(AbstractContextManager["Twin"]):
    """A model of TensorFlow.js in a Node process that is started at once and kept until `close`.

    ``target`` is ``node:wasm`` or ``node:cpu``, with a version and flags if wanted. ``timeout`` is in seconds, for
    starting and for each prediction; a process that exceeds it is ended and the next prediction starts another.
    May be used from several threads: predictions take turns. ``owns`` is closed with the twin.

    Raises UsageError for a target that is not Node's, TargetUnavailable where there is no Node, and a
    `TargetFailure` when the model cannot be loaded.
    """

    def __init__(
        self,
        target: Target,
        artifact: Artifact,
        graph: Graph,
        *,
        timeout: float = 120.0,
        owns: ExitStack | None = None,
    ) -> None:
        self.target = _checked(target)
        self.graph = graph
        self.timeout = timeout
        self._artifact = artifact
        self._owned = owns or ExitStack()
        self._turn = threading.Lock()
        self._worker: _Worker | None = None
        self._closed = False
        try:
            self._start()
        except BaseException:
            self._owned.close()
            raise

    def predict(
        self, x: Any, *, batch_size: int | None = BATCH, timeout: float | None = None
    ) -> Array | tuple[Array, ...]:
        """What the model answers in the browser, bit for bit.

        ``x`` is an array for a model of one input, else a mapping by input name or a sequence in the model's order;
        shapes include the batch. Returns an array, of one row an example, or a tuple of them where the model has
        several outputs; float32, int32 or bool as the runtime has them. ``batch_size`` examples are predicted at
        once (None: all). Raises InputError for inputs that do not fit, TargetDied when the process crashes twice
        or is silent for ``timeout`` seconds (default: the twin's), UsageError after `close`.
        """
        inputs = self._inputs(x)
        size = len(next(iter(inputs.values())))
        step = size if batch_size is None else batch_size
        if step < 1:
            raise UsageError(f"batch_size is {batch_size}: give a positive number, or None for all examples at once")
        limit = self.timeout if timeout is None else timeout
        parts = []
        for first in range(0, size, step):
            batch = {name: array[first : first + step] for name, array in inputs.items()}
            with self._turn:  # a long job leaves turns to others between its batches
                parts.append(self._answer(batch, limit))
        outputs = tuple(np.concatenate(rows) if len(rows) > 1 else rows[0] for rows in zip(*parts, strict=True))
        return outputs[0] if len(outputs) == 1 else outputs

    __call__ = predict

    @property
    def provenance(self) -> Provenance:
        """What computes: versions, backend that answered, flags, processor."""
        with self._turn:
            return (self._worker or self._start()).provenance

    def close(self) -> None:
        """End the process; may be called again."""
        with self._turn:
            self._closed = True
            self._end()
            self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _start(self) -> _Worker:
        self._worker = _Worker(self.target, self._artifact, self.graph, self.timeout)
        return self._worker

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _answer(self, batch: Mapping[str, Array], timeout: float) -> list[Array]:
        if self._closed:
            raise UsageError("the twin is closed: make another one with bittrue.twin")
        try:
            return self._asked(batch, timeout)
        except _CrashedError:  # whatever ended it: a fresh process may well answer
            try:
                return self._asked(batch, timeout)
            except _CrashedError as error:
                raise TargetDied(
                    f"{self.target} died while predicting, and again in a fresh process: {error}; "
                    "try fewer examples at once, or check the memory of this machine",
                    target=str(self.target),
                ) from error

    def _asked(self, batch: Mapping[str, Array], timeout: float) -> list[Array]:
        try:
            return (self._worker or self._start()).answer(batch, timeout)
        except InputError:
            raise  # the process has refused, and goes on
        except BaseException:
            self._end()
            raise

    def _inputs(self, x: Any) -> dict[str, Array]:
        names = [entry.name for entry in self.graph.inputs]
        if isinstance(x, Mapping):
            return load_inputs(x, self.graph, allow_nan=True)
        if len(names) == 1 and not (isinstance(x, tuple) and len(x) == 1):
            return load_inputs({names[0]: np.asarray(x)}, self.graph, allow_nan=True)
        if not isinstance(x, Sequence) or len(x) != len(names):
            raise InputError(f"the model takes {len(names)} inputs: give a sequence or a mapping of {', '.join(names)}")
        given = {name: np.asarray(array) for name, array in zip(names, x, strict=True)}
        return load_inputs(given, self.graph, allow_nan=True)


class _CrashedError(Exception):
    """The process ended while it was to answer."""


class _Worker:
    """One process, with the model built and waiting."""

    def __init__(self, target: Target, artifact: Artifact, graph: Graph, timeout: float) -> None:
        self._target = str(target)
        self._names = [entry.name for entry in graph.inputs]
        self._requests = 0
        with ExitStack() as stack:
            runtime = stack.enter_context(NodeRuntime(target, artifact, graph))
            job = replace(runtime.job(TraceOptions(timeout=timeout)), stay=True)
            self._link = link = NodeLink(runtime.command())
            stack.callback(link.close)
            writer = stack.enter_context(TraceWriter(None))  # for nothing: no record comes before the first request
            collector = Collector(target, graph, writer, NullProgress(), {"node_version": runtime.version})
            self._prepare(collector, job.header(), timeout)
            self.provenance = collector.provenance
            self._collector = collector
            self._stack = stack.pop_all()

    def _prepare(self, collector: Collector, header: Mapping[str, Any], timeout: float) -> None:
        try:
            self._link.send(wire.encode(header), timeout)
            while collector.phase != "serving":
                collector.take(wire.parse(self._link.receive(timeout)))
        except (LinkClosedError, SilenceError) as error:
            message = f"{self._target} died {collector.where()}: {error}; run it again"
            raise TargetDied(message, target=self._target) from error

    def answer(self, batch: Mapping[str, Array], timeout: float) -> list[Array]:
        self._requests += 1
        try:
            for name in self._names:
                for frame in wire.input_frames(name, batch[name]):
                    self._link.send(frame, timeout)
            self._link.send(wire.encode({"type": "predict", "request": self._requests}), timeout)
            return self._outputs(timeout)
        except LinkClosedError as error:
            raise _CrashedError(str(error)) from error
        except SilenceError as error:
            raise TargetDied(
                f"{self._target} gave no answer for {timeout:g} s while predicting: allow a longer timeout, "
                "or predict fewer examples at once",
                target=self._target,
            ) from error

    def _outputs(self, timeout: float) -> list[Array]:
        arriving: list[tuple[Piece, bytearray]] = []
        while True:
            message = wire.parse(self._link.receive(timeout))
            match message:
                case Piece(kind="prediction"):
                    _gather(arriving, message)
                case Predicted(request=self._requests):
                    return [_array(piece, data) for piece, data in arriving]
                case Refused():
                    raise InputError(f"{self._target} cannot take these inputs: {message.message}")
                case _:
                    self._collector.take(message)  # an error raises; nothing else belongs here
                    raise ProtocolError(
                        f"{self._target} broke the wire protocol: it sent {type(message).__name__} instead of outputs",
                        target=self._target,
                    )

    def close(self) -> None:
        with suppress(LinkClosedError, SilenceError):
            self._link.send(wire.encode({"type": "stop"}), _GOODBYE)
        self._stack.close()


def _gather(arriving: list[tuple[Piece, bytearray]], piece: Piece) -> None:
    """Add a piece to the output it belongs to. Raises ProtocolError where it belongs to none."""
    if piece.offset == 0 and piece.index == len(arriving):
        arriving.append((piece, bytearray()))
    elif not arriving or arriving[-1][0].identity != piece.identity or len(arriving[-1][1]) != piece.offset:
        raise ProtocolError(f"Node broke the wire protocol: it sent a piece of output {piece.index} out of turn")
    arriving[-1][1].extend(piece.payload)


def _array(piece: Piece, data: bytearray) -> Array:
    if len(data) != piece.total:
        raise ProtocolError(f"Node broke the wire protocol: output {piece.index} came with {len(data)} bytes")
    return np.frombuffer(data, piece.dtype).reshape(piece.shape)


def _checked(target: Target) -> Target:
    if target.engine == "node":
        return target
    if target.backend in ("webgl", "webgpu"):
        raise UsageError(
            f"{target.backend} has no twin in Python: its bits are those of the graphics processor and driver that "
            "run it; use wasm or cpu on both sides for identical bits"
        )
    raise UsageError(f"{target} cannot be kept as a twin: use the backend wasm or cpu, which run in Node")
