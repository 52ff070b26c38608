"""``python -m benchmarks.faults [--shard I/N] [--seeds development|final] [--report]``.

Plants faults of every kind in models of every family, runs each spoilt and clean in real TensorFlow.js, and appends
what the diagnosis said as JSON lines to ``build/faults/<seeds>``; what is there already is not run again. ``--report``
writes ``docs/faults.md`` from what is there. Exits with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SEEDS = {"development": (1, 2, 101, 102, 103, 201, 202, 203), "final": (301, 302, 303)}
"""The final ones were not looked at while Bittrue was made; whoever learns from their rows moves them to the others."""
SINGLE, SEVERAL = 13, 3
"""Cases of one fault, and of two or three, for each model."""
TARGETS = ("node:cpu", "node:wasm", "node:wasm", "node:cpu", "chrome:webgl")
_ALONE = frozenset({"a nan", "kernel that did not run", "saturation", "maximum for average"})
"""What leaves nothing to see in the layers behind it."""


def main() -> int:
    """Run what is asked for; the exit code."""
    from .scoring import goals_missed, write

    asked = _parser().parse_args()
    folder = ROOT / "build" / "faults" / asked.seeds
    folder.mkdir(parents=True, exist_ok=True)
    if not asked.report:
        number, count = map(int, asked.shard.split("/"))
        with (folder / f"shard-{number}-of-{count}.jsonl").open("a") as file:
            for group in _groups(SEEDS[asked.seeds], asked.only)[number - 1 :: count]:
                for row in _rows(*group, rows(folder)):
                    file.write(json.dumps({"date": date.today().isoformat(), **row}) + "\n")
                    file.flush()
                    print(_line(row), flush=True)
    found = [row for row in rows(folder).values() if not row.get("skipped") and _seed(row) in SEEDS[asked.seeds]]
    if asked.report or asked.write:
        write(found, ROOT / "docs" / "faults.md")
    missed = goals_missed(found)
    print("\n".join(missed) or "every goal is met")
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--shard", default="1/1", help="I/N: every N-th model, from the I-th")
    parser.add_argument("--seeds", default="development", choices=sorted(SEEDS))
    parser.add_argument("--only", default="", help="families, by commas")
    parser.add_argument("--report", action="store_true", help="run nothing; write docs/faults.md")
    parser.add_argument("--write", action="store_true", help="write docs/faults.md after running")
    return parser


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    """What is in ``folder``, by case; the newest of each."""
    lines = (line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines())
    return {row["case"]: row for row in map(json.loads, lines)}


def _seed(row: dict[str, Any]) -> int:
    return int(row["case"].split(" | ")[2])


def _groups(seeds: tuple[int, ...], only: str) -> list[tuple[str, int, str]]:
    from .models import FAMILIES

    names = only.split(",") if only else list(FAMILIES)
    pairs = [(family, seed) for seed in seeds for family in names]
    return [(family, seed, TARGETS[at % len(TARGETS)]) for at, (family, seed) in enumerate(pairs)]


def _rows(family: str, seed: int, target: str, known: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The new rows of one model: kinds in an order of its own until enough of them had a place."""
    from .kinds import KINDS
    from .running import Case, opened

    draw = np.random.default_rng([seed, *family.encode()])
    order = [list(KINDS)[at] for at in draw.permutation(len(KINDS))]
    strong = [name for name in order if not KINDS[name].subtle and KINDS[name].where != "input" and name not in _ALONE]
    groups = [tuple(draw.choice(strong, int(draw.integers(2, 4)), replace=False)) for _ in range(4 * SEVERAL)]
    asked = [[Case((name,), family, seed, target) for name in order]]
    asked.append([Case(tuple(map(str, names)), family, seed, target) for names in groups])
    with tempfile.TemporaryDirectory() as scratch, opened(family, seed, Path(scratch)) as model:
        for cases, wanted in zip(asked, (SINGLE, SEVERAL), strict=True):
            yield from _until(wanted, cases, model, Path(scratch), known)


def _until(wanted: int, cases: Any, model: Any, scratch: Path, known: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from .running import run_case

    for at, case in enumerate(cases):
        if wanted == 0:
            return
        row = known.get(case.key)
        if row is None:
            found = run_case(case, model, scratch / f"{len(case.kinds)}-{at}")
            row = {"case": case.key, "skipped": True} if found is None else found
            yield row
        wanted -= not row.get("skipped")


def _line(row: dict[str, Any]) -> str:
    if row.get("skipped"):
        return f"{row['case']}: no place for it"
    said = ", ".join(
        f"{fault['layer']} {fault['verdict']} "
        + "/".join(cause["cause"] for cause in fault["causes"] if cause["proven"])
        for fault in row["spoilt"]["faults"]
    )
    mark = "ok" if [fault["layer"] for fault in row["spoilt"]["faults"]] == sorted(row["layers"]) else "--"
    return f"{mark} {row['case']}: {row['layers']} {row['beyond']} -> {said or 'nothing'} ({row['clean']['verdict']})"


if __name__ == "__main__":
    sys.exit(main())
