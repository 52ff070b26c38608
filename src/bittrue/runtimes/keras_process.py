"""A Keras run in a process of its own: start it, take what it says, and end it whatever happens."""

from __future__ import annotations

import json
import math
import os
import queue
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from bittrue import errors
from bittrue.errors import BittrueError, ModelError, ProtocolError, TargetDied, TargetFailure, TargetUnavailable
from bittrue.tracefile import TraceWriter
from bittrue.traces import Check, Key, Provenance, Record

from .base import Inputs, TraceOptions
from .keras import Recorder
from .processes import ProgramTree, Scratch
from .target import Target

__all__ = ["run_in_process"]

# -P: a folder of the user's that is called keras must not be imported.
_WORKER = ("-P", "-m", "bittrue.runtimes.keras_worker")
_AHEAD = 4  # pieces read before they are written: bounds the memory

Item = tuple[dict[str, Any], bytes]


@dataclass(frozen=True)
class Source:
    """A model (a path, or a live one that is saved first), whether it is trusted, and its ``module:Class`` names."""

    model: Any
    trust: bool
    custom: tuple[str, ...] = ()


def run_in_process(
    target: Target, source: Source, inputs: Inputs, options: TraceOptions, recorder: Recorder
) -> tuple[Provenance, tuple[Check, ...]]:
    """Run the model ``source`` with the target's environment.

    Raises what the other process raised, TargetDied where it ended early or said nothing for
    ``options.timeout`` seconds.
    """
    scratch = Scratch()
    try:
        recorder.phase("starting")
        request = _request(target, source, inputs, options, scratch.path)
        log = scratch.path / "stderr"
        with log.open("wb") as stderr, _worker(target, scratch, stderr) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(BrokenPipeError):  # it died at once: reading says so, and why
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
            return _listen(_items(process.stdout, options.timeout, target, recorder), target, recorder, log)
    finally:
        scratch.remove()


def _request(target: Target, source: Source, inputs: Inputs, options: TraceOptions, folder: Path) -> dict[str, Any]:
    model = source.model
    path = model if isinstance(model, Path) else _saved(model, folder / "model.keras")
    with TraceWriter(folder / "inputs.safetensors") as writer:
        for name, array in inputs.items():
            writer.add(Record.of(Key("input", name), np.asarray(array)))
        writer.finish(Provenance(str(target), "keras", "inputs", ""))
    return {
        "target": str(target),
        "model": str(path.resolve()),
        "trust": source.trust,
        "custom": list(source.custom),
        "inputs": str(folder / "inputs.safetensors"),
        "layers": None if options.layers is None else list(options.layers),
        "runs": options.runs,
        "budget": options.budget,
    }


def _saved(model: Any, path: Path) -> Path:
    try:
        model.save(path)
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        message = f"the model cannot be saved for a process of its own: {error}; save it and give the file"
        raise ModelError(message) from error
    return path


