"""Whether two runs were fed the same tensors, and if not, what was done to one of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bittrue.traces import Array, Record, Trace

from .preprocessing import explain_inputs
from .resizing import explain_resizing

__all__ = ["input_sentences"]


def input_sentences(reference: Trace, candidate: Trace, image: Array | None = None) -> tuple[str, ...]:
    """One sentence for each input that differs: what was done to it, or that nothing known explains it.

    ``image`` is what both sides began with, (height, width, channels) or with a batch before it; with it the
    convention of a resize is found as well. Inputs of equal bits, or that only one side has, have no sentence.
    """
    return tuple(_sentences(reference, candidate, image))


def _sentences(reference: Trace, candidate: Trace, image: Array | None) -> Iterator[str]:
    for record in reference.of_kind("input"):
        other = candidate.records.get(record.key)
        if other is None or _same(record, other):
            continue
        call = f" of call {record.key.call}" if record.key.call else ""
        yield f"The input {record.key.layer!r}{call} differs: {_explained(record.load(), other.load(), image)}"


def _same(one: Record, other: Record) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return one.load().tobytes() == other.load().tobytes()


def _explained(reference: Array, candidate: Array, image: Array | None) -> str:
    found = explain_inputs(reference, candidate)
    if found is not None:
        return f"{found}."
    if image is not None:
        batch = np.broadcast_to(image if image.ndim == 4 else image[None], (len(candidate), *image.shape[-3:]))
        ours, theirs = explain_resizing(batch, reference), explain_resizing(batch, candidate)
        if ours is not None and theirs is not None:
            return f"the reference was {ours}; the candidate was {theirs}."
    shapes = "" if reference.shape == candidate.shape else f" ({list(reference.shape)} and {list(candidate.shape)})"
    if not (np.isfinite(reference).all() and np.isfinite(candidate).all()):
        return f"one side holds NaN or infinities{shapes}."
    return (
        f"no order of channels or axes, no scale and offset makes one of the other{shapes}; look at how the image was "
        "decoded, cropped and resized (give the picture with --image)."
    )
