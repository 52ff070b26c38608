"""From rows to figures: what was found, what was named rightly, and what tolerances would have said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from .kinds import KINDS
from .running import TOLERANCES

__all__ = ["Score", "goals_missed", "score", "write"]

Row = dict[str, Any]


@dataclass
class Score:
    """Counts over rows. A fault is *beyond* where it moved a value by more than the rigorous bound allows."""

    runs: int = 0
    runs_found: int = 0
    planted: int = 0
    beyond: int = 0
    beyond_named: int = 0
    named: int = 0
    reported: int = 0
    reported_rightly: int = 0
    explicable: int = 0
    explained: int = 0
    claims: int = 0
    claims_right: int = 0
    clean: int = 0
    clean_accused: int = 0
    several: int = 0
    several_all: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Count one row."""
        faults = {fault["layer"]: fault for fault in row["spoilt"]["faults"]}
        self.runs += 1
        self.runs_found += bool(faults)
        self.clean += 1
        self.clean_accused += bool(row["clean"]["faults"])
        self.reported += len(faults)
        self.reported_rightly += sum(layer in row["layers"] for layer in faults)
        self.seconds.append(row["spoilt"]["seconds"])
        for layer, causes, beyond in zip(row["layers"], row["causes"], row["beyond"], strict=True):
            self._fault(faults.get(layer), causes, beyond)
        if len(row["layers"]) > 1:
            self.several += 1
            self.several_all += all(
                layer in faults for layer, beyond in zip(row["layers"], row["beyond"], strict=True) if beyond
            )

    def _fault(self, found: Row | None, causes: Sequence[str], beyond: bool) -> None:
        proven = [cause["cause"] for cause in found["causes"] if cause["proven"]] if found else []
        self.planted += 1
        self.named += found is not None
        self.beyond += beyond
        self.beyond_named += beyond and found is not None
        self.claims += len(proven)
        self.claims_right += sum(cause in causes for cause in proven)
        if beyond and causes:
            self.explicable += 1
            self.explained += any(cause in causes for cause in proven)


def score(rows: Sequence[Row]) -> Score:
    """The counts over all ``rows``."""
    total = Score()
    for row in rows:
        total.add(row)
    return total


def goals_missed(rows: Sequence[Row]) -> list[str]:
    """Sentences, one for each row that breaks a promise."""
    return [sentence for row in rows for sentence in _missed(row)]


def _missed(row: Row) -> Iterator[str]:
    faults = {fault["layer"] for fault in row["spoilt"]["faults"]}
    for layer, beyond in zip(row["layers"], row["beyond"], strict=True):
        if beyond and layer not in faults:
            yield f"{row['case']}: {layer} was not named"
    for fault in row["clean"]["faults"]:
        yield f"{row['case']}: clean, and {fault['layer']} was called {fault['verdict']}"
    for layer in sorted(faults - set(row["layers"])):
        yield f"{row['case']}: nothing was done to {layer}"


def write(rows: Sequence[Row], path: Path) -> None:
    """The figures as a page."""
    rows = sorted(rows, key=lambda row: str(row["case"]))
    path.write_text("\n".join(_page(rows)) + "\n", encoding="utf-8")


def _page(rows: Sequence[Row]) -> Iterator[str]:
    total = score(rows)
    targets = ", ".join(sorted({row["target"] for row in rows}))
    dates = sorted({row["date"] for row in rows})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    yield "# What is found of planted faults"
    yield ""
    models = {(row["family"], row["case"].split(" | ")[2]) for row in rows}
    yield (
        f"{total.planted} faults of {len({kind for row in rows for kind in row['kinds']})} kinds in {total.runs} runs "
        f"of {len(models)} generated models of {len({family for family, _ in models})} families, each run beside a "
        f"clean one, in real TensorFlow.js ({targets}), {when}. Written by `make faults`; the seeds were not looked at "
        "while Bittrue was made. A fault is *beyond the bound* where it moved a value by more than rounding may. A "
        "tolerance names one layer, the first over it, and no cause; the layers named behind a fault are not counted."
    )
    yield ""
    yield from _summary(rows, total)
    yield ""
    yield from _by_kind(rows)
    yield ""
    yield from _by_family(rows)
    missed = goals_missed(rows)
    yield ""
    yield "## Goals missed"
    yield ""
    yield from (f"- {sentence}" for sentence in missed or ["none"])


