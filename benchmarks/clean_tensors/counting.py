"""What was found of clean tensors: counted by kind, kept on disk, written down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from hashlib import sha256
from math import exp, sqrt
from pathlib import Path
from typing import Any

import bittrue
from bittrue.diagnosis.result import OwnError, Verdict

from .judged import Batch, drawn, judged
from .kinds import KINDS

__all__ = ["Count", "accused", "counted", "run", "upper_limit", "write"]

_BATCHES = 50
"""Batches of one line on disk."""


@dataclass
class Count:
    """Tensors of one kind. ``share``: the largest statistic, as a part of what it must not exceed, and where it was."""

    tensors: int = 0
    elements: int = 0
    suspicious: int = 0
    outside: int = 0
    statistic: float = 0.0
    limit: float = 0.0
    bound_share: float = 0.0
    where: str = ""
    accused: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The largest part of its limit that the statistic of any tensor took."""
        return self.statistic / self.limit if self.limit else 0.0

    def add(self, batch: Batch, number: int, at: int, found: OwnError) -> None:
        """One tensor: the ``at``-th of batch ``number``."""
        self.tensors += 1
        self.elements += found.size
        self.outside += found.verdict > Verdict.SUSPICIOUS
        self.suspicious += found.verdict is Verdict.SUSPICIOUS
        self.bound_share = max(self.bound_share, found.bound_share)
        ratio = (found.expectation or 0.0) / found.limit
        d, config = batch.drawing, batch.computed.node.config
        where = f"{batch.computed.node.class_name} {config.get('activation', '')}: {d.inputs}, {d.kernel}, {d.order}"
        if ratio > self.share:
            self.statistic, self.limit, self.where = found.expectation or 0.0, found.limit, where
        if found.verdict.is_fault and len(self.accused) < 5:
            self.accused.append(f"{found.verdict}: {where} (batch {number}, tensor {at}, {ratio:.3g} of the limit)")

    def join(self, other: Count) -> None:
        """Add what another line has counted."""
        if other.share > self.share:
            self.statistic, self.limit, self.where = other.statistic, other.limit, other.where
        self.tensors += other.tensors
        self.elements += other.elements
        self.outside += other.outside
        self.suspicious += other.suspicious
        self.bound_share = max(self.bound_share, other.bound_share)
        self.accused += other.accused


def sources() -> str:
    """A hash of what judges and what is judged, for the record."""
    root, here = Path(bittrue.__file__).parent, Path(__file__).parent
    found = sha256()
    for path in [
        *sorted(root.glob("ops/*.py")),
        *sorted(root.glob("graph/**/*.py")),
        root / "diagnosis" / "judging.py",
        *(here / f"{name}.py" for name in ("arithmetic", "judged", "kinds", "values")),
    ]:
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:12]


def run(folder: Path, seed: int, tensors: float, shard: tuple[int, int]) -> None:
    """Judge until this shard has its ``tensors``; lines that are there count."""
    number, count = shard
    folder.mkdir(parents=True, exist_ok=True)
    place, now = folder / f"shard-{number}-of-{count}.jsonl", sources()
    mine = [row for row in _rows(place) if row["seed"] == seed]
    have, line = sum(item["tensors"] for row in mine for item in row["kinds"].values()), len(mine)
    with place.open("a", encoding="utf-8") as file:
        while have < tensors:
            start = (line * count + number - 1) * _BATCHES
            found = _counted(seed, range(start, start + _BATCHES))
            kinds = {name: asdict(item) for name, item in found.items()}
            row = {"date": date.today().isoformat(), "sources": now, "seed": seed, "batches": start, "kinds": kinds}
            file.write(json.dumps(row) + "\n")
            file.flush()
            have, line = have + sum(item.tensors for item in found.values()), line + 1


def _counted(seed: int, numbers: range) -> dict[str, Count]:
    found: dict[str, Count] = {}
    for number in numbers:
        batch = drawn((seed, number))
        for at, error in enumerate(judged(batch)):
            found.setdefault(batch.kind, Count()).add(batch, number, at, error)
    return found


def _rows(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()] if place.exists() else []


