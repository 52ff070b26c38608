"""Which records of two traces belong together.

Two runs of one model have the same names: records of the same key, never those that merely stand side by side.
Two models may have other names for the same layers; then order and shape tell, and what was matched how is said.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from bittrue.traces import Key, Record, Trace

__all__ = ["Alignment", "align", "align_models", "stem"]

Pairs = list[tuple[Record, Record]]
Places = list[tuple[int, int]]


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

    Outputs are matched by key where the shapes agree, then by names that are the same but for Keras's numbers in them
    (`stem`), and the rest between those by the longest common run of shapes, in order of execution. Names count for
    less than order in one case: both models return the same shapes from first to last, but the names would match
    layers at different places (``dense_1`` is the first layer in one process and the second in another). Weights,
    masks and states go with their layers; inputs, and predictions, are matched as outputs are. What is left is
    matched by key whatever its shape.
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
    named += _numbered(left, right, named)
    return [(left[here], right[there]) for here, there in named + _in_order(left, right, sorted(named))]


def stem(layer: str) -> str:
    """A layer's name without the numbers that Keras counts names with: ``inner_1/conv_2`` is ``inner/conv``."""
    return re.sub(r"_\d+(?=/|$)", "", layer)


def _numbered(left: Sequence[Record], right: Sequence[Record], named: Places) -> Places:
    """Pairs of what is left that are called the same but for numbers, where nothing else on either side is.

    A scope inside (``bn_1/batchnorm``) stands for the layer (``bn``) that it is in.
    """
    ours, theirs = ({where[side] for where in named} for side in (0, 1))
    stems = [Counter(stem(record.key.layer) for record in records) for records in (left, right)]
    found: dict[str, list[int]] = defaultdict(list)
    for at, record in enumerate(right):
        name = stem(record.key.layer)
        if at not in theirs and stems[1][name] == 1:
            found[name].append(at)
            if "/" in name:
                found[name.rpartition("/")[0]].append(at)
    pairs = []
    for at, record in enumerate(left):
        name = stem(record.key.layer)
        candidates = [there for there in found.get(name, ()) if right[there].shape == record.shape]
        if at not in ours and stems[0][name] == 1 and len(candidates) == 1:
            pairs.append((at, candidates[0]))
    once = Counter(there for _, there in pairs)
    return [(here, there) for here, there in pairs if once[there] == 1]


def _in_order(left: Sequence[Record], right: Sequence[Record], anchors: Places) -> Places:
    """The longest runs of equal shapes in order, between the pairs that are known where those are in order."""
    taken = [{pair[side] for pair in anchors} for side in (0, 1)]
    ends = [there for _, there in anchors]
    if ends != sorted(ends):
        anchors = []
    pairs = []
    for low, high in pairwise([(-1, -1), *anchors, (len(left), len(right))]):
        ours = [at for at in range(low[0] + 1, high[0]) if at not in taken[0]]
        theirs = [at for at in range(low[1] + 1, high[1]) if at not in taken[1]]
        shapes = [left[at].shape for at in ours], [right[at].shape for at in theirs]
        blocks = SequenceMatcher(None, *shapes, autojunk=False).get_matching_blocks()
        pairs += [(ours[block.a + at], theirs[block.b + at]) for block in blocks for at in range(block.size)]
    return pairs


def _alignment(reference: Trace, candidate: Trace, pairs: Pairs) -> Alignment:
    partners = {left.key: right for left, right in pairs}
    taken = {right.key for _, right in pairs}
    return Alignment(
        tuple((record, partners[record.key]) for record in reference if record.key in partners),
        tuple(key for key in reference.records if key not in partners),
        tuple(key for key in candidate.records if key not in taken),
    )
