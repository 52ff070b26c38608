"""The pytest plugin, through pytest's own tester: what passes, fails and is skipped, and what is printed of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.report.results import absent, doubled, one_up, result

import bittrue.report.html
import bittrue.runtimes.host
import bittrue.settings  # noqa: F401  pytester forgets what a run has imported, and three imports a test are slow
from bittrue import pipeline
from bittrue.errors import InputError, TargetUnavailable

pytest_plugins = ("pytester",)

ASSERTS = """
    def test_parity(bittrue):
        bittrue.assert_parity("m.keras", inputs="random:1", targets=["node:wasm"]{more})
"""
WRONG = {"node:wasm": {"d1": doubled}}
Ran = Callable[..., pytest.RunResult]


@pytest.fixture
def ran(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Runs a test in which ``bittrue.check`` answers ``answer``; keeps what it was asked in ``asked``."""

    for name in ("CI", "BUILD_NUMBER"):  # there pytest prints failures whole in its summary once more
        monkeypatch.delenv(name, raising=False)

    def go(answer: Any, *words: str, test: str = ASSERTS, more: str = "") -> pytest.RunResult:
        def check(*args: Any, **options: Any) -> Any:
            go.asked.append((args, options))  # type: ignore[attr-defined]
            if isinstance(answer, BaseException):
                raise answer
            return answer

        monkeypatch.setattr(pipeline, "check", check)
        pytester.makepyfile(test.replace("{more}", more))
        quick = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")  # its summary imports all of hypothesis
        return pytester.runpytest_inprocess(*quick, *words)

    go.asked = []  # type: ignore[attr-defined]
    return go


def test_rounding_passes_and_says_nothing(ran: Ran):
    done = ran(result({"node:wasm": {"d1": one_up}}))
    done.assert_outcomes(passed=1)
    assert "bittrue" not in done.stdout.str().partition("rootdir")[2].partition("\n\n")[2]


def test_a_failure_prints_headline_layer_and_report(ran: Ran, pytester: pytest.Pytester):
    data = result(WRONG)
    done = ran(data)
    done.assert_outcomes(failed=1)
    printed = done.stdout.str()
    assert data.headline is not None
    assert " ".join(data.headline.split()[:8]) in " ".join(printed.split())
    assert "d1 (Dense) on node:wasm: bug, where at most rounding is allowed" in printed
    (report,) = (pytester.path / "bittrue-reports").iterdir()
    failure, _, summary = printed.partition("- bittrue -")
    assert f"report: {report}" in failure
    assert f"report: {report}" in summary
    assert "<html" in report.read_text(encoding="utf-8")
    assert "pytest_plugin.py" not in printed


def test_a_proven_causes_fix_is_printed_once(ran: Ran, monkeypatch: pytest.MonkeyPatch):
    data = result({"node:wasm": {"d1": lambda y: y.astype("float16").astype("float32")}})
    entry = data.targets[0].diagnosis.first_fault
    fixes = [cause.fix for cause in entry.causes if cause.fix]
    assert fixes
    printed = ran(data).stdout.str()
    assert f"fix: {fixes[0]}" in printed
    assert printed.count(fixes[0]) == 1
    assert "argmax" in printed  # what follows the fix in the headline


def test_layers_of_which_the_same_is_to_be_said_share_a_line(ran: Ran):
    every = {f"d{at}": lambda y: y.astype("float16").astype("float32") for at in range(9)}
    printed = ran(result({"node:wasm": every}, depth=9)).stdout.str()
    assert printed.count("where at most rounding is allowed") == 1
    assert "likewise d1 (Dense), d2 (Dense), d3 (Dense), d4 (Dense) and 4 more" in printed


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        (", at_most='bug'", "passed"),
        (", at_most='suspicious'", "failed"),
        (", at_most='identical'", "failed"),
        (", at_most='wrong'", "failed"),
    ],
)
def test_at_most_is_the_limit(ran: Ran, more: str, outcome: str):
    ran(result(WRONG), more=more).assert_outcomes(**{outcome: 1})


def test_missing_targets_fail_unless_they_may_be_left_out(ran: Ran):
    data = result(others=(absent("firefox:cpu"),))
    done = ran(data)
    done.assert_outcomes(failed=1)
    assert "firefox:cpu was not found: install it" in done.stdout.str()
    left_out = ran(data, "--bittrue-missing=skip")
    left_out.assert_outcomes(passed=1)
    assert "left out, not on this machine: firefox:cpu" in left_out.stdout.str()


@pytest.mark.parametrize("answer", ["one", "all"])
def test_a_test_of_which_nothing_can_run_is_skipped_with_the_reason(ran: Ran, answer: str):
    nothing: Any = TargetUnavailable("no browser is found: install one")
    if answer == "all":
        data = result(others=(absent("firefox:cpu"),))
        nothing = type(data)(**{**vars(data), "targets": data.targets[1:]})
    done = ran(nothing, "--bittrue-missing=skip", "-rs")
    done.assert_outcomes(skipped=1)
    assert "found: install" in done.stdout.str()


