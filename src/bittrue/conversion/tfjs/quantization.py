"""Weights in 8 or 16 bits: how they are written, and what TensorFlow.js makes of them, bit for bit.

``float16`` is IEEE 754's. ``uint8`` and ``uint16`` are affine: TensorFlow.js 4.22's ``decodeWeights`` computes
``stored * scale + min`` in float64, each operation rounded by itself, and rounds once more into a Float32Array
(or, for an int32 weight, through ``Math.round`` into an Int32Array). So do all versions back to 1.7.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bittrue.errors import UsageError

from .versions import Version

__all__ = ["STORED", "Quantization", "Quantize", "chosen", "dequantise", "largest", "parse_quantize", "quantise"]

Array = NDArray[Any]

STORED: Mapping[str, np.dtype[Any]] = {
    "float16": np.dtype("<u2"),  # as bits: decoding must not depend on how this machine converts NaN
    "uint16": np.dtype("<u2"),
    "uint8": np.dtype("u1"),
}
_HALF_SINCE: Version = (2, 8, 6)  # of the releases looked at; 2.0.0 does not decode it
_LARGEST = float(np.finfo(np.float32).max)
_BLOCK = 2**20  # elements that are widened to float64 at once


@dataclass(frozen=True)
class Quantize:
    """What the user asked for: weights whose name matches the shell-style ``pattern`` are stored as ``dtype``."""

    dtype: str
    pattern: str = "*"


@dataclass(frozen=True)
class Quantization:
    """The ``quantization`` of a manifest's entry. ``scale`` and ``minimum`` mean nothing for float16."""

    dtype: str
    scale: float = 1.0
    minimum: float = 0.0

    @property
    def entry(self) -> dict[str, Any]:
        """As the manifest has it."""
        affine = {} if self.dtype == "float16" else {"min": self.minimum, "scale": self.scale}
        return {"dtype": self.dtype, **affine}


def parse_quantize(text: str) -> Quantize:
    """``DTYPE`` or ``DTYPE:PATTERN``. Raises UsageError for another dtype or an empty pattern."""
    dtype, colon, pattern = text.partition(":")
    if dtype not in STORED:
        raise UsageError(f"{dtype!r} is no way to quantise: write float16, uint16 or uint8, and :PATTERN after it")
    if colon and not pattern:
        raise UsageError(f"{text!r} quantises nothing: write a pattern of weight names after the colon, or no colon")
    return Quantize(dtype, pattern or "*")


def chosen(names: Sequence[str], rules: Iterable[Quantize], version: Version) -> dict[str, str]:
    """The dtype of each weight that is to be quantised; of several rules that fit, the last.

    Raises UsageError for a pattern that fits no weight, which would else do nothing without a word, and for a dtype
    that TensorFlow.js of ``version`` does not decode.
    """
    found: dict[str, str] = {}
    for rule in rules:
        if rule.dtype == "float16" and version < _HALF_SINCE:
            text = ".".join(map(str, version))
            raise UsageError(f"TensorFlow.js {text} does not decode float16 weights; store them as uint16 or uint8")
        matching = [name for name in names if fnmatchcase(name, rule.pattern)]
        if not matching and (names or rule.pattern != "*"):
            known = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            raise UsageError(f"no weight is called like {rule.pattern!r}; there are {known or 'none'}")
        found.update(dict.fromkeys(matching, rule.dtype))
    return found


def quantise(name: str, array: Array, dtype: str) -> tuple[Array, Quantization]:
    """The float32 ``array`` as it is stored. No error is larger than half a step (and the rounding to float32).

    Zero, where it lies between the smallest and the largest value, is kept exactly (unless these are float32's own).
    Raises UsageError for values that ``dtype`` cannot hold.
    """
    if dtype == "float16":
        return _halved(name, array), Quantization(dtype)
    if not np.all(np.isfinite(array)):
        raise UsageError(f"weight {name!r} is not finite everywhere and cannot be {dtype}; leave it out by a pattern")
    levels = int(np.iinfo(STORED[dtype]).max)
    quantization = _affine(array, dtype, levels)
    stored = np.empty(array.shape, STORED[dtype])
    flat, given = stored.reshape(-1), array.reshape(-1)
    for at in range(0, flat.size, _BLOCK):
        steps = (given[at : at + _BLOCK].astype(np.float64) - quantization.minimum) / quantization.scale
        flat[at : at + _BLOCK] = np.clip(np.rint(steps), 0, levels)
    return stored, quantization


def _halved(name: str, array: Array) -> Array:
    with np.errstate(over="ignore"):
        half = array.astype("<f2")
    if np.any(np.isinf(half) & np.isfinite(array)):
        raise UsageError(
            f"weight {name!r} has values beyond 65504, which float16 cannot hold; leave it out by a pattern"
        )
    return half.view("<u2")


def _affine(array: Array, dtype: str, levels: int) -> Quantization:
    low = float(array.min()) if array.size else 0.0
    high = float(array.max()) if array.size else 0.0
    if low == high:
        return Quantization(dtype, 1.0, low)
    scale = (high - low) / levels
    nudged = -round(-low / scale) * scale  # that many steps and it add up to 0 exactly
    fits = max(-nudged, levels * scale + nudged) <= _LARGEST
    return Quantization(dtype, scale, nudged if low < 0 <= high and fits else low)


def dequantise(stored: Array, quantization: Quantization, dtype: str) -> Array:
    """What TensorFlow.js holds after loading ``stored`` (integers of `STORED`) as a weight of ``dtype``."""
    if quantization.dtype == "float16":
        return _widened(stored)
    found = np.empty(stored.shape, dtype)
    flat, given = found.reshape(-1), stored.reshape(-1)
    with np.errstate(over="ignore"):
        for at in range(0, flat.size, _BLOCK):
            values = given[at : at + _BLOCK].astype(np.float64) * quantization.scale + quantization.minimum
            flat[at : at + _BLOCK] = values if dtype == "float32" else _math_round(values)
    return found


def _widened(stored: Array) -> Array:
    """float16 as float32, on the bits: every value is kept, and so is what a NaN carries."""
    bits = stored.astype(np.uint32)
    sign, exponent, fraction = (bits & 0x8000) << 16, (bits >> 10) & 31, bits & 0x3FF
    wide = np.where(exponent == 31, 255, exponent + 112)
    normal = sign | (wide << 23) | (fraction << 13)
    tiny = (fraction.astype(np.float32) * np.float32(2.0**-24)).view(np.uint32) | sign
    return np.where(exponent == 0, tiny, normal).astype(np.uint32).view(np.float32)


def _math_round(values: Array) -> Array:
    """JavaScript's Math.round: halves go up."""
    below = np.floor(values)
    return np.asarray(below + (values - below >= 0.5))


def largest(quantization: Quantization) -> float:
    """The largest magnitude that can come of it; infinite where float64 cannot tell."""
    levels = int(np.iinfo(STORED[quantization.dtype]).max)
    ends = (quantization.minimum, levels * quantization.scale + quantization.minimum)
    return max(abs(end) for end in ends) if all(map(math.isfinite, ends)) else math.inf
