"""The text report: what it must say, what it must never say, and its look as a gold file."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bittrue.report.data import ReportData
from bittrue.report.text import TextReporter, short

GOLD = Path(__file__).parent.parent / "gold" / "check.txt"


def rendered(data: ReportData, width: int = 120) -> str:
    out = io.StringIO()
    TextReporter(width).report(data, out)
    return out.getvalue()


def test_looks_as_agreed(data: ReportData) -> None:
    """Regenerate with BITTRUE_GOLD=write after looking at it."""
    text = "\n".join(line.rstrip() for line in rendered(data).splitlines()) + "\n"
    if os.environ.get("BITTRUE_GOLD") == "write":
        GOLD.write_text(text, encoding="utf-8")
    assert text == GOLD.read_text(encoding="utf-8")


def test_every_target_every_failed_check_and_every_missing_truth_is_there(data: ReportData) -> None:
    text = rendered(data)
    for word in (
        "chrome:webgl",
        "node:wasm",
        "firefox:cpu",
        "edge:cpu",
        "run 2 differs at b[0, 1]",
        "no operation expresses Lambda",
    ):
        assert word in text
    assert "software" in text


def test_identical_is_said_only_of_identical_bits(data: ReportData) -> None:
    lines = rendered(data).splitlines()
    assert any("node:wasm" in line and "every bit" in line for line in lines)
    assert not any("chrome:webgl" in line and "every bit" in line for line in lines)


@given(st.floats(-1e300, 1e300))
def test_zero_is_printed_only_for_zero(value: float) -> None:
    assert (float(short(value)) == 0) == (value == 0)
    assert math.isclose(float(short(value)), value, rel_tol=5.1e-3)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (math.nan, "NaN"), (math.inf, "inf"), (-math.inf, "-inf"), (54.0, "54")]
)
def test_special_values_have_names(value: float | None, text: str) -> None:
    assert short(value) == text
