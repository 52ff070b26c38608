"""Why an input differs: what was done to it before the first layer, as a finding with its proof."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bittrue.traces import Array, Key, Trace

from .preprocessing import explain_inputs
from .result import Finding

__all__ = ["input_causes"]

_FIX = "prepare the input in the same way on both sides (scale, offset, order of channels, size, dtype)"


def input_causes(reference: Trace, candidate: Trace, key: Key) -> tuple[Finding, ...]:
    """What makes the candidate's input ``key`` of the reference's; empty where nothing known does."""
    ours, theirs = reference[key].load(), candidate[key].load()
    for words, made in _simple(ours, theirs, reference):
        if made.shape == theirs.shape and np.array_equal(made, theirs, equal_nan=made.dtype.kind == "f"):
            proof = f"{theirs.size} of {theirs.size} values reproduced to the bit"
            return (
                Finding("input-transformed", f"the candidate's input is the reference's {words}", True, proof, _FIX),
            )
    found = explain_inputs(ours, theirs) if ours.ndim > 0 and theirs.size else None
    if found is None or found.is_identity:
        return ()
    proof = f"{found.equal:,} of {found.values:,} values reproduced to the bit, {found.close:,} within 4 ULP"
    return (Finding("input-transformed", str(found).partition(":")[0], found.proven, proof, _FIX),)


def _simple(ours: Array, theirs: Array, reference: Trace) -> Iterator[tuple[str, Array]]:
    """What no affine map is: other formats, other examples, another of the model's inputs, nothing at all."""
    if theirs.dtype.kind == "f" and ours.dtype.kind == "f":
        with np.errstate(over="ignore"):
            yield "in half precision", ours.astype(np.float16).astype(theirs.dtype)
        yield "as whole numbers, rounded", np.rint(ours).astype(theirs.dtype)
        yield "as whole numbers, cut off", np.trunc(ours).astype(theirs.dtype)
    for axis in range(ours.ndim):
        if ours.shape[axis] > 1:
            what = "its examples" if axis == 0 else f"axis {axis}"
            yield f"with {what} in the reverse order", np.flip(ours, axis)
            yield f"with {what} shifted by one", np.roll(ours, 1, axis)
            yield f"with {what} shifted back by one", np.roll(ours, -1, axis)
    if theirs.size == ours.size:
        yield "in another shape", ours.reshape(theirs.shape)
    if np.any(ours):
        yield "replaced by zeros", np.zeros_like(theirs)
    for record in reference.of_kind("input"):
        if record.shape == theirs.shape and not np.array_equal(record.load(), ours):
            yield f"replaced by that called {record.key.layer!r}", record.load()
