"""The report on one screen: the verdict, a line a target, the layers that say most, and what else is to be said.

Thirty lines for eight targets, whatever the model's size. Everything is in the whole text (``--verbose``), the HTML
report and ``bittrue explain``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_uppercase

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bittrue.diagnosis import Diagnosis, Verdict

from .data import LayerRow, ReportData, TargetOutcome
from .remarks import failures, remarks
from .verdict_text import STYLE, assumptions, paragraph
from .words import answered, decisions_in_words, elided, relative, short, telling, without_fix

__all__ = ["print_brief"]

_LINES = 11  # of targets and layers together, as far as three layers are left
_NAMED = 3  # targets that a verdict names; of more it says how many, and the table says which
_VERDICTS = 3
_REMARKS = 6
_NAME = 42  # characters of a layer's name: a line stays one on a screen of 110
_OTHERS = 4  # faults beside the first that are named
_SHAPE = {"box": None, "pad_edge": False, "title_justify": "left", "title_style": "bold"}


def print_brief(data: ReportData, console: Console) -> None:
    """Print ``data`` on one screen."""
    _verdicts(data, console)
    _targets(data, console)
    _layers(data, console)
    said = [*remarks(data), *assumptions(data.targets)]
    failed = failures(data)
    if said or failed:
        console.print()
    more = [f"{len(said) - _REMARKS} more remarks: --verbose"] if len(said) > _REMARKS else []
    for line in (*failed, *said[:_REMARKS], *more):
        paragraph(line, console, "• ")


def _verdicts(data: ReportData, console: Console) -> None:
    """The most serious first; targets of which the same is to be said are told of together."""
    blocks = sorted(_alike(data), key=lambda block: _diagnosis(block[0]).verdict.severity, reverse=True)
    compared = sum(len(block) for block in blocks)
    if blocks:
        console.print()
    for block in blocks[:_VERDICTS]:
        found = _diagnosis(block[0])
        names = ", ".join(outcome.target for outcome in block)
        if len(block) > _NAMED:
            names = f"all {compared} targets" if len(block) == compared else f"{len(block)} of {compared} targets"
        console.print(
            Text.assemble((str(found.verdict), STYLE.get(found.verdict, "bold red")), f"  {names}"), soft_wrap=True
        )
        if block is blocks[0] or found.first_fault is not None:
            for line in _said(found):
                paragraph(line, console)
    if len(blocks) > _VERDICTS:
        left = {str(_diagnosis(block[0]).verdict): None for block in blocks[_VERDICTS:]}
        console.print(f"and on the other targets {', '.join(left)}: --verbose tells why", soft_wrap=True)


def _alike(data: ReportData) -> list[list[TargetOutcome]]:
    """The targets with one verdict for one reason, together: those first that differ most."""
    found: dict[tuple[object, ...], list[TargetOutcome]] = {}
    for outcome in data.targets:
        if outcome.diagnosis is not None:
            found.setdefault(_reason(outcome.diagnosis), []).append(outcome)
    return [sorted(block, key=lambda outcome: -_largest(data, outcome)) for block in found.values()]


def _reason(found: Diagnosis) -> tuple[object, ...]:
    first = found.first_fault
    causes = tuple(cause.cause for cause in first.causes if cause.proven) if first else ()
    return found.verdict, first and (first.name, first.side), causes


def _said(found: Diagnosis) -> Iterator[str]:
    yield without_fix(found)[0]
    first = found.first_fault
    if first is None:
        return
    fix = next((cause.fix for cause in first.causes if cause.proven and cause.fix), None)
    if fix:
        yield f"fix: {fix}"
    others = [f"{entry.name} ({entry.verdict})" for entry in found.faults if entry is not first]
    if others:
        more = f" and {len(others) - _OTHERS} more" if len(others) > _OTHERS else ""
        yield f"at fault by themselves too: {', '.join(others[:_OTHERS])}{more}"


def _targets(data: ReportData, console: Console) -> None:
    """A line a target, and below it what the columns are."""
    letters = _letters(data)
    columns = ["verdict", *(["bits"] if letters else []), "identical", "relative", "ULP"]
    decided = any(outcome.diagnosis and outcome.diagnosis.decisions for outcome in data.targets)
    columns += ["decisions"] if decided else []
    table = Table(**_SHAPE)  # type: ignore[arg-type]
    table.add_column("target", overflow="fold")
    for name in columns:
        table.add_column(name, justify="left" if name in ("verdict", "decisions") else "right", no_wrap=True)
    for outcome in data.targets:
        cells = _target(data, outcome) | {"bits": letters.get(outcome.target, "")}
        table.add_row(escape(outcome.target), *(cells[name] for name in columns))
    console.print()
    console.print(table)
    reference = data.reference.provenance
    same = " Same letter: same bits." if letters else ""
    console.print(
        f"[dim]Compared with {escape(reference.target)} ({escape(answered(reference))}).{same} relative: largest "
        "|difference| over largest |value| of any layer; ULP: largest of the last layer.[/dim]"
    )


def _letters(data: ReportData) -> dict[str, str]:
    """By target, a letter for its bits; nothing where no two targets have the same."""
    groups = [group for group in data.groups if not group[0].identical]
    if all(len(group) == 1 for group in groups) or len(groups) > len(ascii_uppercase):
        return {}
    return {outcome.target: letter for letter, group in zip(ascii_uppercase, groups, strict=False) for outcome in group}


def _target(data: ReportData, outcome: TargetOutcome) -> dict[str, str | Text]:
    if outcome.comparison is None:
        return dict.fromkeys(("identical", "relative", "ULP", "decisions"), "-") | {
            "verdict": Text(outcome.status, "red")
        }
    rows, found = data.rows(outcome), outcome.diagnosis
    last = rows[-1].pair.metrics if rows else None
    same = sum(bool(row.pair.metrics and row.pair.metrics.identical) for row in rows)
    verdict = found.verdict if found else Verdict.IDENTICAL if outcome.identical else None
    return {
        "verdict": Text(str(verdict), STYLE.get(verdict, "bold red")) if verdict else Text("differs", "yellow"),
        "identical": Text("every bit", "green") if outcome.identical else f"{same} of {len(rows)}" if rows else "-",
        "relative": short(_largest(data, outcome), 2),
        "ULP": short(last.max_ulp if last else None),
        "decisions": decisions_in_words(found) if found else "-",
    }


def _layers(data: ReportData, console: Console) -> None:
    """Of the target with the most serious verdict that differs most, the layers that say most."""
    differing = [one for one in data.targets if not one.identical and data.rows(one)]
    if differing:
        outcome = max(differing, key=lambda one: (_severity(one), _largest(data, one)))
        rows = data.rows(outcome)
        shown = telling(rows, max(3, min(8, _LINES - len(data.targets))))
        left_out = f", {len(shown)} of {len(rows)} layers" if len(shown) < len(rows) else ""
        table = Table(title=escape(f"{outcome.target}{left_out}"), **_SHAPE)  # type: ignore[arg-type]
        table.add_column("layer", overflow="fold")
        diagnosed = outcome.diagnosis is not None
        if diagnosed:
            table.add_column("verdict", no_wrap=True)
        for name in ("|value|", "differ", "relative", "median ULP", "max ULP"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in shown:
            table.add_row(escape(elided(row.label, _NAME)), *(_layer(row) if diagnosed else _layer(row)[1:]))
        console.print()
        console.print(table)
        for row in shown:
            if row.pair.problem:
                console.print(f"{row.label}: {row.pair.problem}", soft_wrap=True, markup=False)


def _layer(row: LayerRow) -> Sequence[str | Text]:
    """Verdict and figures of one layer."""
    found, metrics = row.diagnosis, row.pair.metrics
    verdict = Text(str(found.verdict), STYLE.get(found.verdict, "bold red")) if found else Text("-")
    if metrics is None:
        return [verdict, *["-"] * 5]
    return [
        verdict,
        short(metrics.scale),
        "none" if metrics.identical else f"{metrics.different_bits} of {metrics.size}",
        short(relative(metrics), 2),
        short(metrics.median_ulp),
        short(metrics.max_ulp),
    ]


def _largest(data: ReportData, outcome: TargetOutcome) -> float:
    """The largest difference of any layer over its largest value; infinite where one cannot be told."""
    measured = (row.pair.metrics for row in data.rows(outcome))
    return max((relative(metrics) for metrics in measured if metrics is not None), default=0.0)


def _severity(outcome: TargetOutcome) -> int:
    return outcome.diagnosis.verdict.severity if outcome.diagnosis else 0


def _diagnosis(outcome: TargetOutcome) -> Diagnosis:
    assert outcome.diagnosis is not None
    return outcome.diagnosis
