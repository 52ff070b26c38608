"""The exact decomposition of a difference: y_c - y_r = [y_c - f(x_c)] + [f(x_c) - f(x_r)] + [f(x_r) - y_r]."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, sqrt

import numpy as np

from bittrue.floats import ulp_distance
from bittrue.graph.rounding import Rounding
from bittrue.traces import Array, Key

from .judging import widest
from .result import Amplification, OutputEvidence, OwnError, Part

__all__ = ["amplification", "decompose"]

_UNIT = 2.0**-53


def decompose(
    key: Key,
    outputs: tuple[Array, Array],
    exact: tuple[Rounding, Rounding],
    errors: tuple[OwnError, OwnError],
    enlarged: Amplification,
) -> OutputEvidence:
    """The evidence of one output; all pairs are (reference, candidate), and of one shape."""
    y_r, y_c = map(_float, outputs)
    f_r, f_c = (_float(found.value) for found in exact)
    with np.errstate(all="ignore"):
        total, own, inherited, negated = y_c - y_r, y_c - f_c, f_c - f_r, f_r - y_r
        left = np.abs(total - (own + inherited + negated))
        size = np.abs(y_c) + np.abs(y_r) + 2 * (np.abs(f_c) + np.abs(f_r))
        closure = _largest(np.where(size > 0, left / (size * _UNIT), 0.0))
    distance, value = _ulp_peak(*outputs)
    return OutputEvidence(
        key,
        _largest(np.abs(y_r)),
        _rms([y_r]),
        distance,
        value,
        part(total),
        errors[1],
        part(inherited),
        errors[0],
        enlarged,
        closure,
    )


def part(values: Array) -> Part:
    """Largest and root-mean-square magnitude of the finite elements."""
    return Part(_largest(np.abs(values)), _rms([values]))


def amplification(inputs: tuple[Sequence[Array], Sequence[Array]], exact: tuple[Array, Array]) -> Amplification:
    """How the layer enlarges the difference of its ``inputs`` (reference, candidate), given f of both."""
    pairs = [(_float(r), _float(c)) for r, c in zip(*inputs, strict=True) if r.dtype.kind not in "iub"]
    if not pairs or any(r.shape != c.shape for r, c in pairs) or exact[0].dtype.kind != "f":
        return Amplification(None, None, None)
    with np.errstate(all="ignore"):
        moved, x = _rms([c - r for r, c in pairs]), _rms([r for r, _ in pairs])
        change, f = _rms([exact[1] - exact[0]]), _rms([exact[0]])
    absolute = _ratio(change, moved)
    growth = _ratio(f, x)
    return Amplification(absolute, _ratio(absolute, growth), growth)


def _ratio(above: float | None, below: float | None) -> float | None:
    if above is None or not below or not isfinite(above / below):
        return None
    return above / below


def _float(array: Array) -> Array:
    return np.asarray(widest(array), np.float64)


def _largest(values: Array) -> float:
    return float(np.max(values, initial=0.0, where=np.isfinite(values)))


def _rms(arrays: Sequence[Array]) -> float:
    total = count = 0.0
    for array in arrays:
        finite = np.isfinite(array)
        total += float(np.sum(np.square(array), where=finite, dtype=np.float64))
        count += int(np.count_nonzero(finite))
    return sqrt(total / count) if count else 0.0


def _ulp_peak(y_r: Array, y_c: Array) -> tuple[float | None, float | None]:
    """The largest ULP distance, and the reference's magnitude there."""
    if y_r.dtype != y_c.dtype or y_r.dtype.kind != "f":
        return None, None
    finite = np.isfinite(y_r) & np.isfinite(y_c)
    if not finite.any():
        return None, None
    distance = ulp_distance(np.where(finite, y_r, 0), np.where(finite, y_c, 0))
    at = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(distance[at]), float(abs(y_r[at]))
