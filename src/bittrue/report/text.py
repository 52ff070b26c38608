"""A report for the terminal: the answer first, then compact tables. Colours only where the terminal has them.

Targets whose layer outputs are the same in every bit are shown together, once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import IO

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bittrue.comparison import Metrics, document_lines
from bittrue.traces import Provenance

from .data import LayerRow, ReportData, TargetOutcome
from .verdict_text import print_verdicts

__all__ = ["TextReporter", "short"]

_ROWS = 8
"""Layers shown of one target in a report that is not the experiment's."""

_SHAPE = {"box": None, "pad_edge": False, "title_justify": "left", "title_style": "bold"}


class TextReporter:
    """Writes the report as text. ``width`` is in columns, None for the terminal's."""

    def __init__(self, width: int | None = None) -> None:
        self._width = width

    def report(self, data: ReportData, out: IO[str]) -> None:
        console = Console(file=out, width=self._width or (None if out.isatty() else 110), highlight=False)
        print_verdicts(data, console)
        if data.command == "demo":
            _experiment(data, console)
        _headline(data, console)
        _targets_table(data, console)
        differing = [group for group in data.groups if not group[0].identical]
        for group in differing if data.command == "demo" else _most_telling(differing):
            _layers_table(data, group, console)
        _remarks(data, console)
        _exact(data, console)


def short(value: float | None, digits: int = 3) -> str:
    """``value`` to a few digits. "0" is printed for zero only, so a small value never reads as none."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if value == int(value) and abs(value) < 10**6:
        return str(int(value))
    return f"{value:.{digits}g}"


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


def answered(provenance: Provenance | None) -> str:
    """What answered, in a few words: runtime, version, adapter and whether that is software."""
    if provenance is None:
        return ""
    if provenance.runtime == "keras":
        onednn = provenance.details.get("onednn")
        switch = "" if onednn is None else f", oneDNN {'on' if onednn else 'off'}"
        return f"Keras {provenance.details.get('keras', '?')} on {provenance.backend} {provenance.version}{switch}"
    if provenance.runtime == "document":
        return "JSON as the document's script writes it"
    words = f"{provenance.runtime} {provenance.version}"
    software = "software adapter: " if provenance.software else ""
    return words + (f", {software}{provenance.adapter}" if provenance.adapter else "")


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
        _identical(outcome, measured, len(rows)),
        short(max((_relative(found) for found in measured), default=0.0), 2),
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


def _identical(outcome: TargetOutcome, measured: Sequence[Metrics], layers: int) -> Text:
    if outcome.identical:
        return Text("every bit", "green")
    return Text(f"{sum(metrics.identical for metrics in measured)} of {layers}", "yellow")


def _average(metrics: Metrics | None) -> float | None:
    return metrics.average_difference if metrics else None


def _most_telling(groups: Sequence[list[TargetOutcome]]) -> Sequence[list[TargetOutcome]]:
    """Those with the most serious verdict, the first of them: the rest is in the JSON and in the HTML report."""

    def severity(group: list[TargetOutcome]) -> int:
        return group[0].diagnosis.verdict.severity if group[0].diagnosis else 0

    return sorted(groups, key=severity, reverse=True)[:1]


def _layers_table(data: ReportData, group: Sequence[TargetOutcome], console: Console) -> None:
    rows = data.rows(group[0])
    shown = rows if data.command == "demo" else _telling(rows)
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
        short(_relative(metrics), 2),
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
    worst = sorted(differing, key=lambda row: _relative(row.pair.metrics), reverse=True)
    wanted = {id(row) for row in [*differing[:1], rows[-1], *worst[: _ROWS - 2]]}
    return [row for row in rows if id(row) in wanted]


def _relative(metrics: Metrics | None) -> float:
    """Largest difference over the largest value; infinite where it cannot be told, so that it comes first."""
    value = metrics.max_abs_to_scale if metrics else math.inf
    return math.inf if math.isnan(value) else value


def _remarks(data: ReportData, console: Console) -> None:
    lines = [outcome.sentence for outcome in data.targets if outcome.failure is not None]
    lines += _weights(data)
    for outcome in data.targets:
        lines += [f"{outcome.target}: {text}" for text in _unmatched(outcome)]
    lines += _checks(data)
    lines += [f"no float64 answer for {layer}: {reason}" for layer, reason in data.reference.no_truth.items()]
    lines += _software(data)
    lines += data.notes
    console.print()
    for line in lines:
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


def _software(data: ReportData) -> Iterable[str]:
    names = [
        outcome.target for outcome in data.targets if outcome.provenance is not None and outcome.provenance.software
    ]
    if names:
        yield f"software adapters, on which a real graphics card may differ: {', '.join(names)}"


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


def _checks(data: ReportData) -> Iterable[str]:
    """What failed, and what was asked for (repeated runs) however it went; a sentence once for all it holds for."""
    runs = [(data.reference.provenance.target, data.reference.checks)]
    runs += [(outcome.target, outcome.checks) for outcome in data.targets]
    found: dict[str, list[str]] = {}
    for target, checks in runs:
        for check in checks:
            if check.passed is False or check.name in ("runs", "batch", "budget"):
                found.setdefault(f"{check.name}: {check.detail}", []).append(target)
    return (f"{', '.join(targets)}: {text}" for text, targets in found.items())
