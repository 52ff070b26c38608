"""Sentences that several reports share."""

from __future__ import annotations

import re

from bittrue.diagnosis import Diagnosis

__all__ = ["decisions_in_words", "sentences"]


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
    return re.split(r"(?<=[a-z)'0-9]\.) (?=[A-Z])", headline)
