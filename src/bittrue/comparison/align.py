"""Which records of two traces belong together: those of the same key, never those that merely stand side by side."""

from __future__ import annotations

from dataclasses import dataclass

from bittrue.traces import Key, Record, Trace

__all__ = ["Alignment", "align"]


@dataclass(frozen=True)
class Alignment:
    """``matched``: pairs (reference, candidate) in the reference's order. The rest, each in its trace's own order."""

    matched: tuple[tuple[Record, Record], ...]
    unmatched_reference: tuple[Key, ...]
    unmatched_candidate: tuple[Key, ...]


def align(reference: Trace, candidate: Trace) -> Alignment:
    """Match the records of two traces by key: kind, layer, call and index."""
    return Alignment(
        tuple((record, candidate[key]) for key, record in reference.records.items() if key in candidate.records),
        tuple(key for key in reference.records if key not in candidate.records),
        tuple(key for key in candidate.records if key not in reference.records),
    )
