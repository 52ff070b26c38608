"""Whether two runs gave the same bits, said in a sentence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bittrue.traces import Array

__all__ = ["difference"]


def difference(one: Mapping[str, Array], other: Mapping[str, Array], first: str, second: str) -> str | None:
    """A sentence about the first tensor whose bits differ, with both bit patterns; None where all agree."""
    for key, array in one.items():
        if key not in other:
            return f"{key} is missing {second}"
        found = _first_different(array, other[key])
        if found is not None:
            return f"{key} {found[0]}: {found[1]} {first}, {found[2]} {second}"
    return None


def _first_different(one: Array, other: Array) -> tuple[str, str, str] | None:
    if one.shape != other.shape or one.dtype != other.dtype:
        return "differs in form", f"{one.dtype}{list(one.shape)}", f"{other.dtype}{list(other.shape)}"
    unsigned = np.dtype(f"u{one.dtype.itemsize}")
    left, right = (np.ascontiguousarray(array).reshape(-1).view(unsigned) for array in (one, other))
    if np.array_equal(left, right):
        return None
    flat = int(np.argmax(left != right))
    where = [int(axis) for axis in np.unravel_index(flat, one.shape)]
    digits = 2 * one.dtype.itemsize
    texts = [
        f"{array.reshape(-1)[flat]!s} (0x{int(bits[flat]):0{digits}x})" for array, bits in ((one, left), (other, right))
    ]
    return f"differs at {where}", texts[0], texts[1]
