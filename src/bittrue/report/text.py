"""A report for the terminal: verdict first, then compact tables. Colours only where the terminal has them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bittrue.comparison import Metrics, document_lines
from bittrue.trace import Check, Provenance

from .data import LayerRow, ReportData, TargetOutcome

__all__ = ["TextReporter", "short"]

_ROWS = 12
"""Layers shown of one target in a report that is not the experiment's."""


class TextReporter:
    """Writes the report as text, at most a screen or two. ``width`` is in columns, None for the terminal's."""

    def __init__(self, width: int | None = None) -> None:
        self._width = width

    def report(self, data: ReportData, out: IO[str]) -> None:
        console = Console(file=out, width=self._width or (None if out.isatty() else 110), highlight=False)
        if data.command == "demo":
            _experiment(data, console)
        _targets_table(data, console)
        for outcome in data.targets:
            if outcome.comparison is not None and not outcome.identical:
                _layers_table(data, outcome, console)
        _remarks(data, console)


def short(value: float | None, digits: int = 3) -> str:
    """``value`` to a few digits. "0" is printed for zero only, so a small value never reads as none."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if value == int(value) and abs(value) < 10**6:
        return str(int(value))
    return f"{value:.{digits}g}"


def _experiment(data: ReportData, console: Console) -> None:
    """The document's own lines for each target, and how many of the published ones they are."""
    for outcome in data.targets:
        if outcome.comparison is None:
            continue
        console.print(f"\n[bold]{outcome.target}[/bold]  {answered(outcome.provenance)}")
        for line in document_lines(outcome.comparison):
            console.print(str(line), soft_wrap=True, markup=False)
    if data.published is not None and data.published.published is not None:
        published = data.published.published
        style = "green" if published.matched == published.lines else "yellow"
        console.print(
            f"\n[{style}]{data.published.target}: {published.matched} of {published.lines} published lines "
            f"reproduced character by character.[/{style}]"
        )
    console.print("\n[bold]What the document could not see[/bold]")


def answered(provenance: Provenance | None) -> str:
    """What answered, in a few words: backend, version, adapter and whether that is software."""
    if provenance is None:
        return ""
    words = [f"{provenance.runtime} {provenance.version}"]
    if provenance.adapter:
        words.append(provenance.adapter + (" [software adapter]" if provenance.software else ""))
    return ", ".join(words).replace("[", r"\[")


def _targets_table(data: ReportData, console: Console) -> None:
    reference = data.reference.provenance
    table = Table(title=f"compared with {reference.target} ({answered(reference)})", title_justify="left", box=None, pad_edge=False)
    table.add_column("target")
    table.add_column("layers", justify="right")
    table.add_column("identical", justify="right")
    table.add_column("largest\nrelative", justify="right")
    table.add_column("ULP\nmedian", justify="right")
    table.add_column("ULP\nmax", justify="right")
    table.add_column("from float64", justify="right")
    table.add_column("Keras from\nfloat64", justify="right")
    table.add_column("answered by")
    for outcome in data.targets:
        table.add_row(*_target_row(data, outcome))
    console.print()
    console.print(table)
    console.print(
        "[dim]relative: largest |difference| over the tensor's largest |value|, worst layer; ULP and distances "
        "(average |difference|) are of the last layer.[/dim]"
    )


def _target_row(data: ReportData, outcome: TargetOutcome) -> list[str | Text]:
    if outcome.comparison is None:
        return [outcome.target, "–", Text(outcome.status, "red"), *["–"] * 5, Text("see below", "dim")]
    rows = [row for row in data.rows(outcome) if row.pair.metrics is not None]
    same = sum(row.pair.metrics is not None and row.pair.metrics.identical for row in rows)
    identical = Text("every bit", "green") if outcome.identical else Text(f"{same} of {len(rows)}", "yellow")
    last = rows[-1] if rows else None
    worst = max((row.pair.metrics.max_abs_to_scale for row in rows if row.pair.metrics), default=0.0)
    metrics = last.pair.metrics if last else None
    return [
        outcome.target,
        str(len(rows)),
        identical,
        short(worst, 2),
        short(metrics.median_ulp if metrics else None),
        short(metrics.max_ulp if metrics else None),
        short(_average(last.own_accuracy if last else None)),
        short(_average(last.reference_accuracy if last else None)),
        _answer(outcome.provenance),
    ]


