"""What a check is held to: ``[tool.bittrue]``, ``--fail-on`` and ``--baseline``; ``--junit`` says how it went."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import click
from click.core import ParameterSource

from bittrue.errors import UsageError

from .screen import Screen, check_writable, write_json

if TYPE_CHECKING:
    from bittrue.report.baseline import Changes
    from bittrue.report.expectations import Expectations, Judgement
    from bittrue.report.many import ManyExamples
    from bittrue.settings import Settings

__all__ = ["Expecting", "expecting"]

P = ParamSpec("P")


def expecting(command: Callable[P, Any]) -> Callable[P, Any]:
    """The options of a command whose result is held to something."""
    options = (
        click.option(
            "--settings",
            "settings_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="The pyproject.toml whose [tool.bittrue] counts [the nearest at or above this folder that has one].",
        ),
        click.option(
            "--baseline",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Record verdicts, hashes and errors of all layers in FILE; where it is there, exit with 1 if a "
            "verdict has changed (and on nothing else, unless --fail-on is given).",
        ),
        click.option("--update-baseline", is_flag=True, help="Record the baseline anew, whatever has changed."),
        click.option(
            "--junit",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Write JUnit XML: a case a target and layer.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True)
class Expecting:
    """What the options and the settings ask for; read before anything runs."""

    settings: Settings
    expected: Expectations
    baseline: Path | None
    earlier: dict[str, Any] | None
    update: bool
    junit: Path | None

    @classmethod
    def of(cls, options: dict[str, Any]) -> Expecting:
        """Raises UsageError for files that cannot be read or written, and for options that exclude one another."""
        path = options["baseline"]
        if options["update_baseline"] and path is None:
            raise UsageError("--update-baseline needs the file: name it with --baseline")
        if path is not None and options["no_explain"]:
            raise UsageError("--baseline needs the verdicts that --no-explain leaves out; drop one of the two")
        for file, what, option in ((path, "baseline", "--baseline"), (options["junit"], "JUnit XML", "--junit")):
            if file is not None:
                check_writable(file, what, option)
        settings = _settings(options["settings_file"])
        if settings.limits and options["no_explain"]:
            raise UsageError(f"{settings.path} sets limits that need the verdict that --no-explain leaves out; drop it")
        earlier = _earlier(path, options["update_baseline"])
        expected = _expected(options["fail_on"], settings, snapshot=path is not None)
        return cls(settings, expected, path, earlier, options["update_baseline"], options["junit"])

    def failed(self, data: Any, screen: Screen) -> bool:
        """Judge the result, say and write what there is to say and write; whether it is to be failed on."""
        from bittrue.report.expectations import judge

        return self._concluded(data, judge(data, self.expected, date.today()), screen)

    def failed_over(self, data: ManyExamples, screen: Screen) -> bool:
        """As `failed`, of a result over many examples."""
        from bittrue.report.expectations import Violation, judge_calls

        calls = [layer for target in data.targets for layer in target.layers]
        most = self.expected.at_most
        whole = [
            Violation(target.target, None, "", target.verdict, f"{target.verdict}, where at most {most} is allowed")
            for target in data.targets
            if target.verdict is not None and all(target.verdict > one for one in (most, *target.verdicts))
        ]
        return self._concluded(data, judge_calls(calls, self.expected, date.today(), whole), screen)

    def _concluded(self, data: Any, judgement: Judgement, screen: Screen) -> bool:
        if self.settings.limits:
            for line in _said(judgement, self.settings):
                screen.say(line)
        found = self._compared(data, screen)
        if self.junit is not None:
            self._write_junit(data, judgement, found, screen)
        return not judgement.passed or bool(found and found.failures)

    def _compared(self, data: Any, screen: Screen) -> Changes | None:
        """What is other than in the baseline; records one where there is none."""
        from bittrue.report.baseline import baseline_of, changes

        if self.baseline is None:
            return None
        if self.earlier is not None and not self.update:
            found = changes(data, self.earlier)
            for line in (*(change.sentence for change in found.failures), *found.notes):
                screen.say(f"baseline: {line}")
            unchanged = "" if found.failures else ": every verdict is as recorded"
            screen.say(f"Baseline: {self.baseline}{unchanged}")
            return found
        if data.failures:
            screen.say(f"Baseline: {self.baseline} is not written, because a target failed")
            return None
        write_json(str(self.baseline), baseline_of(data, self.earlier))
        screen.say(f"Baseline: {self.baseline} is recorded")
        return None

    def _write_junit(self, data: Any, judgement: Judgement, found: Changes | None, screen: Screen) -> None:
        from bittrue.report.junit import JUnitReporter
        from bittrue.tracefile import replacing

        assert self.junit is not None
        changed = None if found is None else [change.sentence for change in found.failures]
        with replacing(self.junit.resolve()) as whole:
            text = io.TextIOWrapper(whole, encoding="utf-8", newline="\n")
            JUnitReporter(judgement, changed).report(data, text)
            text.flush()
            text.detach()
        screen.say(f"JUnit: {self.junit}")


def _settings(file: Path | None) -> Settings:
    from bittrue.settings import find_settings, read_settings

    if file is None:
        return find_settings(Path())
    found = read_settings(file)
    if found.path is None:
        raise UsageError(f"{file} has no [tool.bittrue]; name another file with --settings")
    return found


def _earlier(path: Path | None, update: bool) -> dict[str, Any] | None:
    """The baseline that is there. One that is to be recorded anew need not be readable."""
    from bittrue.report.baseline import read_baseline

    if path is None or not path.exists():
        return None
    try:
        return read_baseline(path)
    except UsageError:
        if update:
            return None
        raise


def _expected(fail_on: str, settings: Settings, *, snapshot: bool) -> Expectations:
    """``--fail-on`` where it is given, else the settings' limit, else its default; a baseline asks for none."""
    from bittrue.diagnosis import Verdict
    from bittrue.report.expectations import Expectations

    from .explaining import least_failing

    given = click.get_current_context().get_parameter_source("fail_on") is ParameterSource.COMMANDLINE
    if given and fail_on == "never":
        return Expectations(Verdict.BUG)
    if not given and (settings.at_most is not None or snapshot):
        at_most = settings.at_most or Verdict.BUG
        return settings.expectations(at_most, bits=at_most is Verdict.IDENTICAL)
    if fail_on == "bits":
        return settings.expectations(Verdict.IDENTICAL, bits=True)
    least = Verdict(least_failing(fail_on))
    return settings.expectations(list(Verdict)[least.severity - 1])


def _said(judgement: Judgement, settings: Settings) -> list[str]:
    lines = [f"not allowed: {found}" for found in judgement.violations]
    lines += [f"excused until {why.expires}: {found}; known: {why.reason}" for found, why in judgement.excused]
    lines += list(judgement.notes)
    return [*lines, f"Held to {settings.path}: {'passed' if judgement.passed else 'failed'}"]
