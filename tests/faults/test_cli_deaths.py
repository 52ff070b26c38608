"""Targets that die or hang midway: the error names the last layer, and what had arrived is kept."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from outside import LARGE, LAYERS, LIGHT, PATIENCE, REAL, SEVERAL_LAYERS, Place, starting, stopped, tracing

from bittrue.tracefile import read_trace
from bittrue.traces import Key, Trace

pytestmark = [
    pytest.mark.browser,
    pytest.mark.needs("node"),
    pytest.mark.skipif(os.name == "nt", reason="POSIX signals"),
]
CHROME = pytest.mark.needs("chrome")
TARGETS = [pytest.param("node:cpu", "node-agent"), pytest.param("chrome:cpu", "chrom", marks=CHROME)]


def kept(place: Place, said: str) -> Trace:
    """The partial trace, which must end with the layer that ``said`` names."""
    assert "what had arrived is in t.safetensors" in said
    trace = read_trace(place.work / "t.safetensors")
    layers = [record.key.layer for record in trace.of_kind("output")]
    assert not trace.complete
    assert f"after layer {layers[-1]!r}" in said
    assert len(layers) < LAYERS
    assert np.array_equal(trace[Key("output", "d0")].load(), np.full((2**18, 4), 2, np.float32))
    return trace


@pytest.mark.parametrize(("target", "words"), TARGETS)
def test_what_is_killed_midway_is_a_death_that_loses_nothing(target: str, words: str, place: Place) -> None:
    command = tracing(place, target)
    for process in command.children(words):
        process.kill()
    said = command.end().sentence(3)
    assert re.match(rf"{target} died while (capturing|sending), after layer '\w+': [^;=]*; run it again", said)
    assert "TensorFlow.js in Node" not in said  # its greeting is no last word
    kept(place, said)


@pytest.mark.parametrize(("target", "words"), TARGETS)
def test_what_hangs_midway_is_given_up_after_the_timeout(target: str, words: str, place: Place) -> None:
    command = tracing(place, target, "--timeout", "6")
    with stopped(command.children(words)):
        said = command.end().sentence(3)
    assert re.match(rf"{target} gave no answer for 6 s while (capturing|sending), after layer '\w+': ", said)
    kept(place, said)


def test_a_check_goes_on_with_the_next_target_and_keeps_the_part(place: Place) -> None:
    targets = ("--against", "node:cpu", "--in", "node:wasm", "node:cpu")
    command = place.start("check", *LARGE, *targets, "--save", "s", "--no-explain", "-q")
    part = place.work / "s"
    command.wait_for(lambda: any(part.glob(".node-wasm*.partial")), "the target had started")
    command.wait_for(lambda: sum(path.stat().st_size for path in part.glob(".node-wasm*")) > SEVERAL_LAYERS, "layers")
    for process in command.children("node-agent"):
        process.kill()
    said = command.end().sentence(3)
    assert said.startswith("node:wasm died")
    assert not read_trace(part / "node-wasm.safetensors").complete
    assert read_trace(part / "node-cpu.safetensors").complete


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
        arguments = (
            "check",
            f"chain-{number + 2}x4",
            "--against",
            "node:cpu",
            "--in",
            "chrome:cpu",
            "--json",
            "-",
            "-q",
        )
        command = [sys.executable, *LIGHT, *arguments]
        env = {**os.environ, **place.variables}
        others.append(subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True))
    for number, process in enumerate(others):
        out, _ = process.communicate(timeout=120)
        assert (process.returncode, out.count('"d1"') > 0, out.count('"d2"') > 0) == (0, True, number == 1)
    place.assert_clean()


@pytest.mark.parametrize(("target", "words"), TARGETS)
def test_a_bittrue_that_is_killed_leaves_no_browser_and_no_profile(target: str, words: str, place: Place) -> None:
    command = tracing(place, target)
    assert command.children(words)
    command.process.kill()
    command.process.communicate()
    deadline = time.monotonic() + PATIENCE
    while left := [*place.processes(), *place.temporary.iterdir()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
