"""``[tool.bittrue]``: what it says is read, and everything else is refused with the nearest right one."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from bittrue.diagnosis import Verdict
from bittrue.errors import UsageError
from bittrue.report.expectations import Deviation, Tolerance
from bittrue.settings import Settings, find_settings, read_settings, verdict_named

WHOLE = """
[project]
name = "mine"

[tool.bittrue]
targets = ["chromium:webgl", "node:wasm"]
at_most = "rounding"

[[tool.bittrue.tolerances]]
layers = ["attention*", "softmax"]
relative = 1e-5
ulp = 64

[[tool.bittrue.deviations]]
layers = "gelu"
targets = "chrome:*"
at_most = "approximation"
reason = "a polynomial"
expires = 2030-06-30
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_is_read(tmp_path: Path):
    found = read_settings(written(tmp_path, WHOLE))
    assert found.targets == ("chrome:webgl", "node:wasm")
    assert found.at_most == Verdict.ROUNDING
    assert found.tolerances == (Tolerance(("attention*", "softmax"), relative=1e-5, ulp=64.0),)
    allowed = Tolerance(("gelu",), ("chrome:*",), Verdict.APPROXIMATION)
    assert found.deviations == (Deviation(allowed, "a polynomial", date(2030, 6, 30)),)


def test_the_nearest_file_with_such_a_table_counts(tmp_path: Path):
    written(tmp_path, "[tool.bittrue]\nat_most = 'suspicious'\n")
    inner = tmp_path / "package" / "tests"
    inner.mkdir(parents=True)
    written(inner.parent, "[project]\nname = 'x'\n")
    assert find_settings(inner).at_most == Verdict.SUSPICIOUS


def test_no_table_is_no_settings(tmp_path: Path):
    assert read_settings(written(tmp_path, "[tool.ruff]\n")) == Settings()


TOLERANCE = "[[tool.bittrue.tolerances]]\n"
DEVIATION = "[[tool.bittrue.deviations]]\nlayers = 'a'\nat_most = 'bug'\nreason = 'r'\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.bittrue]\ntarget = 'x'\n", "no setting 'target'; did you mean targets?"),
        ("[tool.bittrue]\nzebra = 1\n", "no setting 'zebra'; known are targets"),
        ("[tool.bittrue]\ntargets = ['chrome:webgi']\n", "did you mean chrome:webgl?"),
        ("[tool.bittrue]\ntargets = 7\n", "where a text or a list of texts belongs"),
        ("[tool.bittrue]\nat_most = 'roundin'\n", "did you mean rounding?"),
        ("[tool]\nbittrue = 3\n", "is no table"),
        ("[tool.bittrue.tolerances]\nlayers = 'a'\n", "below [[tool.bittrue.tolerances]]"),
        (TOLERANCE + "layers = 'a'\n", "number 1 allows nothing"),
        (TOLERANCE + "layer = 'a'\nulp = 1\n", "did you mean layers?"),
        (TOLERANCE + "layers = []\nulp = 1\n", "no pattern in layers"),
        (TOLERANCE + "relative = -1\n", "a number of 0 or above"),
        (TOLERANCE + "relative = true\n", "a number of 0 or above"),
        (TOLERANCE + "relative = nan\n", "a number of 0 or above"),
        (TOLERANCE + "relative = '1e-5'\n", "a number of 0 or above"),
        (DEVIATION, "has no expires"),
        (DEVIATION + "expires = '2030-06-30'\n", "without quotes"),
        (DEVIATION + "expires = 2030-06-30T10:00:00\n", "without quotes"),
        (DEVIATION.replace("'r'", "' '") + "expires = 2030-06-30\n", "say why"),
        ("[tool.bittrue\n", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_place(tmp_path: Path, text: str, said: str):
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_settings(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("bits", "identical"), ("No-Truth", "no truth"), ("precision", "reduced precision"), ("non-finite", "non-finite")],
)
def test_verdicts_have_their_names_and_those_of_the_command_line(text: str, verdict: str):
    assert verdict_named(text) == Verdict(verdict)
