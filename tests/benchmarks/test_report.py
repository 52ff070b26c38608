"""How the benchmarks' report is put together, and how memory is read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
import run


def test_a_section_is_replaced_and_not_repeated() -> None:
    text = run.with_section(run.with_section(run.HEAD, "socket", "one"), "socket", "two")
    assert "two" in text
    assert "one\n" not in text
    assert text.count("<!-- begin socket -->") == 1


def test_sections_stand_in_a_fixed_order() -> None:
    text = run.HEAD
    for name in ("startup", "document_method", "budget"):
        text = run.with_section(text, name, f"section {name}")
    places = [text.index(f"<!-- begin {name} -->") for name in ("document_method", "budget", "startup")]
    assert places == sorted(places)


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["nonsense"]) == 2
    assert "startup" in capsys.readouterr().err


def test_growth_is_the_peak_less_what_was_idle(tmp_path: Path) -> None:
    watch = harness.MemoryWatch()
    watch._file = tmp_path / "samples"
    lines = ["9.9 python 100 10", "10.1 python 150 40 page 30 3", "10.2 python 120 50 page 50 5", "10.9 python 999 999"]
    watch._file.write_text("\n".join([*lines, "11.0 pyth"]))
    growth = watch.growth(10.0, 10.5)
    assert growth["python"] == harness.Growth(50, 40)
    assert growth["page"] == harness.Growth(50, 5)  # there was no page before


def test_a_child_that_takes_too_long_is_ended_with_its_family() -> None:
    sleep = "import time; time.sleep(600)"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleep!r}])"
    with pytest.raises(RuntimeError, match="did not end within"):
        harness.output_of([sys.executable, "-c", nested], {}, 1.0)
    mine = harness.psutil.Process().children(recursive=True)
    assert not [child for child in mine if "time.sleep(600)" in " ".join(child.cmdline())]
