"""From an agent's messages to a trace: which record is which, in what order, and what it was made by."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from bittrue.errors import (
    ArtifactError,
    BackendFallback,
    BittrueError,
    ProtocolError,
    TargetCancelled,
    TargetDied,
    TargetFailure,
    TargetUnavailable,
)
from bittrue.graph.model import Graph
from bittrue.tracefile import TraceWriter
from bittrue.traces import Array, Check, Key, Provenance, Record

from .base import Progress
from .messages import CheckMade, Done, Environment, Failed, Hello, Message, ModelBuilt, PhaseBegun, Piece
from .target import Target
from .user_agent import described_by

__all__ = ["Collector", "machine_facts", "remedy"]


_HELD = 64 * 2**20
"""Bytes of the largest tensor that is held whole in memory, for ``on_record``."""


@dataclass
class _Open:
    """The tensor whose pieces are arriving, and how many of its bytes are here."""

    identity: tuple[object, ...]
    key: Key
    received: int


class _Holder:
    """Puts tensors together from their pieces, one after another in the same memory, and hands each on when whole."""

    def __init__(self, on_record: Callable[[Record], None]) -> None:
        self._on_record = on_record
        self._memory: Array = np.empty(0, np.uint8)

    def take(self, key: Key, piece: Piece) -> None:
        if piece.total > _HELD:
            return
        end = piece.offset + len(piece.payload)
        data = piece.payload
        if piece.offset or end < piece.total:
            if self._memory.size < piece.total:
                self._memory = np.empty(piece.total, np.uint8)
            self._memory[piece.offset : end] = np.frombuffer(piece.payload, np.uint8)
            data = self._memory.data[: piece.total]
        if end == piece.total:
            whole: Array = np.ndarray(piece.shape, piece.dtype, buffer=data if end else None)
            self._on_record(Record.of(key, whole))


class Collector:
    """Takes one session's messages in order and writes its records.

    ``facts`` are what the host knows of the target (browser, version, flags of the process, …); they go
    into the provenance beside what the agent found. ``on_record`` is as in `TraceOptions`.
    """

    def __init__(
        self,
        target: Target,
        graph: Graph,
        writer: TraceWriter,
        progress: Progress,
        facts: Mapping[str, Any],
        on_record: Callable[[Record], None] | None = None,
    ) -> None:
        self.phase = "starting"
        self.last: str | None = None
        self.whole = 0
        self.finished = False
        self._target = str(target)
        self._backend = target.backend
        self._runtime = "exact" if target.is_exact else "tfjs"
        self._graph = graph
        self._calls = {(call.path, call.nodes): call.call for call in graph.calls()}
        self._layers = {path for path, _ in graph.walk()}
        self._inputs = {spec.name for spec in graph.inputs}
        self._writer = writer
        self._progress = progress
        self._holder = _Holder(on_record) if on_record else None
        self._remote = target.is_device
        self._details: dict[str, Any] = {**({} if target.is_device else machine_facts()), **facts}
        self._hello: Hello | None = None
        self._environment: Environment | None = None
        self._total: int | None = None
        self._checks: list[Check] = []
        self._open: _Open | None = None
        self._seen: set[Key] = set()

    def take(self, message: Message) -> None:
        """Take the next message. Raises what an ``error`` frame stands for, and ProtocolError out of turn."""
        if (self._hello is None) != isinstance(message, Hello):
            self._refuse("it did not begin with 'hello', or said it twice")
        if self._open is not None and not isinstance(message, Piece | Failed):
            self._refuse(f"it left {self._open.key} unfinished")
        match message:
            case Piece():
                self._piece(message)
            case PhaseBegun():
                self._phase(message)
            case Failed():
                raise self._failure(message)
            case Done():
                self._done(message)
            case _:
                self._fact(message)

    def _fact(self, message: Message) -> None:
        match message:
            case Hello():
                self._hello = message
                self._details["user_agent"] = message.user_agent
                if self._remote:
                    self._details.update(described_by(message.user_agent))
            case Environment():
                self._environment_found(message)
            case ModelBuilt():
                self._total = message.nbytes
                self._details["windows"] = message.windows
            case CheckMade():
                self._checks.append(Check(message.name, message.passed, message.detail))

    def _environment_found(self, message: Environment) -> None:
        self._environment = message
        if message.backend != self._backend:
            raise self._fallback(message.backend, "")
        self._details.update(message.details)

    def _phase(self, message: PhaseBegun) -> None:
        several = message.windows is not None and message.windows > 1 and message.window is not None
        self.phase = f"{message.phase} {message.window}/{message.windows}" if several else message.phase
        if message.windows is not None:
            self._details["windows"] = message.windows  # what was foreseen knew nothing of what a prediction holds
        self._progress.phase(self._target, self.phase)

    def _piece(self, piece: Piece) -> None:
        tensor = self._open or self._begin(piece)
        if tensor.identity != piece.identity or piece.offset != tensor.received:
            self._refuse(f"the pieces of {tensor.key} do not follow one another")
        self._writer.write(piece.payload)
        tensor.received += len(piece.payload)
        self._progress.record(self._target, tensor.key.layer, len(piece.payload), self._total)
        if tensor.received == piece.total:
            self._end(tensor.key)
        if self._holder is not None:
            self._holder.take(tensor.key, piece)

    def _begin(self, piece: Piece) -> _Open:
        if self._environment is None:
            self._refuse("it sent a record before its environment")
        key = self._key(piece)
        if key in self._seen:
            self._refuse(f"it sent {key} twice")
        self._seen.add(key)
        self._open = _Open(piece.identity, key, 0)
        self._writer.begin(key, piece.dtype, piece.shape)
        return self._open

    def _end(self, key: Key) -> None:
        self._writer.end()
        self._open = None
        self.whole += 1
        if key.kind == "output":
            self.last = key.layer

    def _key(self, piece: Piece) -> Key:
        """Which tensor of the model a record is. A record that belongs to nothing is an error, never dropped."""
        name = "/".join(piece.path)
        if piece.kind == "input" and name in self._inputs:
            return Key("input", name, 0, piece.index)
        if piece.kind == "prediction" and piece.index < len(self._graph.outputs):
            return Key("prediction", self._graph.outputs[piece.index].layer, 0, piece.index)
        if piece.kind == "weight" and piece.path in self._layers:
            return Key("weight", name, 0, piece.index)
        call = self._calls.get((piece.path, piece.nodes))
        if piece.kind in ("input", "prediction", "weight") or call is None:
            what = f"the {piece.kind} {piece.index} of {name!r}, call {list(piece.nodes)}"
            self._refuse(f"it sent {what}, which the model does not have")
        return Key(piece.kind, name, call, piece.index)

    def _done(self, message: Done) -> None:
        if self._environment is None:
            self._refuse("it was done before it said what answered")
        self._details["timings"] = {
            name: value / 1000 if isinstance(value, int | float) else value for name, value in message.timings.items()
        }
        self._details["memory"] = message.memory
        self.finished = True

    @property
    def provenance(self) -> Provenance:
        """What made the records, as far as it has said."""
        found = self._environment
        if found is None:
            return Provenance(self._target, self._runtime, "unknown", "unknown", details=dict(self._details))
        details = dict(self._details)
        return Provenance(
            self._target, self._runtime, found.backend, found.version, found.adapter, found.software, details
        )

    @property
    def checks(self) -> tuple[Check, ...]:
        """The experiments made so far."""
        return tuple(self._checks)

    def where(self) -> str:
        """How far it came, for messages."""
        return f"while {self.phase}" + (f", after layer {self.last!r}" if self.last else "")

    def _failure(self, message: Failed) -> BittrueError:
        at = f" at layer {message.layer!r}" if message.layer else ""
        said = f"{self._target} failed while {message.phase or self.phase}{at}: {message.message}"
        match message.code:
            case "backend-fallback":
                return self._fallback(message.answered or "another backend", f" ({message.message})")
            case "backend-unavailable":
                advice = remedy(self._target)
                return TargetUnavailable(
                    f"{self._target} is not available here: {message.message}; {advice}",
                    target=self._target,
                    remedy=advice,
                )
            case "context-lost":
                lost = f"{self._target} lost its graphics context {self.where()}: {message.message}; run it again"
                return TargetDied(lost, target=self._target, after=self.last)
            case "memory":
                short = f"{self._target} ran out of memory {self.where()}: {message.message}; lower the budget"
                return TargetDied(short, target=self._target, after=self.last)
            case "cancelled":
                return TargetCancelled(
                    f"{self._target} was cancelled on the device {self.where()}", target=self._target
                )
            case "artifact":
                return ArtifactError(f"{said}; convert the model again")
            case "protocol":
                return ProtocolError(said, target=self._target)
        return TargetFailure(said, target=self._target)

    def _fallback(self, answered: str, detail: str) -> BackendFallback:
        return BackendFallback(
            f"{self._target} was asked for the backend {self._backend} and {answered} answered{detail}: "
            + remedy(self._target),
            asked=self._backend,
            answered=answered,
            target=self._target,
        )

    def _refuse(self, what: str) -> NoReturn:
        raise ProtocolError(f"{self._target} broke the wire protocol: {what}", target=self._target)


def remedy(target: str) -> str:
    """What to do where a backend does not start."""
    engine, _, rest = target.partition(":")
    backend = rest.partition("@")[0].partition("+")[0]
    if engine.startswith("firefox") and backend == "webgl" and platform.system() == "Linux":
        return "install xvfb and libgl1-mesa-dri, or run where there is a display"
    if engine.startswith("firefox") and backend == "webgpu":
        return "use a Firefox that has WebGPU on this system, or chrome:webgpu"
    if engine.startswith("device"):
        return "try another browser on the device, or device:wasm"
    if backend in ("webgl", "webgpu"):
        return "set BITTRUE_SOFTWARE_GPU=1 to emulate the graphics card, or update browser and graphics driver"
    return "update the browser, or choose another backend"


def machine_facts() -> dict[str, Any]:
    """The system, its processor and the Python, for the provenance."""
    return {
        "os": platform.platform(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cpu_count": os.cpu_count(),
        "python": platform.python_version(),
    }


def _cpu() -> str:
    """The processor's name; Linux alone keeps it in a file and leaves `platform.processor` empty."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
