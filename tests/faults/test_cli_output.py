"""What is written where: to pipes that close, to what is no terminal, to terminals that want no colour."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from outside import LIGHT, Place

CHECK = ("check", "chain-2x4", "--against", "node:cpu", "--in", "node:wasm")
COLOUR = re.compile(r"\x1b\[[\d;]*\b(3[0-8]|4[0-8]|9\d|10\d)[\d;]*m")
pytestmark = [pytest.mark.browser, pytest.mark.needs("node")]


@pytest.fixture
def nobody() -> Iterator[int]:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def test_json_on_standard_output_stands_there_alone(place: Place) -> None:
    ended = place.run(*CHECK, "--json", "-")
    assert ended.status == 0
    assert json.loads(ended.out)["targets"][0]["target"] == "node:wasm"
    assert "node:wasm" in ended.err
    assert "\x1b" not in ended.out + ended.err


def test_quiet_prints_nothing(place: Place) -> None:
    ended = place.run(*CHECK, "--quiet")
    assert (ended.status, ended.out, ended.err) == (0, "", "")


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
@pytest.mark.parametrize("json_too", [False, True])
def test_a_reader_that_leaves_is_no_fault(json_too: bool, nobody: int, place: Place) -> None:
    command = [sys.executable, *LIGHT, *CHECK, *(("--json", "-", "-q") if json_too else ("--json", "x.json"))]
    done = subprocess.run(command, cwd=place.work, stdout=nobody, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (141, "")
    assert place.files() == ([] if json_too else ["x.json"])


def on_terminal(place: Place, *arguments: str, **env: str) -> str:
    """All that a command writes to a terminal."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **env}
    env = {name: value for name, value in env.items() if value}
    process = subprocess.Popen(
        [sys.executable, *LIGHT, *arguments], cwd=place.work, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux says so when the last writer has closed the terminal
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    assert process.wait(60) in (0, 3)
    return written.decode()


def test_no_color_is_respected(place: Place) -> None:
    assert COLOUR.search(on_terminal(place, *CHECK, NO_COLOR=""))
    assert not COLOUR.search(on_terminal(place, *CHECK, NO_COLOR="1"))


def test_quiet_on_a_terminal_draws_no_progress(place: Place) -> None:
    assert on_terminal(place, *CHECK, "-q") == ""


def test_a_failure_is_said_once_on_a_terminal_and_on_standard_error_elsewhere(place: Place) -> None:
    flag = (*CHECK[:-1], "node:wasm+NONE=1")
    assert on_terminal(place, *flag).count("has no flag NONE") == 1
    ended = place.run(*flag)
    assert "has no flag NONE" in ended.sentence(3)
    assert "has no flag NONE" in ended.out