def _answer(provenance: Provenance | None) -> str:
    if provenance is None:
        return "–"
    software = " (software)" if provenance.software else ""
    return f"{provenance.backend} {provenance.version}{software}"


def _average(metrics: Metrics | None) -> float | None:
    return metrics.average_difference if metrics else None


def _layers_table(data: ReportData, outcome: TargetOutcome, console: Console) -> None:
    rows = data.rows(outcome)
    shown = rows if data.command == "demo" else _telling(rows)
    left_out = f", {len(shown)} of {len(rows)} layers shown" if len(shown) < len(rows) else ""
    table = Table(title=f"{outcome.target}{left_out}", title_justify="left", box=None, pad_edge=False)
    for heading in ("layer", "largest |y|", "different", "average diff.", "relative", "ULP median", "ULP max"):
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    table.add_column("from float64", justify="right")
    table.add_column("reference\nfrom float64", justify="right")
    for row in shown:
        table.add_row(*_layer_row(row))
    console.print()
    console.print(table)


def _layer_row(row: LayerRow) -> list[str]:
    metrics = row.pair.metrics
    if metrics is None:
        return [row.label, *["–"] * 7, row.pair.problem or ""]
    return [
        row.label,
        short(metrics.scale),
        "identical" if metrics.identical else f"{metrics.different_bits} of {metrics.size}",
        short(metrics.average_difference),
        short(metrics.max_abs_to_scale, 2),
        short(metrics.median_ulp),
        short(metrics.max_ulp),
        short(_average(row.own_accuracy)),
        short(_average(row.reference_accuracy)),
    ]


def _telling(rows: list[LayerRow]) -> list[LayerRow]:
    """The rows that say most: the first that differs, the last, and the largest relative differences."""
    if len(rows) <= _ROWS:
        return rows
    differing = [row for row in rows if row.pair.metrics is None or not row.pair.metrics.identical]
    worst = sorted(differing, key=_relative, reverse=True)
    wanted = {id(row) for row in [*differing[:1], rows[-1], *worst[: _ROWS - 2]]}
    return [row for row in rows if id(row) in wanted]


def _relative(row: LayerRow) -> float:
    metrics = row.pair.metrics
    value = metrics.max_abs_to_scale if metrics else math.inf
    return math.inf if math.isnan(value) else value


def _remarks(data: ReportData, console: Console) -> None:
    lines = list(_weights(data))
    for outcome in data.targets:
        lines += [f"{outcome.target}: {text}" for text in _unmatched(outcome)]
        lines += [f"{outcome.target}: {text}" for text in _checks(outcome.checks)]
        if outcome.provenance is not None and outcome.provenance.software:
            lines.append(f"{outcome.target}: the adapter is software; a real GPU may round differently")
    lines += [f"{data.reference.provenance.target}: {text}" for text in _checks(data.reference.checks)]
    lines += [f"no float64 answer for {layer}: {reason}" for layer, reason in data.reference.no_truth.items()]
    lines += data.notes
    console.print()
    for line in lines:
        console.print(f"• {line}", soft_wrap=True, markup=False)


def _weights(data: ReportData) -> Iterable[str]:
    compared = [outcome for outcome in data.targets if outcome.weights]
    differing = [
        f"{outcome.target}: weight {pair.key.layer}[{pair.key.index}] differs"
        for outcome in compared
        for pair in outcome.weights
        if pair.metrics is None or not pair.metrics.identical
    ]
    if compared and not differing:
        yield f"weights: identical in every bit on {len(compared)} of {len(compared)} targets"
    yield from differing


def _unmatched(outcome: TargetOutcome) -> Iterable[str]:
    if outcome.comparison is None:
        return
    sides = (("reference", outcome.comparison.unmatched_reference), ("target", outcome.comparison.unmatched_candidate))
    for side, keys in sides:
        if keys:
            names = ", ".join(str(key) for key in keys[:5])
            yield f"only the {side} has {len(keys)} tensors: {names}{' …' if len(keys) > 5 else ''}"


def _checks(checks: tuple[Check, ...]) -> Iterable[str]:
    return (f"{check.name}: {check.detail}" for check in checks if check.passed is False)
