"""How a person is asked to open a page on a device."""

from __future__ import annotations

import io

import pytest

from bittrue.cli.inviting import code, invite
from bittrue.cli.words import spread
from bittrue.runtimes.device import Invitation

URL = "http://192.168.1.5:41234/k7mx-2p9q-abcd-efgh/"
HALVES = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}


class Terminal(io.TextIOWrapper):
    """Standard error of a terminal that shows what ``encoding`` has."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self) -> bool:
        return True

    def said(self) -> str:
        self.flush()
        self.seek(0)
        return self.read()


def modules(lines: list[str]) -> list[list[int]]:
    """The drawn half-blocks as rows of ones and zeros."""
    return [[HALVES[mark][half] for mark in line] for line in lines for half in (0, 1)]


def plain(line: str) -> str:
    assert line.startswith("\033[38;5;16;48;5;231m")
    assert line.endswith("\033[0m")
    return line.removeprefix("\033[38;5;16;48;5;231m").removesuffix("\033[0m")


def test_the_code_has_the_three_corners_that_cameras_look_for():
    drawn = modules([plain(line) for line in code(URL, coloured=True)])
    width = len(drawn[0])
    finder = [[int(max(abs(row - 3), abs(column - 3)) != 2) for column in range(7)] for row in range(7)]
    for top, left in ((4, 4), (4, width - 11), (width - 11, 4)):
        assert [row[left : left + 7] for row in drawn[top : top + 7]] == finder
    assert not any(any(row) for row in drawn[:4])  # the quiet zone
    assert not any(any(row[:4]) for row in drawn)


def test_without_colours_what_is_light_is_drawn():
    light = modules(code(URL, coloured=False))
    dark = modules([plain(line) for line in code(URL, coloured=True)])
    assert [[1 - module for module in row] for row in light] == dark


def test_another_address_has_another_code():
    assert code(URL, coloured=True) != code(URL.replace("k7mx", "k7my"), coloured=True)


def test_a_terminal_is_shown_both(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    invite(Invitation(URL, "device:webgl"))
    said = terminal.said()
    assert f"Open {URL} on the device" in said
    assert "anyone there who has this address can open it" in said
    assert "█" in said


def test_a_terminal_that_has_no_blocks_is_shown_the_address(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal("ascii")
    monkeypatch.setattr("sys.stderr", terminal)
    invite(Invitation(URL, "device:webgl"))
    assert "█" not in terminal.said()


def test_a_file_gets_the_address_alone(capsys: pytest.CaptureFixture[str]):
    invite(Invitation(URL, "device:webgl", again=True))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"The device has left. To go on, open {URL}")
    assert len(said.err.splitlines()) == 2


def test_a_device_may_stand_among_several_targets():
    assert spread(["check", "--in", "chrome:webgl", "device", "m.keras"]) == [
        "check", "--in", "chrome:webgl", "--in", "device", "m.keras",
    ]  # fmt: skip
