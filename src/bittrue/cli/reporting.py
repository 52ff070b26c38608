"""``bittrue report``: the HTML report of runs that were saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .edge import edge
from .explaining import FAIL_ON
from .options import json_file, quietly, verbosely
from .screen import Screen

__all__ = ["report"]


@click.command()
@click.argument("saved", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    show_default=True,
    metavar="FILE",
    help="The report.",
)
@click.option("--open", "open_report", is_flag=True, help="Open the report in the default browser.")
@click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    default="never",
    show_default=True,
    help="Exit with 1 if a target's verdict is this or more serious; bits: if any bit differs.",
)
@verbosely
@json_file
@quietly
@edge
def report(**options: Any) -> int:
    """Write the HTML report of the runs in the folder SAVED (of `check --save` or `demo`). Runs nothing."""
    from bittrue.pipeline import report as report_saved

    screen = Screen(options["quiet"], options["json_path"], options["out"], options["open_report"], options["verbose"])
    return screen.finish(report_saved(options["saved"]), options["fail_on"])
