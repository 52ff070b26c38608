"""A result in a notebook: verdict, targets, hashes of the exact model, layers by target. HTML that needs no script.

Colours are the page's own but for the verdicts', so that it is readable on a light and on a dark theme.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from bittrue.diagnosis import Verdict

from .data import LayerRow, ReportData
from .html.parts import exact, targets, verdict
from .text import short

__all__ = ["notebook_html"]

_SHOWN = 30
"""Layers that are in view; the others are behind a line to click."""

_STYLE = """
.bittrue { font: 14px/1.45 system-ui, sans-serif; max-width: 1000px; }
.bittrue h1 { font-size: 1.35em; margin: 0 0 .2em; } .bittrue h2 { font-size: 1.05em; margin: .8em 0 .2em; }
.bittrue ul { margin: .3em 0; padding-left: 1.4em; } .bittrue p { margin: .2em 0; }
.bittrue .verdict { border-left: 6px solid #808890; padding: .2em 0 .2em 12px; }
.bittrue .verdict.ship { border-color: #0b9a5b; } .bittrue .verdict.stop { border-color: #d9443a; }
.bittrue .verdict.look { border-color: #d96a1b; }
.bittrue .soft { opacity: .75; } .bittrue .small { font-size: .9em; }
.bittrue .scroll { overflow-x: auto; }
.bittrue table { border-collapse: collapse; margin: .3em 0; }
.bittrue th, .bittrue td { text-align: left; padding: 2px 10px 2px 0; border-bottom: 1px solid rgba(128,128,128,.35); }
.bittrue .badge { border: 1px solid currentColor; border-radius: 9px; padding: 0 7px; font-size: .85em; }
.bittrue .identical, .bittrue .rounding { color: #0b9a5b; } .bittrue .unknown { color: #808890; }
.bittrue .approximation, .bittrue .precision { color: #b07d00; } .bittrue .suspicious { color: #d96a1b; }
.bittrue .bug, .bittrue .failed { color: #d9443a; }
"""

_CLASSES = {
    Verdict.NO_TRUTH: "unknown",
    Verdict.PRECISION: "precision",
    Verdict.NON_FINITE: "bug",
}


def notebook_html(data: ReportData) -> str:
    """The result as HTML for a cell's output."""
    parts = verdict(data) + targets(data) + exact(data) + _layers(data)
    # Two results stand in one page: what names a place in it is left out. Text in it has its quotes escaped.
    return f'<div class="bittrue"><style>{_STYLE}</style>{re.sub(_PLACES, "", parts)}</div>'


_PLACES = re.compile(r' (?:id|aria-labelledby)="[^"]*"')


def _layers(data: ReportData) -> str:
    """A line for each output of each layer, a column for each target that was compared."""
    compared = [outcome for outcome in data.targets if outcome.comparison is not None]
    columns = [{row.key: row for row in data.rows(outcome)} for outcome in compared]
    keys = list(dict.fromkeys(key for column in columns for key in column))
    if not keys:
        return ""
    lines: list[str] = []
    faults: list[int] = []
    for key in keys:
        found = [column.get(key) for column in columns]
        first = next(row for row in found if row is not None)
        if any(row is not None and row.diagnosis is not None and row.diagnosis.verdict.is_fault for row in found):
            faults.append(len(lines))
        cells = "".join(f"<td>{_cell(row)}</td>" for row in found)
        lines.append(f'<tr><th scope="row">{escape(first.label)}</th><td>{escape(first.class_name)}</td>{cells}</tr>')
    head = "".join(f'<th scope="col">{escape(outcome.target)}</th>' for outcome in compared)
    head = f'<tr><th scope="col">layer</th><th scope="col">class</th>{head}</tr>'
    caption = "verdict, and the largest |difference| over the layer's largest |value|"
    # What is wrong is in view however deep in the model it is; the first layers fill up.
    view = sorted(list(dict.fromkeys([*faults, *range(len(lines))]))[:_SHOWN])
    hidden = sorted(set(range(len(lines))) - set(view))
    shown, more = _table(head, [lines[at] for at in view]), _more(head, [lines[at] for at in hidden])
    return f'<h2>Layers</h2><p class="soft small">{caption}</p>{shown}{more}'


def _more(head: str, lines: Sequence[str]) -> str:
    return f"<details><summary>{len(lines)} more</summary>{_table(head, lines)}</details>" if lines else ""


def _table(head: str, lines: Sequence[str]) -> str:
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table></div>'


def _cell(row: LayerRow | None) -> str:
    if row is None:
        return "not captured"
    if row.diagnosis is not None:
        said, style = str(row.diagnosis.verdict), _CLASSES.get(row.diagnosis.verdict, str(row.diagnosis.verdict))
    else:
        said, style = ("identical", "identical") if row.pair.identical else ("differs", "unknown")
    figure = f" {short(row.pair.metrics.max_abs_to_scale, 2)}" if row.pair.metrics and not row.pair.identical else ""
    return f'<span class="badge {style}">{escape(said)}</span>{figure}'
