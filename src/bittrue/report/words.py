"""Sentences that several reports share."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from bittrue.comparison import Metrics
from bittrue.diagnosis import Diagnosis
from bittrue.traces import Provenance

from .data import LayerRow

__all__ = ["answered", "decisions_in_words", "elided", "relative", "sentences", "short", "telling", "without_fix"]


def decisions_in_words(found: Diagnosis) -> str:
    """How many decisions on the outputs changed, or may."""
    if not found.decisions:
        return "-"
    rows = sum(decision.rows for decision in found.decisions)
    changed = sum(decision.changed for decision in found.decisions)
    risk = sum(decision.at_risk for decision in found.decisions)
    if changed:
        return f"{changed} of {rows} changed"
    return f"{risk} of {rows} at risk" if risk else f"{rows} unchanged"


def sentences(headline: str) -> list[str]:
    """A headline's sentences: the first is the answer, the others say more."""
    return re.split(r"(?:(?<=[a-z)'0-9]\.)|(?<=[A-Z]{2}\.)) (?=[A-Z])", headline)


def without_fix(found: Diagnosis) -> list[str]:
    """The sentences of a diagnosis's headline less its fix, for reports that have a place of their own for fixes."""
    causes = found.first_fault.causes if found.first_fault else ()
    fix = next((cause.fix for cause in causes if cause.proven), "")
    return sentences(found.headline.replace(f". To fix it: {fix}", "") if fix else found.headline)


def short(value: float | None, digits: int = 3) -> str:
    """``value`` to a few digits. "0" is printed for zero only, so a small value never reads as none."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if value == int(value) and abs(value) < 10**6:
        return str(int(value))
    return f"{value:.{digits}g}"


def elided(name: str, most: int) -> str:
    """``name`` in at most ``most`` characters. Of a path both ends stay, which tell it from others."""
    if len(name) <= most:
        return name
    parts = name.split("/")
    for kept in range(len(parts) - 2, 0, -1):
        path = "/".join((parts[0], "…", *parts[-kept:]))
        if len(path) <= most:
            return path
    return f"{name[: most // 2]}…{name[len(name) - (most - 1) // 2 :]}"


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


def relative(metrics: Metrics | None) -> float:
    """Largest difference over the largest value; infinite where it cannot be told, so that it comes first."""
    value = metrics.max_abs_to_scale if metrics else math.inf
    return math.inf if math.isnan(value) else value


def telling(rows: Sequence[LayerRow], most: int) -> list[LayerRow]:
    """The ``most`` rows that say most, in their order: the first that differs, the last, and of the others the worst.

    Worse is a layer at fault by itself, in the order of execution, then the larger relative difference.
    """
    if len(rows) <= most:
        return list(rows)
    differing = [row for row in rows if row.pair.metrics is None or not row.pair.metrics.identical]
    worst = sorted(differing, key=_badness, reverse=True)  # stable: of equally serious faults the first comes first
    wanted: dict[int, None] = {}
    for row in (*worst[:1], rows[-1], *differing[:1], *worst[1:]):
        if len(wanted) < most:
            wanted[id(row)] = None
    return [row for row in rows if id(row) in wanted]


def _badness(row: LayerRow) -> tuple[int, float]:
    found = row.diagnosis
    if found is not None and found.verdict.is_fault and found.side is not None:
        return found.verdict.severity, 0.0
    return 0, relative(row.pair.metrics)
