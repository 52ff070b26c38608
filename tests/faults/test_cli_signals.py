"""Commands that are told to end, in each phase: everything that they started ends with them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from outside import LARGE, REAL, Command, Place, sending, starting, tracing

from bittrue.runtimes.discovery import find_xvfb, has_gpu
from bittrue.tracefile import read_trace

pytestmark = [
    pytest.mark.browser,
    pytest.mark.needs("node"),
    pytest.mark.skipif(os.name == "nt", reason="POSIX signals"),
]
CHROME = pytest.mark.needs("chrome")


PHASES = [
    pytest.param("node:cpu", starting("node"), False, id="node-starts"),
    pytest.param("node:cpu", starting("node"), True, id="node-starts-group"),
    pytest.param("node:cpu", sending, True, id="node-sends-group"),
    pytest.param("chrome:cpu", starting("chromedriver"), False, marks=CHROME, id="driver-starts"),
    pytest.param("chrome:cpu", starting("--type="), True, marks=CHROME, id="browser-starts-group"),
    pytest.param("chrome:cpu", sending, True, marks=CHROME, id="browser-sends-group"),
]


@pytest.mark.parametrize(("target", "phase", "group"), PHASES)
def test_ctrl_c_ends_everything_in_each_phase(
    target: str, phase: Callable[[Command], None], group: bool, place: Place
) -> None:
    command = place.start("trace", *LARGE, "--in", target, "-o", "t.safetensors")
    phase(command)
    command.interrupt(group=group)
    time.sleep(0.05)
    command.interrupt(group=group)  # impatience must not stop the ending
    assert command.end().sentence(130).startswith("interrupted")
    assert all(not read_trace(place.work / name).complete for name in place.files())


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_requests_to_end_are_honoured_as_well(number: int, status: int, place: Place) -> None:
    command = tracing(place, "node:cpu")
    command.interrupt(number)
    assert command.end().sentence(status).startswith("interrupted")


@CHROME
def test_sigterm_ends_the_browser_too(place: Place) -> None:
    command = tracing(place, "chrome:cpu")
    command.interrupt(signal.SIGTERM)
    assert command.end().sentence(143).startswith("interrupted")


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("words", ["", "keras_worker"], ids=["early", "worker"])
def test_ctrl_c_ends_a_run_in_keras(words: str, place: Place) -> None:
    arguments = ("--in", "keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0", "--out", "d", "--depth", "2", "--size", "4")
    command = place.start("demo", *arguments, "-q", program=REAL)
    if words:
        starting(words)(command)
    else:
        command.wait_for(lambda: (place.work / "d").exists(), "Keras was imported")
    command.interrupt()
    assert command.end().sentence(130).startswith("interrupted")


@pytest.mark.slow
@pytest.mark.needs("firefox")
@pytest.mark.skipif(find_xvfb() is None or has_gpu(), reason="absent here: Xvfb, or a machine that needs it")
def test_ctrl_c_ends_the_virtual_display_too(place: Place) -> None:
    command = place.start("trace", *LARGE, "--in", "firefox:webgl", "-o", "t.safetensors")
    starting("-contentproc")(command)
    screens = {screen.pid for screen in command.children("Xvfb")}
    assert screens
    command.interrupt()
    assert command.end().sentence(130).startswith("interrupted")
    assert not screens & locking()


def locking() -> set[int]:
    """The processes that hold the number of a display; other tests may open and close some at any moment."""
    found = set()
    for lock in Path("/tmp").glob(".X*-lock"):
        with suppress(FileNotFoundError):
            found.add(int(lock.read_text()))
    return found
