"""The command line seen from outside: what it says, how it ends, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

REAL = ("-m", "bittrue")
LIGHT = (str(Path(__file__).parent / "light.py"),)
"""For models called ``chain-DEPTHxSIZE``, which need no TensorFlow."""

PATIENCE = 90.0
LAYERS = 26
LARGE = (f"chain-{LAYERS}x4", "--batch", str(2**18))  # 4 MiB a layer
SEVERAL_LAYERS = 8 * 2**22

_MOMENT = 30.0  # seconds; it is over as soon as nothing is left


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    def sentence(self, status: int) -> str:
        """What it said on standard error, which must be one sentence, beside the exit status that must be its."""
        assert "Traceback" not in self.out + self.err, self.err
        assert (self.status, self.err.count("\n")) == (status, 1), self
        assert self.err.startswith("bittrue: "), self.err
        assert "\x1b" not in self.out + self.err
        return self.err.removeprefix("bittrue: ").rstrip("\n")


class Command:
    """A command that runs in the folder ``work``, with its temporary files in ``temporary``."""

    def __init__(self, place: Place, arguments: Sequence[str], program: Sequence[str], env: Mapping[str, str]) -> None:
        self.place = place
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=place.work,
            env={**os.environ, **place.variables, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait until ``condition`` holds; fails if the command ends before."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, f"it ended before {what}: {self.process.communicate()}"
            assert time.monotonic() < deadline, f"never {what}"
            time.sleep(0.01)

    def children(self, words: str) -> list[psutil.Process]:
        """The processes below it whose command line holds ``words``."""
        found = []
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if words in " ".join(child.cmdline()):
                        found.append(child)
        return found

    def interrupt(self, number: int = signal.SIGINT, *, group: bool = False) -> None:
        """Send a signal to it alone, or to its group as a terminal does."""
        if group:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def end(self) -> Ended:
        """How it ended; what it left is checked."""
        try:
            out, err = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.place.assert_clean()
        return Ended(self.process.returncode, out, err)


class Place:
    """Where commands run, and where whatever they leave is seen."""

    def __init__(self, temporary: Path, work: Path) -> None:
        self.temporary = temporary
        self.work = work
        self.variables = {name: str(temporary) for name in ("TMPDIR", "TEMP", "TMP")}

    def start(self, *arguments: str, program: Sequence[str] = LIGHT, **env: str) -> Command:
        """Start a command."""
        return Command(self, arguments, program, env)

    def run(self, *arguments: str, program: Sequence[str] = LIGHT, **env: str) -> Ended:
        """Run a command to its end."""
        return self.start(*arguments, program=program, **env).end()

    def files(self) -> list[str]:
        """What lies in the folder in which commands run."""
        return sorted(path.relative_to(self.work).as_posix() for path in self.work.rglob("*") if path.is_file())

    def _left(self) -> list[str]:
        files = sorted(str(path.relative_to(self.temporary)) for path in self.temporary.rglob("*"))
        return [*self.processes(), *files]

    def assert_clean(self) -> None:
        """No process of ours runs, no temporary file is left, and nothing is half-written.

        What a command could not clear away itself is cleared by the watchdog that outlives it for a moment.
        """
        deadline = time.monotonic() + _MOMENT
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == [], f"left behind: {left}"
        assert [name for name in self.files() if "partial" in name or name.rpartition("/")[2].startswith(".")] == []

    def processes(self) -> Iterator[str]:
        """Those whose command line or environment names our folder for temporary files."""
        mark = str(self.temporary)
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                words = [*process.cmdline(), *process.environ().values()]
                if process.status() != psutil.STATUS_ZOMBIE and any(mark in word for word in words):
                    yield f"{process.pid} {' '.join(process.cmdline())[:200]}"


@contextmanager
def stopped(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Processes that hang, until the block ends."""
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def tracing(place: Place, target: str, *more: str) -> Command:
    """A trace of which several layers have arrived, and as many have not."""
    command = place.start("trace", *LARGE, "--in", target, "-o", "t.safetensors", *more)
    sending(command)
    return command


def written(place: Place) -> int:
    return sum(path.stat().st_size for path in place.work.glob(".t.safetensors.*.partial"))


def sending(command: Command) -> None:
    """Wait until several layers have arrived."""
    command.wait_for(lambda: written(command.place) > SEVERAL_LAYERS, "several layers had arrived")


def starting(words: str) -> Callable[[Command], None]:
    """What waits until a program is there whose command line holds ``words``."""
    return lambda command: command.wait_for(lambda: command.children(words), f"{words} was started")
