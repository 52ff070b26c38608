"""Oracles for the ops: one output element at a time, by the definition, in plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np

from bittrue.traces import Array


@dataclass(frozen=True)
class Slide:
    """How a window slides: strides, distance of taps, zeros in front and number of results on each axis."""

    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    low: tuple[int, ...]
    sizes: tuple[int, ...]

    @classmethod
    def same(
        cls, n: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
    ) -> Slide:
        """TensorFlow's "same": a result for every stride begun; of the zeros needed, the odd one comes last."""
        sizes = tuple(math.ceil(a / s) for a, s in zip(n, strides, strict=True))
        needed = [
            (o - 1) * s + (k - 1) * d + 1 - a for a, k, s, d, o in zip(n, kernel, strides, dilation, sizes, strict=True)
        ]
        return cls(strides, dilation, tuple(math.floor(max(total, 0) / 2) for total in needed), sizes)

    @classmethod
    def valid(
        cls, n: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
    ) -> Slide:
        """Only where the whole window lies inside."""
        sizes = tuple(
            len(range(0, a - (k - 1) * d, s)) for a, k, s, d in zip(n, kernel, strides, dilation, strict=True)
        )
        return cls(strides, dilation, (0,) * len(n), sizes)

    def source(self, place: tuple[int, ...], tap: tuple[int, ...]) -> tuple[int, ...]:
        """The input's index that ``tap`` meets for the result at ``place``."""
        parts = zip(place, self.strides, tap, self.dilation, self.low, strict=True)
        return tuple(o * s + t * d - p for o, s, t, d, p in parts)


def _inside(index: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return all(0 <= i < size for i, size in zip(index, shape, strict=True))


def conv(x: Array, kernel: Array, slide: Slide, groups: int = 1) -> Array:
    """Σ x · kernel over the taps inside x and the channels of the output's group."""
    depth, filters = kernel.shape[-2:]
    result = np.zeros((len(x), *slide.sizes, filters))
    for batch, *place, n in product(*map(range, result.shape)):
        first, terms = n // (filters // groups) * depth, []
        for tap in product(*map(range, kernel.shape[:-2])):
            source = slide.source(tuple(place), tap)
            if _inside(source, x.shape[1:-1]):
                terms += [float(x[(batch, *source, first + c)]) * float(kernel[(*tap, c, n)]) for c in range(depth)]
        result[(batch, *place, n)] = math.fsum(terms)
    return result


def conv_transpose(x: Array, kernel: Array, slide: Slide) -> Array:
    """The transpose of the linear map that `conv` with ``slide`` is, by putting every input where it came from."""
    filters = kernel.shape[-2]
    result = np.zeros((len(x), *slide.sizes, filters))
    for batch, *place, c in product(*map(range, x.shape)):
        for tap in product(*map(range, kernel.shape[:-2])):
            target = slide.source(tuple(place), tap)
            if _inside(target, slide.sizes):
                result[(batch, *target)] += (
                    float(x[(batch, *place, c)]) * kernel.astype(np.float64)[(*tap, slice(None), c)]
                )
    return result


def pool(x: Array, kind: str, size: tuple[int, ...], slide: Slide) -> Array:
    """Maximum or mean of the elements of x that lie in the window."""
    result = np.zeros((len(x), *slide.sizes, x.shape[-1]))
    for batch, *place, channel in product(*map(range, result.shape)):
        sources = [slide.source(tuple(place), tap) for tap in product(*map(range, size))]
        found = [float(x[(batch, *i, channel)]) for i in sources if _inside(i, x.shape[1:-1])]
        result[(batch, *place, channel)] = max(found) if kind == "max" else math.fsum(found) / len(found)
    return result


def resize(x: Array, kind: str, sizes: tuple[int, ...]) -> Array:
    """x sampled at the centres of the new cells, whose places are exact fractions."""
    result = np.zeros((len(x), *sizes, x.shape[-1]))
    for batch, *place, channel in product(*map(range, result.shape)):
        total = Fraction(0)
        sides = [_samples(kind, i, n, size) for i, n, size in zip(place, sizes, x.shape[1:-1], strict=True)]
        for corner in product(*sides):
            weight = math.prod((share for _, share in corner), start=Fraction(1))
            total += weight * Fraction(float(x[(batch, *(at for at, _ in corner), channel)]))
        result[(batch, *place, channel)] = float(total)
    return result


def _samples(kind: str, i: int, n: int, size: int) -> list[tuple[int, Fraction]]:
    """The elements of ``size`` that the i-th of n results is made of, with their shares."""
    place = (Fraction(i) + Fraction(1, 2)) * size / n
    if kind == "nearest":
        return [(min(math.floor(place), size - 1), Fraction(1))]
    centre = place - Fraction(1, 2)
    low, share = math.floor(centre), centre - math.floor(centre)
    return [(min(max(low, 0), size - 1), 1 - share), (min(max(low + 1, 0), size - 1), share)]
