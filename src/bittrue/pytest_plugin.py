"""The pytest plugin: ``bittrue.assert_parity(model, …)`` in a test, with one browser for all tests.

::

    def test_parity(bittrue):
        bittrue.assert_parity("model.keras", inputs="tests/golden.npz", targets=["chrome:webgl"], at_most="rounding")

pytest loads this module in every session on a machine that has Bittrue: it imports nothing that is not needed then.
What is shared is a fixture that a project's conftest can override: `bittrue_host` (the browsers), `bittrue_settings`,
`bittrue_targets`, `bittrue_run`, `bittrue_reports`. Workers of pytest-xdist are processes: each has browsers of its
own, opened when its first test needs one.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bittrue.pipeline import Run
    from bittrue.report.data import ReportData
    from bittrue.report.expectations import Judgement, Violation
    from bittrue.runtimes.host import Host
    from bittrue.settings import Settings

__all__ = ["Parity", "ParityFailure"]

_REPORTS = "bittrue-reports"
_REPORT, _ABSENT = "bittrue_report", "bittrue_absent"  # properties of a test, which reach the controller of xdist
_SHOWN = 5
_LONGEST = 100  # characters of a report's name


class ParityFailure(AssertionError):
    """A model whose numbers are outside of what the test allows. ``result`` is all that was found out."""

    def __init__(self, message: str, result: ReportData) -> None:
        super().__init__(message)
        self.result = result


def pytest_addoption(parser: pytest.Parser) -> None:
    """The command line's options."""
    group = parser.getgroup("bittrue", "the same model, the same numbers")
    group.addoption(
        "--bittrue-targets",
        action="append",
        default=[],
        metavar="TARGETS",
        help="Run on these (by commas, or repeated) instead of what the tests and [tool.bittrue] name.",
    )
    group.addoption(
        "--bittrue-missing",
        choices=("fail", "skip"),
        default="fail",
        help="What a test does where a browser or Node that it needs is not on this machine [fail].",
    )
    group.addoption(
        "--bittrue-reports",
        metavar="DIR",
        help=f"Folder for the HTML reports of failures [{_REPORTS} in pytest's rootdir].",
    )


def pytest_report_header(config: pytest.Config) -> list[str]:
    """What the options ask for, where any is given."""
    targets, missing = config.getoption("bittrue_targets"), config.getoption("bittrue_missing")
    if not targets and missing == "fail":
        return []
    return [f"bittrue: targets {', '.join(targets) or 'as the tests say'}; missing browsers: {missing}"]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Where the reports are, and which targets were left out because they are not here."""
    found: dict[str, dict[str, None]] = {_REPORT: {}, _ABSENT: {}}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name in found:
                    found[name][value] = None
    lines = [f"report: {path}" for path in found[_REPORT]]
    lines += [f"left out, not on this machine: {target}" for target in found[_ABSENT]]
    if lines:
        terminalreporter.section("bittrue", sep="-")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def bittrue_host() -> Iterator[Host]:
    """The server and the browsers of this process, opened when a test first needs them and ended with the session."""
    from bittrue.runtimes.host import Host

    with Host() as host:
        yield host


@pytest.fixture(scope="session")
def bittrue_settings(pytestconfig: pytest.Config) -> Settings:
    """``[tool.bittrue]`` of the nearest pyproject.toml at or above pytest's rootdir."""
    from bittrue.errors import UsageError
    from bittrue.settings import find_settings

    try:
        return find_settings(pytestconfig.rootpath)
    except UsageError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def bittrue_targets(bittrue_settings: Settings) -> Sequence[str]:
    """Where models run whose test names no targets: the settings'; none for every browser and backend found here."""
    return bittrue_settings.targets


@pytest.fixture(scope="session")
def bittrue_run(bittrue_host: Host) -> Run:
    """How models are run: `bittrue.Run`, with the host that all tests share."""
    from bittrue.pipeline import Run

    return Run(host=bittrue_host)


