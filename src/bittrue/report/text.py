"""A report for the terminal: the answer first, then compact tables. Colours only where the terminal has them.

What people read every day is a screen (`brief`); the experiment, and whoever asks for everything, gets the whole text.
In it, targets whose layer outputs are the same in every bit are shown together, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bittrue.comparison import Metrics, document_lines
from bittrue.traces import Provenance

from .brief import print_brief
from .data import LayerRow, ReportData, TargetOutcome
from .remarks import failures, remarks
from .verdict_text import print_verdicts
from .words import answered, relative, short, telling

__all__ = ["TextReporter", "short"]

_ROWS = 8
"""Layers shown of one target in a report that is not the experiment's."""

_SHAPE = {"box": None, "pad_edge": False, "title_justify": "left", "title_style": "bold"}


class TextReporter:
    """Writes the report as text. ``width`` is in columns, None for the terminal's; ``full`` leaves nothing out."""

    def __init__(self, width: int | None = None, *, full: bool = False) -> None:
        self._width = width
        self._full = full

    def report(self, data: ReportData, out: IO[str]) -> None:
        console = Console(file=out, width=self._width or (None if out.isatty() else 110), highlight=False)
        if self._full or data.command == "demo":
            _whole(data, console)
        else:
            print_brief(data, console)
        _exact(data, console)


def _whole(data: ReportData, console: Console) -> None:
    print_verdicts(data, console)
    if data.command == "demo":
        _experiment(data, console)
    _headline(data, console)
    _targets_table(data, console)
    for group in data.groups:
        if not group[0].identical:
            _layers_table(data, group, console)
    _remarks(data, console)


def _experiment(data: ReportData, console: Console) -> None:
    """The document's own lines for each target, and how many of the published ones they are."""
    for group in data.groups:
        console.print()
        for outcome in group:
            console.print(
                f"[bold]{escape(outcome.target)}[/bold]  [dim]{escape(answered(outcome.provenance))}[/dim]",
                soft_wrap=True,
            )
        for line in document_lines(group[0].comparison) if group[0].comparison else ():
            console.print(line, soft_wrap=True, markup=False)
    if data.published is not None and data.published.published is not None:
        published = data.published.published
        style = "green" if published.matched == published.lines else "yellow"
        count = f"{published.matched} of {published.lines} published lines reproduced character by character."
        console.print(f"\n[bold {style}]{data.published.target}: {count}[/]")
    console.print("\n[bold]What the document could not see[/bold]")


def _headline(data: ReportData, console: Console) -> None:
    """Who agrees with whom in every bit."""
    reference = data.reference.provenance
    console.print(
        f"\nCompared with [bold]{escape(reference.target)}[/bold] ({escape(answered(reference))})", soft_wrap=True
    )
    for group in data.groups:
        names = ", ".join(outcome.target for outcome in group)
        if group[0].identical:
            console.print(
                f"[green]identical in every bit with {escape(reference.target)}:[/green] {escape(names)}",
                soft_wrap=True,
            )
        elif len(group) > 1:
            console.print(f"identical in every bit with one another: {escape(names)}", soft_wrap=True)


def _targets_table(data: ReportData, console: Console) -> None:
    truth = ("from\nfloat64", "ref. from\nfloat64") if data.has_truth else ()
    table = Table(**_SHAPE)  # type: ignore[arg-type]
    table.add_column("target", overflow="fold")
    for heading in ("identical\nlayers", "largest\nrelative", "ULP\nmedian", "ULP\nmax", *truth):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("adapter", no_wrap=True)
    for outcome in data.targets:
        target, identical, *figures, adapter = _target_row(data, outcome)
        table.add_row(target, identical, *figures[: 3 + len(truth)], adapter)
    console.print()
    console.print(table)
    if data.groups:
        distances = " and distances from the float64 answer (average |difference|)" if truth else ""
        console.print(
            "[dim]largest relative: of all layers, the largest |difference| over the layer's largest |value|; "
            f"ULP{distances} are of the last layer.[/dim]"
        )


