"""Results of the campaign on disk: JSON lines, one a case, dated, the last of a case counts."""

from __future__ import annotations

import datetime
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.conformance.running import Outcome, Prepared

import bittrue

__all__ = ["GOOD", "Ledger", "Row", "counted", "done", "read", "state_of", "summary"]

Row = Mapping[str, Any]

GOOD = frozenset({"rounding", "approximation"})
"""Verdicts of a case that ran which say that it was faithful."""


def sources() -> str:
    """A hash of the sources that results depend on: what was found with others is no longer known."""
    total = sha256()
    root = Path(bittrue.__file__).parent
    parts = ("graph", "ops", "model", "conversion", "web", "runtimes")
    for path in sorted(path for part in parts for path in (root / part).rglob("*") if path.suffix in _SOURCES):
        total.update(path.relative_to(root).as_posix().encode())
        total.update(path.read_bytes())
    return total.hexdigest()[:12]


_SOURCES = (".py", ".js", ".mjs", ".json")


class Ledger(AbstractContextManager["Ledger"]):
    """Enters results into a file as they come."""

    def __init__(self, place: Path, targets: list[str]) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        self._file = place.open("a", encoding="utf-8", newline="\n")
        self._targets = targets
        self._sources = sources()

    def enter(self, item: Prepared, outcomes: Mapping[str, Outcome]) -> None:
        """One more line."""
        row = {
            "case": item.case.key,
            "name": item.case.name,
            "subject": item.case.subject,
            "kind": item.case.kind,
            "state": item.state,
            "form": item.form,
            "reason": item.reason.replace(item.case.key, "K"),
            "keras": item.keras,
            "asked": self._targets,
            "targets": {target: _plain(asdict(outcome)) for target, outcome in outcomes.items()},
            "sources": self._sources,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        }
        self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()

    def __exit__(self, *error: object) -> None:
        self._file.close()


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in facts.items()
    }


def read(folder: Path) -> dict[str, Row]:
    """The last line of each case, of all shards; a line cut short by the end of a run is left out."""
    rows: list[Row] = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
    return {row["case"]: row for row in sorted(rows, key=lambda row: row["date"])}


def done(folder: Path, targets: list[str]) -> set[str]:
    """The cases that have been run on all of ``targets`` with the sources as they are."""
    now = sources()
    return {key for key, row in read(folder).items() if row["sources"] == now and set(targets) <= set(row["asked"])}


def state_of(row: Row) -> str:
    """What a case came to as a whole: the worst of its targets' verdicts, or why it did not run."""
    if row["state"] != "ready":
        return str(row["state"])
    verdicts = {outcome["verdict"] for outcome in row["targets"].values()}
    for worst in ("wrong", "failed", "approximation"):
        if worst in verdicts:
            return worst
    return "rounding"


def counted(results: Mapping[str, Row]) -> Counter[str]:
    """How many cases came to what."""
    return Counter(state_of(row) for row in results.values())


def summary(results: Mapping[str, Row], say: Callable[[str], None]) -> int:
    """Say what is not as it should be, and how many cases came to what; the exit code."""
    for row in results.values():
        state = state_of(row)
        if state == "wrong" or state == "failed":
            say(f"{state}: {row['name']} ({row['form']}) {row['reason'] if row['state'] != 'ready' else ''}")
        for target, outcome in row["targets"].items():
            if outcome["verdict"] not in GOOD:
                figures = f"{outcome['worst']} bounds, {outcome['relative']} of the size"
                say(f"    {target}: {outcome['verdict']}, {figures} {outcome['note']}")
    counts = counted(results)
    say(", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
    return 1 if counts["wrong"] or counts["failed"] else 0
