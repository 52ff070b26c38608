"""Numbers of our own, the same with every version of every library: splitmix64 (Steele, Lea, Flood 2014) over an index.

A stream is named by a text; its i-th number does not depend on how many are drawn. What is made of its 64 bits are
additions, products and one square root of float64, which IEEE 754 rounds alike everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["bits", "kernel", "splitmix64", "truths", "uniform", "whole"]

_STEP, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_AT_ONCE = 1 << 17  # so many fit the caches

Shape = Sequence[int]


def splitmix64(seed: int, start: int, stop: int) -> NDArray[np.uint64]:
    """The numbers ``start`` to ``stop`` of the generator that begins at ``seed``."""
    z = np.arange(start + 1, stop + 1, dtype=np.uint64) * _STEP + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


def bits(name: str, start: int, stop: int) -> NDArray[np.uint64]:
    """The numbers ``start`` to ``stop`` of the stream ``name``."""
    return splitmix64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"), start, stop)


def uniform(name: str, shape: Shape, low: float = -1.0, high: float = 1.0) -> NDArray[np.float32]:
    """Float32 numbers between ``low`` and ``high``, in 2²⁴ steps."""
    found = np.empty(prod(shape), np.float32)
    for start in range(0, found.size, _AT_ONCE):
        drawn = bits(name, start, min(start + _AT_ONCE, found.size)) >> np.uint64(40)
        found[start : start + _AT_ONCE] = drawn.astype(np.float64) * ((high - low) / 2**24) + low
    return found.reshape(shape)


def whole(name: str, shape: Shape, below: int) -> NDArray[np.int32]:
    """Whole numbers from 0, all less than ``below``."""
    return (bits(name, 0, prod(shape)) % np.uint64(below)).astype(np.int32).reshape(shape)


def truths(name: str, shape: Shape) -> NDArray[np.bool_]:
    """Each as often true as false."""
    return whole(name, shape, 2).astype(np.bool_)


def kernel(name: str, shape: Shape, fan: int, gain: float) -> NDArray[Any]:
    """Weights under which a sum of ``fan`` products of numbers of variance 1 has the variance ``gain``."""
    side = float(np.sqrt(np.float64(3 * gain) / fan))
    return uniform(name, shape, -side, side)
