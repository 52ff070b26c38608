"""What ends the browsers and removes the temporary folders of a Bittrue that was killed and could not do so itself.

`Watchdog` starts this file as a program, which reads from a pipe what there is to be guarded. The pipe ends when the
process that started it ends, however that happens; what is guarded then is ended and removed. The program needs the
standard library alone (and psutil, once there is something to end), so that starting it costs next to nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["MARK", "PREFIX", "Watchdog", "marked"]

MARK = "BITTRUE_SCRATCH"
"""The environment variable that names the folder to which a program belongs."""

PREFIX = "bittrue-"
"""How the names of our temporary folders begin; no other folder is ever removed."""

_PATIENCE = 10.0  # seconds for what was killed to be gone
_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


class Watchdog:
    """Guards folders, and the programs that belong to them, beyond the death of this process.

    Where it cannot be started, nothing is guarded: everything else works as well without it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def guard(self, folder: Path) -> None:
        """From now on ``folder``, whose name begins with `PREFIX`, goes with this process."""
        self._say(True, folder)

    def release(self, folder: Path) -> None:
        """``folder`` is gone."""
        self._say(False, folder)

    def close(self) -> None:
        """This process is ending in order: whatever is still guarded is cleared up now."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            with suppress(OSError, subprocess.TimeoutExpired):
                process.communicate(timeout=_PATIENCE)

    def _say(self, guarded: bool, folder: Path) -> None:
        with self._lock, suppress(OSError):
            if self._process is None or self._owner != os.getpid():  # a forked process has to answer for itself
                self._process, self._owner = _start(), os.getpid()
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps([guarded, str(folder)]).encode() + b"\n")
            self._process.stdin.flush()


def _start() -> subprocess.Popen[bytes]:
    import psutil

    packages = str(Path(psutil.__file__).parent.parent)
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, packages],
        env={name: os.environ[name] for name in _KEPT if name in os.environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(sys.executable).parent,  # never a folder that somebody wants to remove
        start_new_session=sys.platform != "win32",  # what ends us, as Ctrl-C, must not end it
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def marked(folder: Path) -> Iterator[Any]:
    """Every process (of psutil) whose environment or command line names ``folder``, which nobody can guess."""
    import psutil

    mark = str(folder)
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with suppress(psutil.Error, OSError):
            if any(mark in word for word in process.cmdline()) or process.environ().get(MARK) == mark:
                yield process


def _main(packages: str) -> None:
    """Guard what standard input says until it ends; then clear up."""
    left = _listen(sys.stdin.buffer)
    if left:
        sys.path.insert(0, packages)
        _clear(sorted(left))


def _listen(lines: Iterable[bytes]) -> set[Path]:
    """The folders that are still guarded when the lines end; the last of them may be cut off."""
    folders: set[Path] = set()
    for line in lines:
        with suppress(ValueError):
            guarded, name = json.loads(line)
            (folders.add if guarded else folders.discard)(Path(name))
    return {folder for folder in folders if folder.name.startswith(PREFIX)}


def _clear(folders: list[Path]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        victims = [process for folder in folders for process in marked(folder)]
        for victim in victims:
            with suppress(Exception):  # gone already, or not ours to end: the next one is tried all the same
                victim.kill()
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        if not victims and not any(folder.exists() for folder in folders):
            return
        time.sleep(0.05)


if __name__ == "__main__":
    _main(sys.argv[1])