@pytest.fixture(scope="session")
def bittrue_reports(pytestconfig: pytest.Config) -> Path:
    """The folder for the reports of failures, made when there is one."""
    named = pytestconfig.getoption("bittrue_reports")
    return pytestconfig.invocation_params.dir / named if named else pytestconfig.rootpath / _REPORTS


@pytest.fixture
def bittrue(
    request: pytest.FixtureRequest,
    bittrue_settings: Settings,
    bittrue_targets: Sequence[str],
    bittrue_run: Run,
    bittrue_reports: Path,
) -> Parity:
    """Compares models layer by layer; see `Parity.assert_parity`."""
    return Parity(request, bittrue_settings, bittrue_targets, bittrue_run, bittrue_reports)


class Parity:
    """What the fixture ``bittrue`` is."""

    def __init__(
        self, request: pytest.FixtureRequest, settings: Settings, targets: Sequence[str], run: Run, reports: Path
    ) -> None:
        self._request = request
        self._settings = settings
        self._targets = targets
        self._run = run
        self._reports = reports
        self._written = 0

    def check(
        self,
        model: Any,
        inputs: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        targets: Sequence[str] | str | None = None,
        *,
        against: str | None = None,
        batch: int = 1,
        preprocessing: str | None = None,
        run: Run | None = None,
    ) -> ReportData:
        """As `bittrue.check`, in the browsers that all tests share. Asserts nothing.

        Relative paths are taken from pytest's rootdir where they exist there, else from the working folder.
        ``targets`` None: as the options and settings say. ``run`` changes how (``trust``, ``custom``, ``runs``, …); its
        host is always the shared one.
        """
        __tracebackhide__ = True
        from bittrue.errors import BittrueError
        from bittrue.pipeline import check

        named = self._request.config.getoption("bittrue_targets")
        given = self._targets if targets is None else [targets] if isinstance(targets, str) else targets
        try:
            return check(
                self._found(model),
                self._found(inputs),
                named or tuple(given),
                against=against,
                batch=batch,
                preprocessing=preprocessing,
                run=replace(run, host=self._run.host) if run else self._run,
            )
        except BittrueError as error:
            raise error.with_traceback(None) from None  # it is a sentence about what the test asked for

    def assert_parity(
        self,
        model: Any,
        inputs: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        targets: Sequence[str] | str | None = None,
        at_most: str | None = None,
        *,
        against: str | None = None,
        batch: int = 1,
        preprocessing: str | None = None,
        run: Run | None = None,
    ) -> ReportData:
        """Fail the test unless every layer's verdict is at most ``at_most`` on every target; return the result.

        ``at_most``: identical, rounding, "no truth", approximation, "reduced precision", suspicious; None for that of
        the settings, or else rounding. Tolerances and known deviations of the settings come before it. The rest is as
        for `check`. A failure says what `bittrue.check` found, and where the report is. A target that is not on this
        machine fails the test, or with ``--bittrue-missing=skip`` is left out: if none is left, the test is skipped.
        """
        __tracebackhide__ = True
        from bittrue.report.expectations import judge
        from bittrue.settings import verdict_named

        limit = verdict_named(at_most) if at_most else self._settings.at_most or verdict_named("rounding")

        def check() -> ReportData:
            __tracebackhide__ = True
            return self.check(
                model, inputs, targets, against=against, batch=batch, preprocessing=preprocessing, run=run
            )

        data = self._run_here(check)
        bits = str(limit) == "identical"
        judgement = judge(data, self._settings.expectations(limit, bits=bits), date.today())
        if data.failures or not judgement.passed:
            raise ParityFailure(_message(data, judgement, self._report(data)), data)
        for note in (*judgement.notes, *(f"{found}: excused, {why.reason}" for found, why in judgement.excused)):
            warnings.warn(f"bittrue: {note}", stacklevel=2)
        return data

    def _run_here(self, check: Callable[[], ReportData]) -> ReportData:
        """What was run; where absent targets may be left out, without them, and the test skipped if none is left."""
        __tracebackhide__ = True
        from bittrue.errors import TargetUnavailable

        if self._request.config.getoption("bittrue_missing") == "fail":
            return check()
        try:
            data = check()
        except TargetUnavailable as error:  # the reference's, or no browser and no Node at all
            pytest.skip(str(error))
        absent = [outcome for outcome in data.targets if outcome.status == "absent"]
        if absent and len(absent) == len(data.targets):
            pytest.skip("; ".join(outcome.sentence for outcome in absent))
        for outcome in absent:
            self._request.node.user_properties.append((_ABSENT, outcome.target))
        return replace(data, targets=tuple(outcome for outcome in data.targets if outcome.status != "absent"))

    def _found(self, what: Any) -> Any:
        """A relative path from the rootdir, where it exists there."""
        if not isinstance(what, str | os.PathLike):
            return what
        rooted = self._request.config.rootpath / what
        return str(rooted) if rooted.exists() else os.fspath(what)

    def _report(self, data: ReportData) -> Path:
        """Write the HTML report of this test under a name of its own."""
        from bittrue.report.html import HtmlReporter

        self._written += 1
        self._reports.mkdir(parents=True, exist_ok=True)
        path = (self._reports / f"{_file_name(self._request.node.nodeid, self._written)}.html").resolve()
        with path.open("w", encoding="utf-8", newline="\n") as out:
            HtmlReporter().report(data, out)
        self._request.node.user_properties.append((_REPORT, str(path)))
        return path


