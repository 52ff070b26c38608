"""The text report: what it must say, what it must never say, and its look as a gold file."""

from __future__ import annotations

import io
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.diagnosis.runs import Fault
from tests.report.results import doubled, one_up, result

from bittrue.comparison import compare
from bittrue.report.data import ReferenceOutcome, ReportData, TargetOutcome
from bittrue.report.text import TextReporter, short
from bittrue.report.words import elided
from bittrue.traces import Array, Key, Provenance, Record, Trace

GOLD = Path(__file__).parent.parent / "gold"
EIGHT = (
    *("chrome:webgl", "chrome:wasm", "chrome:cpu", "firefox:webgl", "firefox:wasm", "firefox:cpu", "node:wasm"),
    "node:cpu",
)


def half(y: Array) -> Array:
    """What half-float textures make of it."""
    return y.astype(np.float16).astype(np.float32)


CLEAN: dict[str, dict[str, Fault]] = {target: {"d1": one_up} if "wasm" in target else {} for target in EIGHT}
ONE_BUG = CLEAN | {"chrome:webgl": {"d7": doubled}}
EVERYWHERE: dict[str, dict[str, Fault]] = {target: {"d7": half} for target in EIGHT}


def rendered(data: ReportData, width: int = 120, *, full: bool = False) -> str:
    out = io.StringIO()
    TextReporter(width, full=full).report(data, out)
    return out.getvalue()


def gold(name: str, text: str) -> None:
    """Regenerate with BITTRUE_GOLD=write after looking at it."""
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    if os.environ.get("BITTRUE_GOLD") == "write":
        (GOLD / name).write_text(text, encoding="utf-8")
    assert text == (GOLD / name).read_text(encoding="utf-8")


def test_looks_as_agreed(data: ReportData) -> None:
    gold("check.txt", rendered(data))
    gold("check-verbose.txt", rendered(data, full=True))


@pytest.mark.parametrize(("name", "faults"), [("clean", CLEAN), ("one-bug", ONE_BUG), ("everywhere", EVERYWHERE)])
def test_eight_targets_fit_a_screen_and_look_as_agreed(name: str, faults: dict[str, dict[str, Fault]]) -> None:
    data = result(faults, depth=12)
    text = rendered(data, 110)
    assert sum(max(1, math.ceil(len(line.rstrip()) / 110)) for line in text.splitlines()) < 30  # and "Report: FILE"
    gold(f"check-{name}.txt", text)
    for outcome in data.targets:
        assert outcome.diagnosis is not None
        (line,) = [line for line in text.splitlines() if line.startswith(f"{outcome.target} ")]
        assert str(outcome.diagnosis.verdict) in line


def test_the_most_serious_verdict_comes_first_with_its_fix() -> None:
    data = result(CLEAN | {"chrome:cpu": {"d2": doubled}, "node:cpu": {"d3": half}}, depth=6)
    verdicts = [line for line in rendered(data).splitlines() if line[:1].islower()]
    assert [line.partition("  ")[0] for line in verdicts[:3]] == ["bug", "reduced precision", "rounding"]
    assert "fix: run where float32 is kept" in rendered(data)


def test_a_model_of_many_layers_without_truth_takes_one_remark(data: ReportData) -> None:
    reasons = {f"lambda_{at}": "no operation expresses Lambda" for at in range(300)}
    text = rendered(replace(data, reference=replace(data.reference, no_truth=reasons)))
    assert text.count("no operation expresses Lambda") == 1
    assert "lambda_4 and 295 more" in text


def test_what_a_screen_leaves_out_is_in_the_whole_text(data: ReportData) -> None:
    many = replace(data, notes=tuple(f"note {at} of many" for at in range(40)))
    brief, whole = rendered(many), rendered(many, full=True)
    assert len(brief.splitlines()) < 30
    assert "--verbose" in brief
    assert all(f"note {at} of many" in whole for at in range(40))
    assert "firefox:cpu was closed after layer a" in brief  # what failed is never left out


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


def test_inputs_alone_make_no_table_of_layers() -> None:
    sides = [
        Trace.of(
            Provenance("tensors", "numpy", "", ""), [Record.of(Key("input", "x"), np.full((1, 2), value, np.float32))]
        )
        for value in (1, 2)
    ]
    outcome = TargetOutcome("tensors", sides[1].provenance, (), compare(*sides))
    known = ReferenceOutcome(sides[0].provenance, (), None)
    lines = rendered(ReportData("compare", None, (), "as traced", known, (outcome,), ("they differ",))).splitlines()
    assert not any(line.startswith("layer") for line in lines)
    assert "• they differ" in lines


@given(st.floats(-1e300, 1e300))
def test_zero_is_printed_only_for_zero(value: float) -> None:
    assert (float(short(value)) == 0) == (value == 0)
    assert math.isclose(float(short(value)), value, rel_tol=5.1e-3)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (math.nan, "NaN"), (math.inf, "inf"), (-math.inf, "-inf"), (54.0, "54")]
)
def test_special_values_have_names(value: float | None, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("name", "most", "shown"),
    [
        ("conv1", 5, "conv1"),
        ("model/stage/block_6/depthwise", 27, "model/…/block_6/depthwise"),
        ("model/stage/block_6/depthwise", 24, "model/…/depthwise"),
        ("a_layer_of_a_long_name", 11, "a_lay…_name"),
        ("model/a_layer_of_a_long_name", 12, "model/…_name"),
    ],
)
def test_of_a_long_name_both_ends_are_shown(name: str, most: int, shown: str) -> None:
    assert elided(name, most) == shown
    assert len(shown) <= most
