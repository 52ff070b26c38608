"""``check`` with settings, a baseline and JUnit: what is printed, written and exited with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import parse

import pytest
from click.testing import CliRunner, Result
from tests.report.results import absent, doubled, one_up, result

from bittrue import pipeline
from bittrue.cli import main
from bittrue.report.baseline import baseline_of

WRONG = result({"node:wasm": {"d1": doubled}})
ROUNDED = result({"node:wasm": {"d1": one_up}})
SETTINGS = """
[tool.bittrue]
targets = ["node:cpu"]
{more}
"""
KNOWN = """
[[tool.bittrue.deviations]]
layers = "d1"
at_most = "bug"
reason = "the kernel doubles"
expires = {day}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checked(monkeypatch: pytest.MonkeyPatch, answer: Any, *words: str) -> Result:
    def check(model: Any, inputs: Any, targets: Any, **options: Any) -> Any:
        asked.append(targets)
        return answer

    monkeypatch.setattr(pipeline, "check", check)
    return CliRunner().invoke(main, ["check", "m.keras", *words])


asked: list[Any] = []


def settings(folder: Path, more: str = "") -> None:
    (folder / "pyproject.toml").write_text(SETTINGS.format(more=more), encoding="utf-8")


def test_settings_name_the_targets_unless_the_command_line_does(here: Path, monkeypatch: pytest.MonkeyPatch):
    settings(here)
    checked(monkeypatch, ROUNDED)
    checked(monkeypatch, ROUNDED, "--in", "node:wasm")
    assert asked[-2:] == [("node:cpu",), ("node:wasm",)]


@pytest.mark.parametrize(
    ("more", "words", "code"),
    [
        ("", [], 1),  # --fail-on suspicious is the default
        ("at_most = 'bug'", [], 0),
        ("at_most = 'bug'", ["--fail-on", "suspicious"], 1),
        ("at_most = 'rounding'", ["--fail-on", "never"], 0),
        ("[[tool.bittrue.tolerances]]\nlayers = 'd*'\nrelative = 10", [], 0),
        ("[[tool.bittrue.tolerances]]\nlayers = 'd*'\nrelative = 1e-3", [], 1),
        (KNOWN.format(day="2999-01-01"), [], 0),
        (KNOWN.format(day="2001-01-01"), [], 1),
    ],
)
def test_exit_codes(here: Path, monkeypatch: pytest.MonkeyPatch, more: str, words: list[str], code: int):
    settings(here, more)
    assert checked(monkeypatch, WRONG, *words).exit_code == code


def test_what_is_excused_and_what_expired_is_said(here: Path, monkeypatch: pytest.MonkeyPatch):
    settings(here, KNOWN.format(day="2999-01-01"))
    assert "excused until 2999-01-01: d1 (Dense) on node:wasm" in checked(monkeypatch, WRONG).output
    settings(here, KNOWN.format(day="2001-01-01"))
    done = checked(monkeypatch, WRONG)
    assert "the known deviation of d1 expired on 2001-01-01" in done.output
    assert "failed" in done.output.splitlines()[-1]


def test_settings_that_are_wrong_exit_with_2_before_anything_runs(here: Path, monkeypatch: pytest.MonkeyPatch):
    settings(here, "at_mos = 'rounding'")
    asked.clear()
    done = checked(monkeypatch, ROUNDED)
    assert done.exit_code == 2
    assert "did you mean at_most?" in done.stderr
    assert asked == []


def test_a_file_of_settings_can_be_named(here: Path, monkeypatch: pytest.MonkeyPatch):
    (here / "other").mkdir()
    settings(here / "other", "at_most = 'bug'")
    assert checked(monkeypatch, WRONG, "--settings", "other/pyproject.toml").exit_code == 0
    (here / "none.toml").write_text("", encoding="utf-8")
    assert checked(monkeypatch, WRONG, "--settings", "none.toml").exit_code == 2


def test_a_baseline_is_recorded_once_and_then_held_to(here: Path, monkeypatch: pytest.MonkeyPatch):
    words = ("--baseline", "golden.json")
    assert checked(monkeypatch, WRONG, *words).exit_code == 0  # what is known is recorded, not failed
    recorded = (here / "golden.json").read_text(encoding="utf-8")
    assert json.loads(recorded) == json.loads(json.dumps(baseline_of(WRONG)))
    assert "every verdict is as recorded" in checked(monkeypatch, WRONG, *words).output
    changed = checked(monkeypatch, ROUNDED, *words)
    assert changed.exit_code == 1
    assert "baseline: d1 on node:wasm was bug and is rounding" in changed.output
    assert (here / "golden.json").read_text(encoding="utf-8") == recorded


def test_a_baseline_is_updated_when_asked(here: Path, monkeypatch: pytest.MonkeyPatch):
    words = ("--baseline", "golden.json")
    checked(monkeypatch, WRONG, *words)
    assert checked(monkeypatch, ROUNDED, *words, "--update-baseline").exit_code == 0
    assert checked(monkeypatch, ROUNDED, *words).exit_code == 0


def test_fail_on_holds_beside_a_baseline(here: Path, monkeypatch: pytest.MonkeyPatch):
    words = ("--baseline", "golden.json", "--fail-on", "bug")
    assert checked(monkeypatch, WRONG, *words).exit_code == 1
    assert (here / "golden.json").exists()


def test_nothing_is_recorded_of_a_run_that_failed(here: Path, monkeypatch: pytest.MonkeyPatch):
    done = checked(monkeypatch, result(others=(absent("firefox:cpu"),)), "--baseline", "golden.json")
    assert done.exit_code == 3
    assert not (here / "golden.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--update-baseline"],
        ["--baseline", "b.json", "--no-explain"],
        ["--baseline", "no/such/folder/b.json"],
        ["--junit", "no/such/folder/j.xml"],
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(here: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]):
    asked.clear()
    assert checked(monkeypatch, ROUNDED, *words).exit_code == 2
    assert asked == []


def test_junit_is_written_whatever_the_outcome(here: Path, monkeypatch: pytest.MonkeyPatch):
    for answer, code, failures in ((ROUNDED, 0, "0"), (WRONG, 1, "1")):
        assert checked(monkeypatch, answer, "--junit", "j.xml").exit_code == code
        assert parse(here / "j.xml").getroot().get("failures") == failures
    checked(monkeypatch, result(others=(absent("firefox:cpu"),)), "--junit", "j.xml")
    assert parse(here / "j.xml").getroot().get("errors") == "1"
