"""Targets that die or hang midway, and commands that are told to end: everything ends, and what arrived is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from outside import LIGHT, REAL, Command, Place, stopped

from bittrue.traces import Key, Trace
from bittrue.tracefile import read_trace

pytestmark = [
    pytest.mark.browser,
    pytest.mark.needs("node"),
    pytest.mark.skipif(os.name == "nt", reason="POSIX signals"),
]
CHROME = pytest.mark.needs("chrome")
TARGETS = [pytest.param("node:cpu", "node-agent"), pytest.param("chrome:cpu", "chrom", marks=CHROME)]
LARGE = ("chain-12x4", "--batch", str(2**20))  # 16 MiB a layer
SEVERAL_LAYERS = 5 * 2**24


def tracing(place: Place, target: str, *more: str) -> Command:
    """A trace of which several layers have arrived, and as many have not."""
    command = place.start("trace", *LARGE, "--in", target, "-o", "t.safetensors", *more)
    command.wait_for(lambda: written(place) > SEVERAL_LAYERS, "several layers had arrived")
    return command


def written(place: Place) -> int:
    return sum(path.stat().st_size for path in place.work.glob(".t.safetensors.*.partial"))


def kept(place: Place, said: str) -> Trace:
    """The partial trace, which must end with the layer that ``said`` names."""
    assert "what had arrived is in t.safetensors" in said
    trace = read_trace(place.work / "t.safetensors")
    layers = [record.key.layer for record in trace.of_kind("output")]
    assert not trace.complete
    assert f"after layer {layers[-1]!r}" in said
    assert len(layers) < 12
    assert np.array_equal(trace[Key("output", "d0")].load(), np.full((2**20, 4), 2, np.float32))
    return trace


@pytest.mark.parametrize(("target", "words"), TARGETS)
def test_what_is_killed_midway_is_a_death_that_loses_nothing(target: str, words: str, place: Place) -> None:
    command = tracing(place, target)
    for process in command.children(words):
        process.kill()
    said = command.end().sentence(3)
    assert said.startswith(f"{target} died while capturing")
    kept(place, said)


@pytest.mark.parametrize(("target", "words"), TARGETS)
def test_what_hangs_midway_is_given_up_after_the_timeout(target: str, words: str, place: Place) -> None:
    command = tracing(place, target, "--timeout", "3")
    with stopped(command.children(words)):
        said = command.end().sentence(3)
    assert said.startswith(f"{target} gave no answer for 3 s while capturing")
    kept(place, said)


def test_a_check_goes_on_with_the_next_target_and_keeps_the_part(place: Place) -> None:
    command = place.start("check", *LARGE, "--against", "node:cpu", "--in", "node:wasm", "node:cpu", "--save", "s", "-q")
    part = place.work / "s"
    command.wait_for(lambda: any(part.glob(".node-wasm*.partial")), "the target had started")
    command.wait_for(lambda: sum(path.stat().st_size for path in part.glob(".node-wasm*")) > SEVERAL_LAYERS, "layers")
    for process in command.children("node-agent"):
        process.kill()
    said = command.end().sentence(3)
    assert said.startswith("node:wasm died")
    assert not read_trace(part / "node-wasm.safetensors").complete
    assert read_trace(part / "node-cpu.safetensors").complete


def at_once(command: Command) -> None:
    """Python itself is still starting before that."""
    command.wait_for(lambda: command.children("") or Path(command.place.temporary, "x").parent.exists(), "it began")


def starting(words: str) -> Callable[[Command], None]:
    return lambda command: command.wait_for(lambda: command.children(words), f"{words} was started")


def sending(command: Command) -> None:
    command.wait_for(lambda: written(command.place) > SEVERAL_LAYERS, "several layers had arrived")


PHASES = [
    pytest.param("node:cpu", starting("node"), id="node-starts"),
    pytest.param("node:cpu", sending, id="node-sends"),
    pytest.param("chrome:cpu", starting("chromedriver"), marks=CHROME, id="driver-starts"),
    pytest.param("chrome:cpu", starting("--type="), marks=CHROME, id="browser-starts"),
    pytest.param("chrome:cpu", sending, marks=CHROME, id="browser-sends"),
]


@pytest.mark.parametrize("group", [False, True], ids=["alone", "group"])
@pytest.mark.parametrize(("target", "phase"), PHASES)
def test_ctrl_c_ends_everything_in_each_phase(
    target: str, phase: Callable[[Command], None], group: bool, place: Place
) -> None:
    command = place.start("trace", *LARGE, "--in", target, "-o", "t.safetensors")
    phase(command)
    command.interrupt(group=group)
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
@pytest.mark.needs("tensorflow")
def test_a_keras_process_that_is_killed_is_one_sentence(place: Place) -> None:
    arguments = ("--in", "keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0", "--out", "d", "--depth", "2", "--size", "4")
    command = place.start("demo", *arguments, "-q", program=REAL)
    starting("keras_worker")(command)
    for process in command.children("keras_worker"):
        process.kill()
    assert "TF_ENABLE_ONEDNN_OPTS=0 ended early" in command.end().sentence(3)


@CHROME
def test_commands_side_by_side_do_not_disturb_each_other(place: Place, tmp_path: Path) -> None:
    others = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        arguments = ("check", f"chain-{number + 2}x4", "--against", "node:cpu", "--in", "chrome:cpu", "--json", "-", "-q")
        command = [sys.executable, *LIGHT, *arguments]
        env = {**os.environ, **place.variables}
        others.append(subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True))
    for number, process in enumerate(others):
        out, _ = process.communicate(timeout=120)
        assert (process.returncode, out.count('"d1"') > 0, out.count('"d2"') > 0) == (0, True, number == 1)
    place.assert_clean()
