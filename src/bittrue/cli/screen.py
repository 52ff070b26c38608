"""Where a command prints, and the files of results that it writes."""

from __future__ import annotations

import io
import os
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import click

from bittrue.errors import UsageError

from .edge import DONE, FAILED_COMPARISON, TARGET_FAILED

__all__ = ["Screen", "check_writable", "write_json"]

_REPORT = "bittrue-report.html"  # where it is to be opened and no file is named


class Screen:
    """Where a command prints: standard output, or standard error when the JSON goes to standard output."""

    def __init__(
        self,
        quiet: bool,
        json_path: str | None,
        report: Path | None = None,
        open_report: bool = False,
        verbose: bool = False,
    ) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self.json_path = json_path
        self.report = report or (Path(_REPORT) if open_report else None)
        self.open_report = open_report
        self.out: IO[str] = sys.stderr if json_path == "-" else sys.stdout
        if json_path and json_path != "-":
            check_writable(Path(json_path), "JSON", "--json")  # before anything runs, and not when all is done
        if report:
            check_writable(report, "report", "--report")

    def say(self, line: str) -> None:
        if not self.quiet:
            click.echo(line, file=self.out)

    def progress(self) -> Any:
        from bittrue.cli.progress import terminal_progress

        return terminal_progress(sys.stderr, quiet=self.quiet)

    @property
    def unseen(self) -> bool:
        """Whether whoever reads standard error has not just read the report."""
        return self.quiet or not (self.out.isatty() and sys.stderr.isatty())

    def finish(self, data: Any, fail_on: str, held: Callable[[Any, Screen], bool] | None = None) -> int:
        """Print the report and say what to exit with: as ``held`` says whether it failed, else as ``fail_on`` does."""
        from bittrue.report.json import as_data
        from bittrue.report.text import TextReporter

        if self.json_path and self.json_path != "-":
            write_json(self.json_path, as_data(data))
        if not self.quiet:
            TextReporter(full=self.verbose).report(data, self.out)
        if self.json_path == "-":
            write_json(self.json_path, as_data(data))
        self.write_report(data)
        from bittrue.cli.explaining import fails

        failed = held(data, self) if held else fails(data, fail_on)
        failures = [failed.sentence for failed in data.failures]
        failures += data.exact.failures.values() if data.exact else []
        if failures:
            for sentence in failures if self.unseen else ():
                click.echo(f"bittrue: {sentence}", err=True)
            return TARGET_FAILED
        refuted = data.exact is not None and data.exact.refuted
        return FAILED_COMPARISON if refuted or failed else DONE

    def write_report(self, data: Any) -> None:
        """Write the HTML report, where one is asked for, and open it."""
        if self.report is None:
            return
        from bittrue.report.html import HtmlReporter
        from bittrue.tracefile import replacing

        path = self.report.resolve()
        with replacing(path) as whole:
            text = io.TextIOWrapper(whole, encoding="utf-8", newline="\n")
            HtmlReporter().report(data, text)
            text.flush()
            text.detach()
        self.say(f"Report: {path}")
        if self.open_report:
            webbrowser.open(path.as_uri())


def write_json(path: str, data: Any) -> None:
    import json

    from bittrue.tracefile import replacing

    text = json.dumps(data, indent=1, allow_nan=False) + "\n"
    if path == "-":
        click.echo(text, nl=False)
        return
    file = Path(path).resolve()
    if file.exists() and not file.is_file():  # a device or a pipe has no half-written state, and must not be replaced
        file.write_text(text, encoding="utf-8")
        return
    with replacing(file) as whole:
        whole.write(text.encode())


def check_writable(file: Path, what: str, option: str) -> None:
    """Raise UsageError where the result could not be written to ``file``."""
    place = file if file.exists() and not file.is_file() else file.parent
    if file.is_dir():
        reason = "it is a folder"
    elif not file.parent.is_dir():
        reason = f"there is no folder {file.parent}"
    elif not os.access(place, os.W_OK):
        reason = f"{place} may not be written to"
    else:
        return
    raise UsageError(f"the {what} cannot be written to {file}, because {reason}; name another file with {option}")
