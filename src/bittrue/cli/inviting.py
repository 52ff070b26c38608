"""How a person is asked to open a page on a device: its address, and the same as a QR code for a camera."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bittrue.runtimes.device import Invitation

__all__ = ["code", "invite"]

_BLACK_ON_WHITE = "\033[38;5;16;48;5;231m"
_END = "\033[0m"
_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def invite(invitation: Invitation) -> None:
    """Say on standard error what to open, with a QR code where that is a terminal; even where all else is quiet."""
    # While progress is shown, standard error stands for a terminal and does not say so.
    stream: Any = getattr(sys.stderr, "rich_proxied_file", sys.stderr)
    terminal = stream.isatty()
    said = list(invitation.sentences)
    if terminal and _shows_blocks(stream.encoding):
        said += ["", *code(invitation.url, coloured="NO_COLOR" not in os.environ), ""]
    click.echo("\n".join(said), err=True, color=terminal)


def _shows_blocks(encoding: str | None) -> bool:
    try:
        "".join(_HALVES.values()).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def code(text: str, *, coloured: bool) -> list[str]:
    """The lines of a QR code of ``text``, two rows of modules a line, with the quiet zone of four that cameras need.

    ``coloured``: dark on light whatever the terminal's colours are. Without, what is light is drawn and what is dark is
    left, as it has to be on a dark terminal.
    """
    import segno

    modules = [list(row) for row in segno.make(text, micro=False).matrix_iter(border=4)]
    if len(modules) % 2:
        modules.append([0] * len(modules[0]))
    lines = [_line(upper, lower, coloured) for upper, lower in zip(modules[::2], modules[1::2], strict=True)]
    return [f"{_BLACK_ON_WHITE}{line}{_END}" for line in lines] if coloured else lines


def _line(upper: Sequence[int], lower: Sequence[int], coloured: bool) -> str:
    pairs = ((int(bool(one) == coloured), int(bool(two) == coloured)) for one, two in zip(upper, lower, strict=True))
    return "".join(_HALVES[pair] for pair in pairs)
