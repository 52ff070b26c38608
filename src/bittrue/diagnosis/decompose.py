"""The exact decomposition of a difference: y_c - y_r = [y_c - f(x_c)] + [f(x_c) - f(x_r)] + [f(x_r) - y_r].

Everything here goes over the tensors block by block, so that it adds nothing to what they take themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt

import numpy as np

from bittrue.floats import ulp_distance
from bittrue.traces import Array, Key

from .judging import widest
from .result import Amplification, OutputEvidence, OwnError, Part

__all__ = ["Decomposition"]

_UNIT = 2.0**-53
_BLOCK = 2**17  # elements


@dataclass
class _Magnitudes:
    """Largest and root-mean-square magnitude of the finite elements seen so far."""

    largest: float = 0.0
    squares: float = 0.0
    count: int = 0

    def add(self, values: Array) -> None:
        finite = np.isfinite(values)
        kept = values if finite.all() else values[finite]
        self.largest = max(self.largest, float(np.max(np.abs(kept), initial=0.0)))
        self.squares += float(np.sum(np.square(kept)))  # not np.dot, which wakes threads for every block
        self.count += kept.size

    @property
    def rms(self) -> float:
        return sqrt(self.squares / self.count) if self.count else 0.0

    @property
    def part(self) -> Part:
        return Part(self.largest, self.rms)


class Decomposition:
    """The evidence of one output, gathered over parts of the batch; all pairs are (reference, candidate)."""

    def __init__(self) -> None:
        self._level, self._total, self._inherited, self._exact = (_Magnitudes() for _ in range(4))
        self._closure = 0.0
        self._peak: tuple[float | None, float | None] = (None, None)
        self._apart = False
        self._floating = True

    def add(self, outputs: tuple[Array, Array], exact: tuple[Array, Array]) -> None:
        """The next part of both outputs, and f of what each side's layer got.

        Where the two sides inherit different shapes there is nothing to subtract: the parts are then infinite.
        """
        self._floating &= exact[0].dtype.kind == "f"
        if outputs[0].shape != outputs[1].shape:
            self._apart = True
            self._level.add(np.asarray(widest(outputs[0]), np.float64).reshape(-1))
            return
        for y_r, y_c, f_r, f_c in _blocks(*outputs, *exact):
            with np.errstate(all="ignore"):
                difference, own, came, negated = y_c - y_r, y_c - f_c, f_c - f_r, f_r - y_r
                size = np.abs(y_c) + np.abs(y_r) + 2 * (np.abs(f_c) + np.abs(f_r))
                left = np.abs(difference - (own + came + negated)) / (size * _UNIT)
            self._level.add(y_r)
            self._total.add(difference)
            self._inherited.add(came)
            self._exact.add(f_r)
            self._closure = max(self._closure, float(np.max(left, initial=0.0, where=np.isfinite(left))))
        self._peak = _farther(self._peak, _ulp_peak(*outputs))

    def found(
        self, key: Key, errors: tuple[OwnError, OwnError], inputs: tuple[Sequence[Array], Sequence[Array]]
    ) -> OutputEvidence:
        """What all parts say, with the whole ``inputs`` of both sides."""
        level, never = self._level, Part(inf, inf)
        if self._apart:
            none = Amplification(None, None, None)
            return OutputEvidence(
                key, level.largest, level.rms, None, None, never, errors[1], never, errors[0], none, 0.0
            )
        return OutputEvidence(
            key,
            level.largest,
            level.rms,
            *self._peak,
            self._total.part,
            errors[1],
            self._inherited.part,
            errors[0],
            self._amplification(inputs),
            self._closure,
        )

    def _amplification(self, inputs: tuple[Sequence[Array], Sequence[Array]]) -> Amplification:
        """How the layer enlarges the difference of its ``inputs``."""
        pairs = [(r, c) for r, c in zip(*inputs, strict=True) if r.dtype.kind not in "iub"]
        if not pairs or not self._floating or any(r.shape != c.shape for r, c in pairs):
            return Amplification(None, None, None)
        moved, x = _moved(pairs)
        absolute, growth = _ratio(self._inherited.rms, moved), _ratio(self._exact.rms, x)
        return Amplification(absolute, _ratio(absolute, growth), growth)


def _farther(
    one: tuple[float | None, float | None], other: tuple[float | None, float | None]
) -> tuple[float | None, float | None]:
    """The peak of the larger distance, the first if they are equal."""
    return other if other[0] is not None and (one[0] is None or other[0] > one[0]) else one


def _moved(pairs: Sequence[tuple[Array, Array]]) -> tuple[float, float]:
    """Root mean squares of the differences, and of the first of each pair."""
    moved, level = _Magnitudes(), _Magnitudes()
    for pair in pairs:
        for r, c in _blocks(*pair):
            with np.errstate(all="ignore"):
                moved.add(c - r)
            level.add(r)
    return moved.rms, level.rms


def _blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The tensors piece by piece, flat, as float64."""
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, _BLOCK):
        yield tuple(np.asarray(widest(array[start : start + _BLOCK]), np.float64) for array in flat)


def _ratio(above: float | None, below: float | None) -> float | None:
    if above is None or not below or not isfinite(above / below):
        return None
    return above / below


def _ulp_peak(y_r: Array, y_c: Array) -> tuple[float | None, float | None]:
    """The largest ULP distance, and the reference's magnitude there."""
    if y_r.dtype != y_c.dtype or y_r.dtype.kind != "f":
        return None, None
    peak: tuple[float | None, float | None] = (None, None)
    left, right = y_r.reshape(-1), y_c.reshape(-1)
    for start in range(0, left.size, _BLOCK):
        r, c = left[start : start + _BLOCK], right[start : start + _BLOCK]
        finite = np.isfinite(r) & np.isfinite(c)
        if finite.any():
            distance = ulp_distance(r[finite], c[finite])
            at = int(distance.argmax())
            if peak[0] is None or distance[at] > peak[0]:
                peak = float(distance[at]), float(abs(r[finite][at]))
    return peak
