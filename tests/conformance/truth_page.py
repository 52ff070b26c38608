"""``docs/truth.md``: how far the exact answer is from Keras in float64, from results on disk."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from tests.conformance.cases import Case
from tests.conformance.in_float64 import EPSILON, compared
from tests.conformance.ledger import sources

__all__ = ["lines", "read", "run"]

Row = Mapping[str, Any]


def run(cases: Sequence[Case], place: Path) -> None:
    """Compare what has not been compared yet with the sources as they are; a dated line each."""
    now = sources()
    done = {key for key, row in read(place).items() if row["sources"] == now}
    left = [case for case in cases if case.key not in done]
    print(f"{len(left)} of {len(cases)} cases to compare with Keras in float64", flush=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("a", encoding="utf-8", newline="\n") as file:
        for case in left:
            found = compared(case)
            row: dict[str, Any] = {"case": case.key, "name": case.name, "subject": case.subject, "state": found.state}
            row |= {"relative": _finite(found.relative), "ratio": _finite(found.ratio), "reason": found.reason}
            file.write(json.dumps({**row, "sources": now, "date": date.today().isoformat()}) + "\n")
            file.flush()


def _finite(value: float) -> float:
    return min(float(value), 1e300)


def read(place: Path) -> dict[str, Row]:
    """The last line of each case."""
    text = place.read_text(encoding="utf-8").splitlines() if place.exists() else []
    return {row["case"]: row for row in map(json.loads, text)}


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """The page."""
    states = Counter(row["state"] for row in rows)
    agreed = [row for row in rows if row["state"] == "float64"]
    days = sorted({row["date"] for row in rows})
    yield "# The exact answer against Keras in float64"
    yield ""
    yield _ABOUT.format(days=" to ".join(dict.fromkeys((days[0], days[-1]))))
    largest = max(agreed, key=lambda row: float(row["relative"]))
    yield f"- cases: {len(rows):,} of {len({row['subject'] for row in rows})} classes and functions"
    yield f"- agree in float64: {states['float64']:,}"
    units = f"{largest['relative'] / EPSILON:.3g} · 2⁻⁵²"
    yield f"- largest distance among them, relative to the tensor's largest value: {units} ({largest['name']})"
    yield f"- largest part of float64's bound that one of them took: {max(row['ratio'] for row in agreed):.2f}"
    yield f"- Keras computes in float32: {states['float32']:,}"
    yield f"- disagree: {states['wrong']:,}"
    yield f"- no exact answer, or refused by name: {states['refused']:,}"
    yield f"- Keras refuses the case, or has no kernel for float64: {states['illegal']:,}"
    yield from _by_subject("Where Keras does not compute in float64", rows, "float32")
    yield from _by_subject("Where Keras refuses", rows, "illegal")
    wrong = [row["name"] for row in rows if row["state"] == "wrong"]
    yield from ("", "## Disagreements", "", *(f"- {name}" for name in wrong or ["none"]))


_DISTANCE = " largest relative distance |"

_ABOUT = """Written by `python scripts/conformance.py --float64 --write`, {days}: every case of the
[conformance campaign](coverage.md) built once more with Keras told to compute in float64 throughout, and its answer
held against Bittrue's exact one, on the same weights and inputs. They *agree* where Keras is within the rigorous bound
of float64 arithmetic; where it is not, but within that of float32, Keras computes in float32 although it was told
otherwise, and says nothing about the exact answer beyond that.
"""


def _by_subject(title: str, rows: Sequence[Row], state: str) -> Iterator[str]:
    distances = state == "float32"
    yield from ("", f"## {title}", "", "| class or function | its cases | of them |" + _DISTANCE * distances)
    yield "|---|---|---|" + "---|" * distances
    for subject in dict.fromkeys(row["subject"] for row in rows if row["state"] == state):
        own = [row for row in rows if row["subject"] == subject]
        found = [row for row in own if row["state"] == state]
        distance = f" {max(float(row['relative']) for row in found):.1e} |" if distances else ""
        yield f"| {subject} | {len(own)} | {len(found)} |{distance}"
