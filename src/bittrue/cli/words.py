"""How the words of a command line are read: ``--in`` takes one or several targets."""

from __future__ import annotations

import re
from pathlib import Path

import click

__all__ = ["TargetCommand", "spread"]

_LIKE_TARGET = re.compile(r"[a-z]{3,}(/[a-z-]+)?:[a-z0-9]+|device(,|$)")


class TargetCommand(click.Command):
    """Takes several targets after one ``--in``: ``--in chrome:webgl node:cpu`` as well as commas and repetition."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread(args))


def spread(args: list[str]) -> list[str]:
    """``--in a b`` as ``--in a --in b``, where b looks like a target and names no file."""
    words: list[str] = []
    for word in args:
        follows = len(words) > 1 and words[-2] == "--in"
        words += ["--in", word] if follows and _LIKE_TARGET.match(word) and not Path(word).exists() else [word]
    return words