def _summary(rows: Sequence[Row], total: Score) -> Iterator[str]:
    yield "| | Bittrue | first layer over 1e-3 | over 1e-5 | Polygraphy's default (1e-5, 1e-5) |"
    yield "|---|---|---|---|---|"
    others = [_tolerance(rows, name) for name in TOLERANCES]
    values = sum(row["clean"].get("values", 0) for row in rows)
    found = [_share(total.runs_found, total.runs), *(_share(other[0], total.runs) for other in others)]
    yield "| spoilt runs noticed (recall) | " + " | ".join(found) + " |"
    clean = [_share(total.clean_accused, total.clean), *(_share(other[1], total.clean) for other in others)]
    yield "| clean runs accused | " + " | ".join(clean) + " |"
    precise = [
        _share(total.runs_found, total.runs_found + total.clean_accused),
        *(_share(other[0], other[0] + other[1]) for other in others),
    ]
    yield "| of the runs accused, spoilt (precision) | " + " | ".join(precise) + " |"
    first = [_share(_first_right(rows), total.runs), *(_share(other[2], total.runs) for other in others)]
    yield "| first layer named is one at fault | " + " | ".join(first) + " |"
    alone = (
        ("faults beyond the bound whose layer is named (recall)", _share(total.beyond_named, total.beyond)),
        ("layers named that are at fault (precision)", _share(total.reported_rightly, total.reported)),
        ("runs with several faults in which all are named", _share(total.several_all, total.several)),
        ("faults with a known cause, cause proven rightly (recall)", _share(total.explained, total.explicable)),
        ("causes claimed as proven that are right (precision)", _share(total.claims_right, total.claims)),
        ("values of clean runs held to the bound, both sides", f"{values:,}"),
        ("seconds for one diagnosis, median; largest", f"{median(total.seconds):.2f}; {max(total.seconds):.1f}"),
    )
    yield from (f"| {words} | {figure} | | | |" for words, figure in alone)


def _first_right(rows: Sequence[Row]) -> int:
    return sum(bool(r["spoilt"]["faults"]) and r["spoilt"]["faults"][0]["layer"] in r["layers"] for r in rows)


def _tolerance(rows: Sequence[Row], name: str) -> tuple[int, int, int]:
    """Spoilt runs noticed, clean runs accused, first layers that are at fault."""
    spoilt = [row["spoilt"]["tolerances"][name] for row in rows]
    clean = [row["clean"]["tolerances"][name] for row in rows]
    right = sum(layer in row["layers"] for layer, row in zip(spoilt, rows, strict=True))
    return sum(layer is not None for layer in spoilt), sum(layer is not None for layer in clean), right


def _by_kind(rows: Sequence[Row]) -> Iterator[str]:
    yield "| kind | planted in | faults | beyond the bound | of those, layer named | cause proven |"
    yield "|---|---|---|---|---|---|"
    for name, kind in KINDS.items():
        part = Score()
        for row in rows:
            faults = {fault["layer"]: fault for fault in row["spoilt"]["faults"]}
            for at, planted in enumerate(row["kinds"]):
                if planted == name:
                    part._fault(faults.get(row["layers"][at]), row["causes"][at], row["beyond"][at])
        if part.planted:
            proven = _share(part.explained, part.explicable) if kind.causes else f"none is known; {part.claims} claimed"
            named = _share(part.beyond_named, part.beyond)
            yield f"| {name} | {kind.where} | {part.planted} | {part.beyond} | {named} | {proven} |"


def _by_family(rows: Sequence[Row]) -> Iterator[str]:
    yield "| models | backends | runs | beyond the bound | of those, layer named | cause proven | clean accused |"
    yield "|---|---|---|---|---|---|---|"
    for family in dict.fromkeys(sorted(row["family"] for row in rows)):
        here = [row for row in rows if row["family"] == family]
        part, targets = score(here), ", ".join(sorted({row["target"] for row in here}))
        yield (
            f"| {family} | {targets} | {part.runs} | {part.beyond} | {_share(part.beyond_named, part.beyond)} | "
            f"{_share(part.explained, part.explicable)} | {part.clean_accused} |"
        )


def _share(part: int, whole: int) -> str:
    """Never 0 or 100 % where that is not exact."""
    if not whole:
        return "none"
    percent = 100 * part / whole
    shown = f"{percent:.0f}" if part in (0, whole) else f"{min(max(percent, 0.1), 99.9):.1f}"
    return f"{shown} % ({part} of {whole})"
