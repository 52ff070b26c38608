"""``bittrue repro``: one layer's difference as a case of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .edge import DONE, edge
from .options import one_layer, quietly, trusting
from .screen import Screen

__all__ = ["repro"]


@click.command()
@one_layer
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The folder for the case."
)
@click.option("--target", metavar="TARGET", help="Of a result with several targets: which [the first where it is off].")
@click.option("--redact", is_flag=True, help="Random weights and inputs that still show the fault, if any do.")
@trusting
@quietly
@edge
def repro(**options: Any) -> int:
    """Write one LAYER (name, or name#call) of a saved run as a page and a script that need no Bittrue."""
    from bittrue.reproducing import repro as write

    screen = Screen(options["quiet"], None)
    written = write(
        options["result"],
        options["layer"],
        options["out"],
        target=options["target"],
        against=options["against"],
        model=options["model"],
        redact=options["redact"],
        trust=options["trust"],
    )
    screen.say(f"{written.folder}: {', '.join(written.files)}")
    screen.say(written.alone)
    return DONE
