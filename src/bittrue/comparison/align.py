"""Which records of two traces belong together.

Two runs of one model have the same names: records of the same key, never those that merely stand side by side.
Two models may have other names for the same layers; then order and shape tell, and what was matched how is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from bittrue.traces import Key, Record, Trace

__all__ = ["Alignment", "align", "align_models"]

Pairs = list[tuple[Record, Record]]


@dataclass(frozen=True)
class Alignment:
    """``matched``: pairs (reference, candidate) in the reference's order. The rest, each in its trace's own order."""

    matched: tuple[tuple[Record, Record], ...]
    unmatched_reference: tuple[Key, ...]
    unmatched_candidate: tuple[Key, ...]

    @property
    def renamed(self) -> tuple[tuple[Key, Key], ...]:
        """The pairs of keys that differ: matched by order and shape, or with the layer that they belong to."""
        return tuple((left.key, right.key) for left, right in self.matched if left.key != right.key)


def align(reference: Trace, candidate: Trace) -> Alignment:
    """Match the records of two traces of one model by key: kind, layer, call and index."""
    return _alignment(
        reference,
        candidate,
        [(record, candidate[key]) for key, record in reference.records.items() if key in candidate.records],
    )


def align_models(reference: Trace, candidate: Trace) -> Alignment:
    """Match the records of two traces of models that may have other names for their layers.

    Outputs are matched by key where the shapes agree, and the rest by the longest common run of shapes, in order of
    execution. Names count for less than order in one case: both models return the same shapes from first to last,
    but the names would match layers at different places (``dense_1`` is the first layer in one process and the
    second in another). Weights, masks and states go with their layers; inputs, and predictions, are matched as
    outputs are. What is left is matched by key whatever its shape.
    """
    outputs = _matched(reference.of_kind("output"), candidate.of_kind("output"))
    layers = {left.key.layer: right.key.layer for left, right in reversed(outputs)}
    pairs = [*outputs, *(pair for kind in ("input", "prediction") for pair in _of_kind(reference, candidate, kind))]
    taken = {right.key for _, right in pairs}
    known = {left.key for left, _ in pairs}
    for record in reference:
        if record.key in known:
            continue
        own = Key(record.key.kind, layers.get(record.key.layer, record.key.layer), record.key.call, record.key.index)
        if own in candidate.records and own not in taken:
            pairs.append((record, candidate[own]))
            taken.add(own)
    return _alignment(reference, candidate, pairs)


def _of_kind(reference: Trace, candidate: Trace, kind: str) -> Pairs:
    return _matched(
        [record for record in reference if record.key.kind == kind],
        [record for record in candidate if record.key.kind == kind],
    )


def _matched(left: Sequence[Record], right: Sequence[Record]) -> Pairs:
    """Pairs of one kind: by key, then by order and shape."""
    places = {record.key: at for at, record in enumerate(right)}
    named = [
        (at, places[record.key])
        for at, record in enumerate(left)
        if record.key in places and right[places[record.key]].shape == record.shape
    ]
    same_shapes = [record.shape for record in left] == [record.shape for record in right]
    if same_shapes and len(named) < len(left) and any(here != there for here, there in named):
        return list(zip(left, right, strict=True))
    ours = _without(left, {here for here, _ in named})
    theirs = _without(right, {there for _, there in named})
    return [(left[here], right[there]) for here, there in named] + _in_order(ours, theirs)


def _without(records: Sequence[Record], places: set[int]) -> list[Record]:
    return [record for at, record in enumerate(records) if at not in places]


def _in_order(left: Sequence[Record], right: Sequence[Record]) -> Pairs:
    """The longest runs of equal shapes, in order on both sides."""
    ours, theirs = ([record.shape for record in records] for records in (left, right))
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    return [(left[block.a + at], right[block.b + at]) for block in blocks for at in range(block.size)]


def _alignment(reference: Trace, candidate: Trace, pairs: Pairs) -> Alignment:
    partners = {left.key: right for left, right in pairs}
    taken = {right.key for _, right in pairs}
    return Alignment(
        tuple((record, partners[record.key]) for record in reference if record.key in partners),
        tuple(key for key in reference.records if key not in partners),
        tuple(key for key in candidate.records if key not in taken),
    )
