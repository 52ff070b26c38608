"""``docs/coverage.md`` out of the results: the summary, what does not run and why, and a row a case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.conformance.generation import Campaign
from tests.conformance.ledger import Row, counted, state_of
from tests.conformance.running import TARGETS

from bittrue.conversion.tfjs.defects import DEFECTS

__all__ = ["page", "write"]

_SHORT = {target: target.partition("+")[0] for target in TARGETS}


def write(found: Campaign, results: Mapping[str, Row], place: Path) -> None:
    """Write the page to ``place``."""
    place.write_text("\n".join(page(found, results)) + "\n", encoding="utf-8", newline="\n")


def page(found: Campaign, results: Mapping[str, Row]) -> Iterator[str]:
    """The lines of the page."""
    rows = [results[case.key] for case in found.cases if case.key in results]
    yield from _summary(found, rows)
    yield from _refused(rows)
    yield from _defects()
    yield from _left_out(found)
    yield from _table(rows)


def _summary(found: Campaign, rows: list[Row]) -> Iterator[str]:
    counts = counted({row["case"]: row for row in rows})
    legal = len(rows) - counts["illegal"]
    days = sorted({row["date"][:10] for row in rows}) or ["never"]
    classes = {row["subject"] for row in rows if row["kind"] == "layer"}
    yield "# What converts, and how faithfully"
    yield ""
    yield "Written by `make conformance` from its results; do not edit. Every layer class and activation of Keras,"
    yield "with every option that changes the numbers, is converted, run, and compared with the float64 evaluation of"
    yield "the same model, which is itself compared with Keras. Cases are generated from Keras's signatures."
    yield ""
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    yield f"Run on {span}: {legal} cases, {len(classes)} classes of layers."
    yield ""
    yield "| result | cases |"
    yield "|---|---:|"
    for state, words in _WORDS.items():
        if state != "illegal":
            yield f"| {words} | {counts[state]}{_share(counts, state, legal)} |"
    yield ""
    missing = len(found.cases) - len(rows)
    if missing:
        yield f"{missing} cases have not been run."
        yield ""
    yield "| backend | within rounding | approximation | other |"
    yield "|---|---:|---:|---:|"
    for target in TARGETS:
        verdicts = Counter(row["targets"][target]["verdict"] for row in rows if target in row["targets"])
        others = verdicts.total() - verdicts["rounding"] - verdicts["approximation"]
        yield f"| `{target}` | {verdicts['rounding']} | {verdicts['approximation']} | {others} |"
    yield ""


_WORDS = {
    "rounding": "within rounding on every backend",
    "approximation": "within a documented approximation of a backend's own function",
    "refused": "refused by name, in both forms",
    "failed": "fails loudly on a backend",
    "wrong": "**silently wrong**",
    "illegal": "refused by Keras",
}


def _share(counts: Mapping[str, int], state: str, legal: int) -> str:
    return f" ({counts[state] / legal:.1%})" if state == "refused" and legal else ""


def _refused(rows: list[Row]) -> Iterator[str]:
    for state, title in (("refused", "Refused"), ("wrong", "Silently wrong"), ("failed", "Fails loudly")):
        own = [row for row in rows if state_of(row) == state]
        if not own:
            continue
        yield f"## {title}"
        yield ""
        yield "| case | why |"
        yield "|---|---|"
        for row in own:
            notes = "; ".join(
                f"{_SHORT.get(t, t)}: {o['note'] or o['verdict']}"
                for t, o in row["targets"].items()
                if o["verdict"] in ("wrong", "failed")
            )
            yield f"| `{_cell(row['name'])}` | {_cell(row['reason'] if row['state'] != 'ready' else notes)} |"
        yield ""


def _defects() -> Iterator[str]:
    yield "## Defects of backends, written around"
    yield ""
    yield "Each has a repro in plain TensorFlow.js in `tests/conformance/defects`, and a test that runs it."
    yield ""
    yield "| defect | what goes wrong, and where | what is written instead |"
    yield "|---|---|---|"
    for name, defect in DEFECTS.items():
        where = f"{', '.join(defect.backends)} of {defect.seen}"
        yield f"| `{name}` | {defect.op}, {defect.condition}: {defect.effect} ({where}) | {defect.rewriting} |"
    yield ""


def _left_out(found: Campaign) -> Iterator[str]:
    yield "## Not tried, and why"
    yield ""
    for name, reason in sorted(found.absent.items()):
        yield f"- `{name}`: {reason}"
    by_reason: dict[str, set[str]] = {}
    for (_, option), reason in found.inert.items():
        by_reason.setdefault(reason, set()).add(option)
    yield ""
    yield "Options that cannot change what is computed at inference:"
    yield ""
    for reason, options in sorted(by_reason.items()):
        yield f"- {', '.join(f'`{name}`' for name in sorted(options))}: {reason}"
    yield ""
    gaps = ", ".join(f"`{owner}.{option}`" for owner, option in found.gaps)
    yield f"Gaps, options with no values to try: {gaps or 'none'}."
    yield ""


def _table(rows: list[Row]) -> Iterator[str]:
    yield "## Every case"
    yield ""
    yield "`=` within rounding, `~` within a documented approximation, each with the distance to the exact answer in"
    yield "parts of the bound. L is a layers-model, G a graph-model."
    yield ""
    yield f"| case | form | {' | '.join(_SHORT[target] for target in TARGETS)} |"
    yield f"|---|---|{'---|' * len(TARGETS)}"
    for row in rows:
        if row["state"] == "illegal":
            continue
        cells = [_verdict(row, target) for target in TARGETS]
        form = {"layers-model": "L", "graph-model": "G"}.get(
            row["form"], "refused" if row["state"] == "refused" else ""
        )
        yield f"| `{_cell(row['name'])}` | {form} | {' | '.join(cells)} |"


def _verdict(row: Row, target: str) -> str:
    outcome = row["targets"].get(target)
    if outcome is None:
        return "" if row["state"] == "refused" else row["state"]
    if outcome["verdict"] == "rounding":
        return f"= {float(outcome['worst']):.2g}"
    if outcome["verdict"] == "approximation":
        return f"~ {float(outcome['worst']):.2g} ({outcome['note'].partition(':')[0]})"
    return f"**{outcome['verdict']}**"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")