def test_a_difference_fails_even_where_missing_targets_are_left_out(ran: Ran):
    ran(result(WRONG, others=(absent("firefox:cpu"),)), "--bittrue-missing=skip").assert_outcomes(failed=1)


SETTINGS = """
[tool.bittrue]
targets = ["node:cpu"]
at_most = "suspicious"

[[tool.bittrue.deviations]]
layers = "d1"
at_most = "bug"
reason = "our backend doubles"
expires = {day}
"""
PLAIN = """
    def test_parity(bittrue):
        bittrue.assert_parity("m.keras"{more})
"""


def test_settings_name_targets_and_excuse_with_a_warning(ran: Ran, pytester: pytest.Pytester):
    pytester.makefile(".toml", pyproject=SETTINGS.format(day="2999-01-01"))
    done = ran(result(WRONG), test=PLAIN)
    done.assert_outcomes(passed=1, warnings=1)
    assert "excused, our backend doubles" in done.stdout.str()
    assert ran.asked[0][0][2] == ("node:cpu",)  # type: ignore[attr-defined]


def test_an_expired_deviation_fails(ran: Ran, pytester: pytest.Pytester):
    pytester.makefile(".toml", pyproject=SETTINGS.format(day="2001-01-01"))
    done = ran(result(WRONG), test=PLAIN)
    done.assert_outcomes(failed=1)
    assert "expired on 2001-01-01" in done.stdout.str()


def test_settings_that_are_wrong_are_one_sentence(ran: Ran, pytester: pytest.Pytester):
    pytester.makefile(".toml", pyproject="[tool.bittrue]\ntarget = 'node:cpu'\n")
    done = ran(result(), test=PLAIN)
    done.assert_outcomes(errors=1)
    assert "did you mean targets?" in done.stdout.str()


def test_an_error_is_one_sentence_at_the_tests_own_line(ran: Ran):
    printed = ran(InputError("the input 'x' is missing: give it")).stdout.str()
    assert "E       bittrue.errors.InputError: the input 'x' is missing: give it" in printed
    assert "pytest_plugin.py" not in printed


def test_the_command_lines_targets_come_before_all_others(ran: Ran):
    ran(result(), "--bittrue-targets=node:cpu", "--bittrue-targets=chrome:wasm")
    assert ran.asked[0][0][2] == ["node:cpu", "chrome:wasm"]  # type: ignore[attr-defined]


def test_the_folder_of_reports_can_be_named_and_names_do_not_clash(ran: Ran, pytester: pytest.Pytester):
    twice = ASSERTS.replace(
        "def test_parity(bittrue)", "@pytest.mark.parametrize('n', ['a/b', 'a:b'])\n    def test_parity(bittrue, n)"
    )
    ran(result(WRONG), "--bittrue-reports=kept", test="    import pytest\n" + twice).assert_outcomes(failed=2)
    assert len(list((pytester.path / "kept").iterdir())) == 2


def test_fixtures_can_be_overridden_and_the_host_is_one(ran: Ran, pytester: pytest.Pytester):
    pytester.makeconftest(
        """
        import pytest
        from bittrue import Run

        @pytest.fixture(scope="session")
        def bittrue_targets():
            return ["node:cpu"]

        @pytest.fixture(scope="session")
        def bittrue_run(bittrue_host):
            return Run(runs=3, host=bittrue_host)
        """
    )
    ran(result(), test=PLAIN + PLAIN.replace("test_parity", "test_again")).assert_outcomes(passed=2)
    first, second = (options["run"] for _, options in ran.asked)  # type: ignore[attr-defined]
    assert (first.runs, ran.asked[0][0][2]) == (3, ("node:cpu",))  # type: ignore[attr-defined]
    assert first.host is second.host


def test_paths_are_found_from_the_rootdir_wherever_pytest_is_started(ran: Ran, pytester: pytest.Pytester):
    pytester.makeini("[pytest]\n")
    pytester.path.joinpath("m.keras").write_bytes(b"")
    pytester.mkdir("elsewhere")
    ran(result(), "--rootdir", str(pytester.path), test=PLAIN)
    assert ran.asked[0][0][0] == str(pytester.path / "m.keras")  # type: ignore[attr-defined]


def test_loading_the_plugin_loads_nothing_heavy():
    heavy = "('numpy', 'tensorflow', 'selenium', 'aiohttp', 'click')"
    code = f"import bittrue.pytest_plugin, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.browser
@pytest.mark.needs("node", "tensorflow")
def test_the_sample_project_passes_in_two_workers(repository: Path, tmp_path: Path):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "-p",
        "no:cacheprovider",
        f"--bittrue-reports={tmp_path}",
    ]
    sample = repository / "examples" / "pytest_parity"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=sample, env=clean, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "2 passed" in done.stdout
    assert list(tmp_path.iterdir()) == []