@contextmanager
def _worker(target: Target, scratch: Scratch, stderr: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **os.environ,
        **dict(target.flags),
        "KERAS_BACKEND": "tensorflow" if target.engine == "tensorflow" else target.backend,
        "PYTHONPATH": os.pathsep.join(filter(None, [_source_folder(), os.environ.get("PYTHONPATH")])),
    }
    command = [sys.executable, *_WORKER]
    try:
        tree = ProgramTree(command, scratch, environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
    except OSError as error:
        message = f"{target} needs a Python process of its own and {sys.executable!r} does not start: {error}"
        raise TargetUnavailable(message, target=str(target), remedy="run with an ordinary Python") from error
    try:
        yield tree.process
    finally:
        tree.end()
        for pipe in (tree.process.stdin, tree.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _source_folder() -> str | None:
    """Where this package lies, if only this process knows: a source tree on a path of its own."""
    folder = str(Path(errors.__file__).resolve().parents[1])
    return None if folder in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")) else folder


def _items(stream: IO[bytes], timeout: float, target: Target, recorder: Recorder) -> Iterator[Item]:
    """What the worker says, until it stops. A thread reads, because a pipe has no time limit on every system."""
    arrived: queue.Queue[Item | None] = queue.Queue(_AHEAD)
    over = threading.Event()

    def put(item: Item | None) -> None:
        while not over.is_set():
            with suppress(queue.Full):
                arrived.put(item, timeout=0.2)
                return

    def read() -> None:
        try:
            for item in _read(stream):
                put(item)
        except (OSError, ValueError):  # closed while reading, or cut off in the middle of a message
            pass
        put(None)

    threading.Thread(target=read, daemon=True).start()
    try:
        while (item := _next(arrived, timeout, target, recorder)) is not None:
            yield item
    finally:
        over.set()


def _next(arrived: queue.Queue[Item | None], timeout: float, target: Target, recorder: Recorder) -> Item | None:
    try:
        return arrived.get(timeout=timeout)
    except queue.Empty:
        message = f"{target} said nothing for {timeout:g} seconds{_after(recorder)}; allow a longer timeout"
        raise TargetDied(message, target=str(target), after=recorder.last) from None


def _read(stream: IO[bytes]) -> Iterator[Item]:
    while line := stream.readline():
        header = json.loads(line)
        size = header.get("nbytes", 0)
        payload = stream.read(size) if size else b""
        if len(payload) != size:
            raise ValueError("cut off")
        yield header, payload


def _listen(
    items: Iterator[Item], target: Target, recorder: Recorder, log: Path
) -> tuple[Provenance, tuple[Check, ...]]:
    for header, payload in items:
        match header["type"]:
            case "phase":
                recorder.phase(header["phase"])
            case "environment":
                recorder.environment(Provenance(**header["provenance"]))
            case "record":
                _take(header, items, recorder)
            case "error":
                raise _error(header, target)
            case "done":
                return Provenance(**header["provenance"]), tuple(Check(**check) for check in header["checks"])
            case other:
                raise ProtocolError(f"{target} said {other!r} out of turn ({len(payload)} bytes)", target=str(target))
    said = _last_line(log)
    message = f"the process of {target} ended early{_after(recorder)}" + (f": {said}" if said else "")
    raise TargetDied(message + "; run it again with less memory in use", target=str(target), after=recorder.last)


def _take(header: dict[str, Any], items: Iterator[Item], recorder: Recorder) -> None:
    """Write one record, piece by piece as it arrives."""
    key, dtype, shape = Key.parse(header["key"]), _dtype(header["dtype"]), tuple(header["shape"])
    size = math.prod(shape) * dtype.itemsize
    recorder.writer.begin(key, dtype, shape)
    received = 0
    while received < size:
        piece = next(items, None)
        if piece is None:
            return  # the caller finds the end of the stream and says why
        recorder.writer.write(piece[1])
        received += len(piece[1])
        recorder.arrived(key, len(piece[1]), header["total"])
    recorder.writer.end()
    recorder.whole(key)


def _dtype(name: str) -> np.dtype[Any]:
    if name == "bfloat16":
        import ml_dtypes

        found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return found
    return np.dtype(name)


def _after(recorder: Recorder) -> str:
    return f" after layer {recorder.last!r}" if recorder.last else ""


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""


def _error(header: dict[str, Any], target: Target) -> BittrueError:
    """The same error as in the other process, with what it carries."""
    kind = getattr(errors, str(header["error"]), TargetFailure)
    if not (isinstance(kind, type) and issubclass(kind, BittrueError)):
        kind = TargetFailure
    found = BittrueError.__new__(kind, header["message"])
    found.__dict__.update(header["carries"])
    if isinstance(found, TargetFailure):
        found.target = str(target)
    return found


def as_message(error: BittrueError) -> dict[str, Any]:
    """An error as the worker says it; inverse of what `run_in_process` raises."""
    carries = {name: value for name, value in vars(error).items() if value is None or isinstance(value, str)}
    return {"type": "error", "error": type(error).__name__, "message": str(error), "carries": carries}


def provenance_message(provenance: Provenance) -> dict[str, Any]:
    """A provenance as JSON values."""
    return {**asdict(provenance), "details": dict(provenance.details)}
