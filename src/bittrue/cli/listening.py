"""``bittrue listen``: take recordings of a page's own calls."""

from __future__ import annotations

import queue
from pathlib import Path

import click

from .edge import DONE, edge
from .options import quietly

__all__ = ["listen"]

_TICK = 0.25  # seconds between chances for Ctrl-C


@click.command()
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("recorded"),
    show_default=True,
    metavar="DIR",
    help="Folder for the recordings.",
)
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N recordings. Default: at Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on [any free one].")
@quietly
@edge
def listen(out: Path, count: int | None, port: int, quiet: bool) -> int:
    """Take what `bittrue/recorder` posts from a page: the tensors that it really feeds to its model.

    Listens on this machine alone, at an address that nobody can guess. Put a recording beside Python's tensors with
    `bittrue compare`.
    """
    from bittrue.runtimes.listening import Listener

    taken: queue.Queue[Path] = queue.Queue()
    with Listener(out, taken.put, port=port) as listener:
        click.echo(f"Listening: recorder.post({listener.url!r})", err=quiet)
        done = 0
        while count is None or done < count:
            try:
                path = taken.get(timeout=_TICK)
            except queue.Empty:
                continue
            done += 1
            if not quiet:
                click.echo(f"{path}: compare it with bittrue compare REFERENCE {path}")
    return DONE
