"""The verdicts for the terminal: one block for targets with the same bits, the answer first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from bittrue.diagnosis import LayerDiagnosis, Verdict

from .data import ReportData, TargetOutcome
from .words import sentences

__all__ = ["STYLE", "assumptions", "paragraph", "print_verdicts"]

STYLE = {
    Verdict.IDENTICAL: "bold green",
    Verdict.ROUNDING: "bold green",
    Verdict.NO_TRUTH: "bold yellow",
    Verdict.APPROXIMATION: "bold yellow",
    Verdict.PRECISION: "bold yellow",
}
_FAULTS = 6
"""Layers at fault that are shown of one target; all are in the JSON."""


def print_verdicts(data: ReportData, console: Console) -> None:
    """What each target's differences are, a sentence a line; what was said of one target is not said again."""
    said: set[str] = set()
    for group in data.groups:
        diagnosis = group[0].diagnosis
        if diagnosis is None:
            continue
        names = ", ".join(outcome.target for outcome in group)
        verdict = Text(str(diagnosis.verdict), STYLE.get(diagnosis.verdict, "bold red"))
        console.print(Text.assemble("\n", verdict, f"  {names}"), soft_wrap=True)
        lead, *more = sentences(diagnosis.headline)
        paragraph(lead, console)
        first = diagnosis.first_fault
        if first is not None or not said:  # of further targets that are as they should be, the answer is enough
            for sentence in more:
                if sentence not in said:
                    paragraph(sentence, console, "  · ")
        said.update(more)
        for line in _others([entry for entry in diagnosis.faults if entry is not first]):
            paragraph(line, console, "  · ")
    for line in assumptions(data.targets):
        paragraph(line, console, style="dim")


def paragraph(text: str, console: Console, mark: str = "  ", style: str = "") -> None:
    """Indented or marked, and broken between words to the console's width; a line that the text itself ends is kept."""
    fill = textwrap.TextWrapper(
        max(console.width, 40), mark, " " * len(mark), break_long_words=False, break_on_hyphens=False
    )
    for line in text.splitlines():
        console.print(Text(fill.fill(line), style), soft_wrap=True)
        fill.initial_indent = fill.subsequent_indent


def _others(faults: Sequence[LayerDiagnosis]) -> Iterator[str]:
    """The faults beside the one that the headline tells of."""
    for entry in faults[:_FAULTS]:
        proven = next((cause for cause in entry.causes if cause.proven), None)
        why = f"{proven.sentence} (proven: {proven.proof})" if proven else entry.sentence
        yield f"{entry.name} ({entry.class_name}): {entry.verdict}; {why}"
    if len(faults) > _FAULTS:
        yield f"and {len(faults) - _FAULTS} more, in the JSON"


def assumptions(outcomes: Sequence[TargetOutcome]) -> Iterator[str]:
    """How much the bounds take for granted, in one sentence; nothing where they take nothing."""
    found = {text for outcome in outcomes if outcome.diagnosis for text in outcome.diagnosis.assumes}
    if found:
        count = f"{len(found)} thing{'s' * (len(found) > 1)} that no backend promises"
        yield f"the bounds assume {count}: see the report, the JSON or 'bittrue explain'"