def _file_name(test: str, number: int) -> str:
    """A test's name as a file's, on every system; two tests never share one."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", test).strip("-.")
    if plain != test or len(plain) > _LONGEST:
        plain = f"{plain[-_LONGEST:]}-{hashlib.sha256(test.encode()).hexdigest()[:8]}"
    return plain + (f"-{number}" if number > 1 else "")


def _message(data: ReportData, judgement: Judgement, report: Path) -> str:
    """What pytest prints: the headline, the layers, the fixes, and where the report is."""
    lines = [outcome.sentence for outcome in data.failures]
    lines += _headlines(data, judgement)
    broken = list(_alike(judgement.violations))
    lines += [f"  {told}" for told in broken[:_SHOWN]]
    if len(broken) > _SHOWN:
        lines.append(f"  and {len(broken) - _SHOWN} more, in the report")
    lines += [f"fix: {fix}" for fix in dict.fromkeys(found.fix for found in judgement.violations if found.fix)]
    name = data.model.source or data.model.name if data.model else "the model"
    return "\n".join([f"{name} is not as expected", *lines, f"report: {report}"])


def _alike(violations: Sequence[Violation]) -> Iterator[str]:
    """A sentence for the layers of one target of which the same is to be said."""
    found: dict[tuple[str, str, str], list[Violation]] = {}
    for one in violations:
        found.setdefault((one.target, one.what, one.why), []).append(one)
    for same in found.values():
        named = ", ".join(f"{one.layer} ({one.class_name})" for one in same[1:_SHOWN])
        more = f" and {len(same) - _SHOWN} more" if len(same) > _SHOWN else ""
        yield f"{same[0]}" + (f"; likewise {named}{more}" if named else "")


def _headlines(data: ReportData, judgement: Judgement) -> Sequence[str]:
    """The headline of the first target that violates something, which is all that a terminal has room for.

    Less its fix and its other faults, which stand below with those of all targets.
    """
    from bittrue.report.words import without_fix

    broken = {found.target for found in judgement.violations}
    said = (one.diagnosis for one in data.targets if one.target in broken and one.diagnosis is not None)
    found = next(said, None)
    said_of_it = without_fix(found) if found else []
    return [sentence for sentence in said_of_it if not sentence.startswith("Independent of it")]
