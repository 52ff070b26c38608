"""The edge of the process: errors become one sentence and an exit code, and signals an ending in order."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import ParamSpec

import click

from bittrue.errors import BittrueError

__all__ = ["DONE", "FAILED_COMPARISON", "TARGET_FAILED", "edge"]

P = ParamSpec("P")

DONE, FAILED_COMPARISON, _BAD_USE, TARGET_FAILED = 0, 1, 2, 3
_OWN_FAULT = 70  # must not look like a comparison that failed: Python itself would exit with 1
_PIPE_CLOSED = 141  # as a shell calls a program that SIGPIPE has ended

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_DEAF = 15.0  # seconds in which what was started is ended; a second Ctrl-C must not stop that


class _Ended(KeyboardInterrupt):
    """Somebody has asked this process to end, by the signal ``number``."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def edge(command: Callable[P, int]) -> Callable[P, None]:
    """A command that prints and exits; nothing below it does."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with _signals_end_in_order():
            sys.exit(_status(lambda: command(*args, **kwargs)))

    return run


def _status(command: Callable[[], int]) -> int:
    try:
        return command()
    except BittrueError as error:
        return _said(str(error), error.exit_code)
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, _Ended) else signal.SIGINT
        return _said("interrupted; everything that was started has been ended", 128 + number)
    except (BrokenPipeError, SystemExit):  # the second is what rich makes of the first; nothing else here exits
        return _nobody_reads()
    except click.ClickException:
        raise
    except MemoryError:
        return _said("memory is used up; choose a smaller batch or budget, or end other programs", _BAD_USE)
    except Exception as error:
        if isinstance(error, OSError):
            where = f"{error.filename}: " if error.filename else ""
            return _said(f"{where}{error.strerror or error}; check the file, its folder and the disk", _BAD_USE)
        return _own_fault(error)


def _nobody_reads() -> int:
    """As after ``| head``. What is still buffered must not fail once more when Python flushes it at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return _PIPE_CLOSED


def _own_fault(error: Exception) -> int:
    if os.environ.get("BITTRUE_TRACEBACK"):
        traceback.print_exception(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    what = " ".join(str(error).split())[:300]
    place = f"{type(error).__name__} in {os.path.basename(last.filename)}:{last.lineno}: {what}"
    return _said(f"a fault of its own ({place}); please report it, with what BITTRUE_TRACEBACK=1 shows", _OWN_FAULT)


def _said(sentence: str, status: int) -> int:
    click.echo(f"bittrue: {' '.join(sentence.splitlines())}", err=True)
    return status


@contextmanager
def _signals_end_in_order() -> Iterator[None]:
    """SIGTERM and a closed terminal unwind the stack as Ctrl-C does; what comes while that goes on is ignored.

    One that was ignored from the start, as under nohup, stays ignored.
    """
    deaf_until = 0.0

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal deaf_until
        if time.monotonic() >= deaf_until:
            deaf_until = time.monotonic() + _DEAF
            raise _Ended(number)

    numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    try:
        before = {
            number: signal.signal(number, end) for number in numbers if signal.getsignal(number) != signal.SIG_IGN
        }
    except ValueError:  # not in the main thread, which alone may have handlers
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():  # after such an end Python is left in peace to finish
            signal.signal(number, signal.SIG_IGN if deaf_until else handler)
