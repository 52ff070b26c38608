"""The documentation as the tests read it: code blocks, and the commands in them with what they are said to print.

A block whose commands the tests do not run says so to the reader: a line ``*Not run by the tests: REASON.*`` directly
above it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(
    r"(?:^\*Not run by the tests: (?P<reason>[^*]+)\.\*\n\n)?"
    r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block. ``reason``: why the tests do not run it, None if they do."""

    language: str
    text: str
    reason: str | None


def pages() -> list[Path]:
    """Every page that is written, not generated."""
    return sorted(DOCS.rglob("*.md"))


def blocks(page: Path, *languages: str) -> list[Block]:
    """Those of a page in the languages named."""
    found = [Block(m["language"], m["text"], m["reason"]) for m in _BLOCK.finditer(page.read_text(encoding="utf-8"))]
    return [block for block in found if block.language in languages]


def commands(block: Block) -> Iterator[tuple[str, str | None]]:
    """Each command of a block, with what it is said to print (None in ``sh`` blocks, which say nothing of that)."""
    if block.language == "console":
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            yield command, printed
    else:
        yield from ((command, None) for command in _whole(block.text.splitlines()))


def _whole(lines: list[str]) -> Iterator[str]:
    """The commands on some lines, less their comments; one goes on while a quotation is open."""
    waiting = ""
    for line in lines:
        waiting += line + "\n"
        try:
            words = shlex.split(waiting, comments=True)
        except ValueError:
            continue
        if words:
            yield re.sub(r"\s#[^'\"]*$", "", waiting.strip())
        waiting = ""
    assert not waiting, f"a quotation is not closed: {waiting}"


def fits(printed: str, said: str) -> bool:
    """Whether ``printed`` is what a page says, where "…" stands for anything."""
    pattern = ".*".join(re.escape(piece) for piece in said.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None
