"""The campaign computes what is not known, finds every difference, and its page says what it found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bits_campaign
import golden_applications
import golden_cases
import pytest
from bits_campaign import Unit, _judged, is_current, main, units
from bits_page import page
from subjects import Subject, in_python

CASE = "operation/add"
PLAIN = Unit("cases-00", ("special/sums",))


def member(problems: dict[str, list[str]] | None = None, **changed: Any) -> dict[str, Any]:
    said: dict[str, list[str]] = {"python": [], "firefox": [], **(problems or {})}
    numbers = {place: {"every": 1200, "whole": 30} for place in said}
    row = {"parameters": 2_500_000, "operations": 7, "names": ["add", "tanh"], "inputs": [[3, 64, 64, 3]]}
    row |= {"examples": 3, "splits": True, "golden": "0123456789abcdef" * 2, "hash": "0123456789abcdef" * 2}
    return {**row, "numbers": numbers, "problems": said, **changed}


def result(unit: str, **members: Any) -> dict[str, Any]:
    facts = {"unit": unit, "key": "k", "date": "2026-01-02", "seconds": 90, "absent": ["deno"], "known_operations": 68}
    engines = {"versions": {"python": "wasmtime 1", "firefox": "Firefox 2"}, "modules": {"one thread": "abc"}}
    return {**facts, **engines, "members": members}


def test_every_case_and_every_architecture_is_in_one_unit() -> None:
    members = [member for unit in units() for member in unit.members]
    assert len(members) == len(set(members))
    assert set(members) == {*golden_cases.LABELS, *golden_applications.APPLICATIONS}


def test_the_page_counts_what_agrees() -> None:
    cases = result("cases-01", **{CASE: member(), "layer/Dense": member(splits=False)})
    text = page([cases, result("Net", Net=member())], ["cases-01", "Net", "Other"])
    assert "| operations of keras.ops | 1 | 1,200 | 1 | 1 |" in text
    assert "2 cases; 2 of the 68 operations" in text
    assert "4,920 numbers were compared" in text  # two cases in two places, 1200 + 30 each
    assert "| Net | 3, 64, 64, 3 | 2.5 M | 7 | 1,200 | `0123456789ab` | same | same |" in text
    assert "- computed on 2026-01-02, in 3 minutes" in text
    assert "- absent: deno" in text
    assert "- firefox: Firefox 2" in text
    assert "The batch of 1 cases was not split" in text
    assert "`layer/Dense`" in text
    assert "Nowhere." in text
    assert "## Not computed\n\nOther." in text


def test_the_page_names_what_disagrees() -> None:
    wrong = {"firefox": ["parts: 1 of 1 tensors differ"]}
    text = page([result("cases-01", **{CASE: member(wrong)}), result("Net", Net=member(wrong))], ["cases-01", "Net"])
    assert "| operations of keras.ops | 1 | 1,200 | 1 | **0 of 1** |" in text
    assert "| same | **no** |" in text
    assert f"- {CASE} in firefox: parts: 1 of 1 tensors differ" in text
    assert "Nowhere." not in text


@pytest.fixture
def python_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with Python and nothing else; results and page in a folder of their own."""
    monkeypatch.setattr(bits_campaign, "versions", lambda: {"python": "wasmtime"})
    monkeypatch.setattr(bits_campaign, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(bits_campaign, "PAGE", tmp_path / "bits.md")
    monkeypatch.setattr(bits_campaign, "units", lambda: [PLAIN])


@pytest.mark.usefixtures("python_alone")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_unit_is_computed_once_and_again_when_anything_has_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    computed: list[str] = []

    def here(name: str) -> None:
        computed.append(name)
        assert main(["--one", name]) == 0

    monkeypatch.setattr(bits_campaign, "_in_own_process", here)
    assert main([]) == main([]) == 0
    assert computed == [PLAIN.name]
    (kept,) = (tmp_path / "kept").iterdir()
    found = json.loads(kept.read_text(encoding="utf-8"))
    assert found["absent"] == ["node", "deno", "chrome", "firefox"]
    assert found["members"]["special/sums"]["problems"] == {"python": []}
    assert "special values" in (tmp_path / "bits.md").read_text(encoding="utf-8")
    monkeypatch.setattr(bits_campaign, "versions", lambda: {"python": "another wasmtime"})
    assert not is_current(found, PLAIN)
    assert main([]) == 0
    assert len(computed) == 2


@pytest.mark.usefixtures("python_alone")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_another_hash_than_the_golden_one_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(golden_cases, "golden", lambda: ({"special/sums": "0" * 32}, frozenset()))
    monkeypatch.setattr(bits_campaign, "_in_own_process", lambda name: main(["--one", name]))
    assert main([]) == 1
    assert f"special/sums in python: every: the hash is not the golden file's {'0' * 32}" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_place_that_differs_or_fails_is_named() -> None:
    one = Subject(*golden_cases.built("special/sums"))
    right = in_python(one)
    other = {**right, "parts": [right["parts"][0][:-1] + "x", *right["parts"][1:]]}
    found = {"python": right, "node": other, "chrome": {"error": ["out of memory"]}}
    row = _judged(PLAIN, "special/sums", one, {place: {"special/sums": ways} for place, ways in found.items()})
    assert row["problems"]["python"] == []
    assert row["problems"]["node"][0].startswith("parts: 1 of 8 tensors differ, first output '0:matmul'")
    assert row["problems"]["chrome"][-1] == "out of memory"
    assert row["numbers"]["python"]["whole"] == sum(18 * size for size in (5, 18, 1, 1, 1, 1, 1, 18))


@pytest.mark.usefixtures("python_alone")
def test_a_process_that_dies_is_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bits_campaign, "_in_own_process", lambda name: None)
    assert main([]) == 1
    assert f"{PLAIN.name}: its process died" in capsys.readouterr().out


def test_a_unit_is_computed_in_every_way() -> None:
    assert PLAIN.golden == {"special/sums": golden_cases.golden()[0]["special/sums"]}
    (one,) = PLAIN.subjects().values()
    assert (one.worker, one.threads, one.splits) == (True, (2, 3), True)