def counted(folder: Path, seed: int) -> tuple[Mapping[str, Count], str]:
    """What all shards have found with ``seed``, by kind, and on which days."""
    found, days = {name: Count() for name in KINDS}, set()
    for row in (row for place in sorted(folder.glob("*.jsonl")) for row in _rows(place)):
        if row["seed"] == seed:
            days.add(row["date"])
            for name, item in row["kinds"].items():
                found[name].join(Count(**item))
    return found, " to ".join(sorted({min(days), max(days)})) if days else ""


def accused(counts: tuple[Mapping[str, Count], str]) -> list[str]:
    """Sentences, one for each clean tensor that is remembered as accused."""
    return [f"{name}: {sentence}" for name, count in counts[0].items() for sentence in count.accused]


def upper_limit(positives: int, tensors: int) -> float:
    """Of the rate of positives, with 95 % confidence: where so few or fewer would be seen once in twenty times.

    C. J. Clopper and E. S. Pearson (1934), by the Poisson distribution; without a positive it is the rule of three.
    """
    low, high = float(positives), positives + 20.0 * sqrt(positives + 1)
    for _ in range(80):
        mean, term, below = (low + high) / 2, 1.0, 1.0
        for at in range(1, positives + 1):
            term *= mean / at
            below += term
        low, high = (mean, high) if below * exp(-mean) > 0.05 else (low, mean)
    return high / tensors


def write(counts: tuple[Mapping[str, Count], str], place: Path, real: Sequence[Mapping[str, Any]] = ()) -> None:
    """The page; ``real`` are rows of `benchmarks.real_clean_runs`, which it has beside the made-up tensors."""
    place.write_text("\n".join([*_lines(*counts), *_real(real)]) + "\n", encoding="utf-8")


def _real(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    ran = [row for row in rows if "failed" not in row]
    if not ran:
        return
    tensors, accused = sum(row["tensors"] for row in ran), sum(len(row["accused"]) for row in ran)
    nearest, targets = max(ran, key=lambda row: float(row["share"])), {row["target"] for row in ran}
    yield ""
    yield (
        f"In real runtimes: {tensors:,} outputs of layers of clean models on {len(targets)} targets "
        f"([which](bounds.md#every-backend)), {accused} accused; the largest statistic is {nearest['statistic']:.3g}, "
        f"{nearest['share']:.2f} of its limit ({nearest['model']} on {nearest['target']})."
    )


def _lines(counts: Mapping[str, Count], days: str) -> Iterator[str]:
    total = Count()
    for count in counts.values():
        total.join(count)
    positives = total.suspicious + total.outside
    yield _PAGE.format(days=days)
    yield f"- tensors: {total.tensors:,}, of {total.elements:,} elements"
    yield f"- called suspicious: {total.suspicious}; outside of the rigorous bound: {total.outside}"
    limit = upper_limit(positives, total.tensors)
    three = " (the rule of three: 3.0 / n)" if positives == 0 else ""
    yield f"- rate of false positives, upper limit with 95 % confidence{three}: {limit:.2g}; promised: 1e-06"
    yield ""
    yield "| kind | tensors | suspicious | outside | largest statistic | its limit | of it | of the bound | where |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, c in counts.items():
        yield (
            f"| {name} | {c.tensors:,} | {c.suspicious} | {c.outside} | {c.statistic:.3g} | "
            f"{c.limit:.3g} | {c.share:.2f} | {c.bound_share:.2f} | {c.where} |"
        )


_PAGE = """# How often clean computation is accused

Written by `python -m benchmarks.clean_tensors --seeds final --write`, {days}; the seed was not used while the
expectation was made. Each tensor is one output of one layer, computed in float32 by NumPy with formulas of the
benchmark's own: sums one by one, backwards, shuffled, pairwise, in the lanes of vector registers, in blocks, by BLAS,
and fused; begun with the bias or ended with it; functions in the forms of kernels. Values are ordinary or not: far
from zero, of all magnitudes, subnormal, saturating, zeros, ones, constants, one hot, pictures; kernels too: balanced
so that sums cancel, sorted by sign, constant, sparse. It is judged by the code that `bittrue check` judges by.
The *statistic* is the observed over the expected mean square of its errors, and must not exceed its *limit*; where it
would with terms in random order, as with kernels sorted by sign, they are expected in their own order, so that shares
close to 1 are those just below that. The last columns say the largest part of the rigorous bound that any element took,
and which tensor came nearest to its limit.
"""
