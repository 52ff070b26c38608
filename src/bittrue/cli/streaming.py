"""``bittrue check --batch-size N``: many examples, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import click

from .edge import DONE, FAILED_COMPARISON, TARGET_FAILED
from .expecting import Expecting
from .options import run_of
from .screen import Screen, write_json

__all__ = ["check_streamed", "streaming"]

P = ParamSpec("P")


def streaming(command: Callable[P, Any]) -> Callable[P, Any]:
    """The option that makes many examples of the input."""
    option = click.option(
        "--batch-size",
        type=click.IntRange(1),
        metavar="N",
        help="Run the examples of --input N at a time, and say per layer which is the worst and how they spread, and "
        "whose label flips. With --save it goes on where it stopped.",
    )
    return option(command)


def check_streamed(options: dict[str, Any], model: Path, candidate: Path | None, held: Expecting) -> int:
    """The command, where ``--batch-size`` is given."""
    from bittrue.pipeline import check_examples
    from bittrue.report.many import as_data, print_examples

    screen = Screen(options["quiet"], options["json_path"], options["report"], options["open_report"])
    with screen.progress() as progress:
        data, worst = check_examples(
            model,
            options["inputs"],
            options["targets"] or held.settings.targets,
            batch_size=options["batch_size"],
            candidate=candidate,
            count=options["batch"],
            against=options["against"],
            preprocessing=options["preprocessing"],
            run=run_of(options, progress),
            closer=screen.report is not None,
        )
    if options["json_path"]:
        write_json(options["json_path"], as_data(data))
    if not screen.quiet:
        print_examples(data, screen.out, full=options["verbose"])
    if worst is not None:
        screen.write_report(worst)
    failed = held.failed_over(data, screen)
    for sentence in data.failures if screen.unseen else ():
        click.echo(f"bittrue: {sentence}", err=True)
    return TARGET_FAILED if data.failures else FAILED_COMPARISON if failed else DONE
