"""What is said of the differences: the options of ``check`` and ``demo``, and the command ``explain``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec

import click

from bittrue.errors import UsageError

from .edge import DONE, edge
from .options import json_file, one_layer, quietly, trusting
from .screen import Screen, write_json

__all__ = ["FAIL_ON", "check_explaining", "explain", "explaining", "fails", "least_failing"]

P = ParamSpec("P")

FAIL_ON = ("bits", "rounding", "approximation", "precision", "suspicious", "bug", "never")
"""From the strictest to the most lenient. A NaN or an infinity that is born on one side counts as a bug."""

_LEAST = {
    "rounding": "rounding",
    "approximation": "approximation",
    "precision": "reduced precision",
    "suspicious": "suspicious",
    "bug": "non-finite",
}


def explaining(command: Callable[P, Any]) -> Callable[P, Any]:
    """The options of commands that say what a difference is."""
    options = (
        click.option(
            "--fail-on",
            type=click.Choice(FAIL_ON),
            default="suspicious",
            show_default=True,
            help="Exit with 1 if a target's verdict is this or more serious; bits: if any bit differs.",
        ),
        click.option("--no-explain", is_flag=True, help="Compare only: no exact answer of each layer, no verdict."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def check_explaining(options: dict[str, Any]) -> None:
    """Raise UsageError where --fail-on asks for a verdict that nobody gives."""
    wanted = options["fail_on"]
    if options["no_explain"] and wanted not in ("bits", "suspicious", "never"):
        raise UsageError(f"--fail-on {wanted} needs the verdict that --no-explain leaves out; drop one of the two")


def least_failing(fail_on: str) -> str:
    """The least serious verdict that ``--fail-on`` fails on; for neither ``bits`` nor ``never``."""
    return _LEAST[fail_on]


def fails(data: Any, fail_on: str) -> bool:
    """Whether the result ``data`` is what the user asked to fail on."""
    if fail_on == "bits":
        return any(not outcome.identical for outcome in data.targets)
    least, verdict = _LEAST.get(fail_on), data.verdict
    return least is not None and verdict is not None and bool(verdict >= least)


@click.command()
@one_layer
@trusting
@json_file
@quietly
@edge
def explain(**options: Any) -> int:
    """The evidence for one LAYER (name, or name#call), from a saved trace or a result's JSON. Runs nothing."""
    from bittrue.pipeline import explain as explain_layer
    from bittrue.report.one_layer import print_evidence

    screen = Screen(options["quiet"], options["json_path"])
    found = explain_layer(
        options["result"],
        options["layer"],
        against=options["against"],
        model=options["model"],
        trust=options["trust"],
    )
    if options["json_path"]:
        write_json(options["json_path"], found)
    if not options["quiet"]:
        print_evidence(found, screen.out)
    return DONE
