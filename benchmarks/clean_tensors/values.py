"""What clean tensors are made of: ordinary numbers, and the structured ones on which roundings do not average out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["INPUTS", "KERNELS", "REPEATING"]

Array = NDArray[Any]
Draw = np.random.Generator
Make = Callable[[Draw, tuple[int, ...]], Array]


def _each(draw: Draw, shape: tuple[int, ...], values: Array) -> Array:
    """One of ``values`` for every first index."""
    return np.asarray(np.broadcast_to(values.reshape(-1, *[1] * (len(shape) - 1)), shape))


def _pictures(draw: Draw, shape: tuple[int, ...]) -> Array:
    """Slow waves of whole numbers from 0 to 255, as they are, as parts of 255, or from -1 to 1."""
    waves = np.zeros(shape)
    for axis in range(1, len(shape)):
        place = np.arange(shape[axis]).reshape(-1, *[1] * (len(shape) - axis - 1))
        phase = _each(draw, shape, draw.uniform(0, 6.28, shape[0]))
        waves = waves + np.sin(place * draw.uniform(0.01, 0.4) + phase)
    pixels = np.rint(127.5 + 127.5 * waves / max(1, len(shape) - 1))
    forms: tuple[Array, ...] = (pixels, pixels / 255, pixels / 127.5 - 1)
    return forms[int(draw.integers(3))]


def _hot(draw: Draw, shape: tuple[int, ...]) -> Array:
    found = np.zeros(shape)
    rows = found.reshape(-1, shape[-1])
    rows[np.arange(len(rows)), draw.integers(0, shape[-1], len(rows))] = 1
    return found


INPUTS: Mapping[str, Make] = MappingProxyType(
    {
        "normal": lambda draw, shape: draw.normal(size=shape),
        "positive": lambda draw, shape: draw.uniform(0, 1, shape),
        "scaled": lambda draw, shape: draw.normal(size=shape) * 10.0 ** draw.uniform(-12, 9),
        "wide": lambda draw, shape: draw.normal(size=shape) * 10.0 ** draw.uniform(-3, 3, shape),
        "saturating": lambda draw, shape: draw.normal(size=shape) * 30,
        "far from zero": lambda draw, shape: 10.0 ** draw.uniform(0, 3) + draw.normal(size=shape),
        "rectified": lambda draw, shape: np.maximum(draw.normal(size=shape), 0),
        "in steps": lambda draw, shape: draw.integers(0, 256, shape) / 255,
        "picture": _pictures,
        "tiny": lambda draw, shape: draw.normal(size=shape) * 10.0 ** draw.uniform(-42, -30),
        "zeros": lambda draw, shape: np.zeros(shape),
        "ones": lambda draw, shape: np.ones(shape),
        "constant": lambda draw, shape: _each(draw, shape, draw.normal(size=shape[0])),
        "one hot": _hot,
    }
)
"""Inputs by name; the first axis is the batch."""

REPEATING = frozenset({"zeros", "ones", "constant", "one hot", "in steps", "picture"})
"""Those of few different values: `bittrue.ops.variance.coherent` must see each tensor by itself."""


def _fan(shape: tuple[int, ...]) -> float:
    return float(np.sqrt(max(1, int(np.prod(shape[:-1])))))


def _halves(draw: Draw, shape: tuple[int, ...]) -> Array:
    """An edge: the first half of the terms positive, the second negative, and their sum near zero."""
    rows = np.abs(draw.normal(1, 0.2, size=(int(np.prod(shape[:-1])), shape[-1])))
    rows[len(rows) // 2 :] *= -1
    return rows.reshape(shape) / _fan(shape)


def _balanced(draw: Draw, shape: tuple[int, ...]) -> Array:
    found = draw.normal(size=(int(np.prod(shape[:-1])), shape[-1]))
    return np.asarray((found - found.mean(axis=0)).reshape(shape) / _fan(shape))


KERNELS: Mapping[str, Make] = MappingProxyType(
    {
        "normal": lambda draw, shape: draw.normal(size=shape) / _fan(shape),
        "uniform": lambda draw, shape: draw.uniform(-1, 1, shape),
        "wide": lambda draw, shape: draw.normal(size=shape) * 10.0 ** draw.uniform(-2, 2, shape),
        "balanced": _balanced,
        "halves": _halves,
        "sparse": lambda draw, shape: draw.normal(size=shape) * (draw.random(shape) < 0.2),
        "in steps": lambda draw, shape: draw.integers(-128, 128, shape) / 300,
        "constant": lambda draw, shape: np.full(shape, draw.normal()),
    }
)
"""Kernels by name; all axes but the last are summed over."""