def _target_row(data: ReportData, outcome: TargetOutcome) -> list[str | Text]:
    if outcome.comparison is None:
        return [outcome.target, Text(outcome.status, "red"), *["-"] * 5, Text("see below", "dim")]
    rows = data.rows(outcome)
    measured = [row.pair.metrics for row in rows if row.pair.metrics is not None]
    last = rows[-1] if rows else None
    metrics = last.pair.metrics if last else None
    return [
        outcome.target,
        Text("every bit", "green") if outcome.identical else Text(_identical(measured, len(rows)), "yellow"),
        short(max((relative(found) for found in measured), default=0.0), 2),
        short(metrics.median_ulp if metrics else None),
        short(metrics.max_ulp if metrics else None),
        short(_average(last.own_accuracy if last else None)),
        short(_average(last.reference_accuracy if last else None)),
        _adapter(outcome.provenance),
    ]


def _adapter(provenance: Provenance | None) -> str:
    if provenance is None or provenance.adapter is None:
        return ""
    return "software" if provenance.software else "hardware"


def _identical(measured: Sequence[Metrics], layers: int) -> str:
    return f"{sum(metrics.identical for metrics in measured)} of {layers}"


def _average(metrics: Metrics | None) -> float | None:
    return metrics.average_difference if metrics else None


def _layers_table(data: ReportData, group: Sequence[TargetOutcome], console: Console) -> None:
    rows = data.rows(group[0])
    shown = rows if data.command == "demo" else telling(rows, _ROWS)
    left_out = f": {len(shown)} of {len(rows)} layers" if len(shown) < len(rows) else ""
    console.print(f"\n[bold]{escape(' = '.join(outcome.target for outcome in group))}[/bold]{left_out}", soft_wrap=True)
    truth = ("from\nfloat64", "ref. from\nfloat64") if data.has_truth else ()
    table = Table(**_SHAPE)  # type: ignore[arg-type]
    table.add_column("layer", overflow="fold")
    for heading in (
        "largest\n|value|",
        "differ",
        "average\ndiff.",
        "largest\nrelative",
        "ULP\nmedian",
        "ULP\nmax",
        *truth,
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in shown:
        table.add_row(*_layer_row(row)[: 7 + len(truth)])
    console.print(table)
    for row in shown:
        if row.pair.problem:
            console.print(f"{escape(row.label)}: {escape(row.pair.problem)}", soft_wrap=True)


def _layer_row(row: LayerRow) -> list[str]:
    metrics = row.pair.metrics
    if metrics is None:
        return [row.label, *["-"] * 8]
    return [
        row.label,
        short(metrics.scale),
        "none" if metrics.identical else f"{metrics.different_bits} of {metrics.size}",
        short(metrics.average_difference),
        short(relative(metrics), 2),
        short(metrics.median_ulp),
        short(metrics.max_ulp),
        short(_average(row.own_accuracy)),
        short(_average(row.reference_accuracy)),
    ]


def _remarks(data: ReportData, console: Console) -> None:
    console.print()
    for line in (*failures(data), *remarks(data)):
        console.print(f"• {line}", soft_wrap=True, markup=False)


def _exact(data: ReportData, console: Console) -> None:
    """The answer to the experiment's question: the outputs of the exact model, hash beside hash."""
    proof = data.exact
    if proof is None:
        return
    console.print("\n[bold]The same model, exported as an exact one[/bold]")
    width = max((len(target) for target in (*proof.hashes, *proof.failures)), default=0)
    for target, digest in proof.hashes.items():
        console.print(f"{target:<{width}}  {digest}", soft_wrap=True, markup=False)
    for target, sentence in proof.failures.items():
        console.print(f"{target:<{width}}  {sentence}", soft_wrap=True, markup=False)
    count = f"SHA-256 of all {proof.values} values of its outputs"
    if proof.identical:
        console.print(f"[bold green]the same bits in {len(proof.hashes)} of {len(proof.hashes)} places[/] ({count})")
    elif proof.refuted:
        console.print(f"[bold red]not the same bits everywhere[/] ({count})")
