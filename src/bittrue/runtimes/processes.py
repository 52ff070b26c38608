"""Programs that Bittrue starts, and the promise that none of them outlives it.

A browser is a tree of processes, some of which leave the tree; each carries an unguessable mark in its
environment and, for browsers, the temporary folder in its command line, so that all of them can be found
again even when the first has been killed. Where this process is killed itself, a `Watchdog` does the rest.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

import psutil

from .watchdog import MARK, PREFIX, Watchdog, marked

__all__ = ["ProgramTree", "Scratch"]

_GRACE = 2.0  # seconds to end by itself
_PATIENCE = 5.0  # seconds for the system to end what was killed
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)

_watchdog = Watchdog()
atexit.register(_watchdog.close)  # before all others, so that it is called after them


class Scratch:
    """A temporary folder for one program, removed by `remove` and at the latest when Python exits."""

    def __init__(self, parent: Path | None = None) -> None:
        self.inhabited = False
        """Whether a program may be running that belongs here."""
        with _undivided():
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            atexit.register(self.remove)
            _watchdog.guard(self.path)

    def folder(self, name: str) -> Path:
        """A folder inside it."""
        path = self.path / name
        path.mkdir(exist_ok=True)
        return path

    def remove(self) -> None:
        """Remove it; a program that is just ending may still write to it, so try for a while."""
        if self.inhabited:  # Ctrl-C came between the start of a program and the moment when somebody knew of it
            _end_all(self.path)
        deadline = time.monotonic() + _PATIENCE
        while True:
            shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists() or time.monotonic() > deadline:
                if not self.path.exists():
                    _watchdog.release(self.path)
                atexit.unregister(self.remove)  # last, so that what Ctrl-C interrupts is done again at the end
                return
            time.sleep(0.05)


class ProgramTree:
    """A started program with everything it starts; ended by `end` and at the latest when Python exits."""

    def __init__(
        self,
        command: Sequence[str],
        scratch: Scratch,
        env: Mapping[str, str] | None = None,
        *,
        stdin: int | IO[Any] = subprocess.DEVNULL,
        stdout: int | IO[Any] = subprocess.DEVNULL,
        stderr: int | IO[Any] = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._scratch = scratch
        self._known: set[psutil.Process] = set()
        scratch.inhabited = True
        with _undivided():
            self.process = subprocess.Popen(
                command,
                env={**(os.environ if env is None else env), MARK: str(scratch.path)},
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=pass_fds,
                # A group of its own: Ctrl-C in the terminal reaches us, and we end it in order.
                start_new_session=sys.platform != "win32",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
                | getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
            atexit.register(self.end)

    @property
    def ended(self) -> str | None:
        """How the program ended, None while it runs."""
        status = self.process.poll()
        return None if status is None else f"its process ended with status {status}"

    def note_children(self) -> None:
        """Remember who belongs to it now, in case the first process dies before the others."""
        with suppress(*_GONE):
            self._known.update(psutil.Process(self.process.pid).children(recursive=True))

    def end(self) -> None:
        """End the program and all that belong to it; may be called again."""
        self.note_children()
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_GRACE)
        if self.process.poll() is None:
            self.process.kill()  # ours alone to wait for: reaped by psutil, its status would be lost
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_PATIENCE)
        _end_all(self._scratch.path, self._known)
        self._scratch.inhabited = False
        atexit.unregister(self.end)  # last, so that what Ctrl-C interrupts is done again at the end


@contextmanager
def _undivided() -> Iterator[None]:
    """What Ctrl-C must not cut in two: a folder made but not yet known, a program started but not yet known.

    A signal that has a handler in Python is remembered until the end of the block, which takes milliseconds.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    handlers = {
        number: handler
        for number in (getattr(signal, name) for name in _ENDING if hasattr(signal, name))
        if callable(handler := signal.getsignal(number))
    }
    try:
        for number in handlers:
            signal.signal(number, lambda number, frame: came.append((number, frame)))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in came[:1]:
            handlers[signal.Signals(number)](number, frame)


def _end_all(folder: Path, known: Iterable[psutil.Process] = ()) -> None:
    """End ``known`` and whoever belongs to ``folder``, until nobody does: one of them may just have started another."""
    deadline = time.monotonic() + _PATIENCE
    victims = [*known, *marked(folder)]
    while victims and time.monotonic() < deadline:
        for victim in victims:
            with suppress(*_GONE):
                victim.kill()
        while any(map(_runs, victims)) and time.monotonic() < deadline:
            time.sleep(0.01)
        victims = list(marked(folder))


def _runs(process: psutil.Process) -> bool:
    """Whether it still runs: one that has ended holds nothing any more, even where nobody has asked how it ended.

    Whoever has to ask is the first process of the system once a browser's own parent is gone; in containers that takes
    seconds, or never happens.
    """
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
