"""A ``weightsManifest``, checked before anything is made of it: names, shapes, dtypes and quantisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bittrue.errors import ArtifactError

from .quantization import STORED, Quantization, dequantise, largest

__all__ = ["Group", "StoredWeight", "parse_manifest"]

_LARGEST_WEIGHTS = 2**40  # bytes; no machine that Bittrue runs on holds more
_MOST_AXES = 64  # NumPy's limit, and far beyond TensorFlow.js's
_PLAIN: Mapping[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "int32": np.dtype("<i4"),
    "bool": np.dtype("?"),
    "complex64": np.dtype("<c8"),
}
_QUANTISED = {"float32": ("float16", "uint16", "uint8"), "int32": ("uint16", "uint8")}
_LIMITS = {"float32": 2.0**128 - 2.0**103, "int32": 2.0**31 - 0.5}
"""Magnitudes that are rounded to what the dtype does not have, infinity among them."""


@dataclass(frozen=True)
class StoredWeight:
    """One weight: ``dtype`` is what TensorFlow.js holds, ``quantization`` how it is stored if otherwise."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None

    @property
    def nbytes(self) -> int:
        """Bytes in the shards."""
        stored = _PLAIN[self.dtype] if self.quantization is None else STORED[self.quantization.dtype]
        return prod(self.shape) * stored.itemsize

    def decode(self, raw: bytes | bytearray) -> NDArray[Any]:
        """The tensor that TensorFlow.js makes of its bytes, bit for bit."""
        if self.quantization is None:
            return np.frombuffer(raw, _PLAIN[self.dtype]).reshape(self.shape)
        stored = np.frombuffer(raw, STORED[self.quantization.dtype]).reshape(self.shape)
        return dequantise(stored, self.quantization, self.dtype)


@dataclass(frozen=True)
class Group:
    """Files that hold, one after the other, these weights. ``paths`` are unchecked, but for a "./" in front."""

    paths: tuple[Any, ...]
    weights: tuple[StoredWeight, ...]

    @property
    def nbytes(self) -> int:
        """Bytes that the files must hold together."""
        return sum(weight.nbytes for weight in self.weights)


def parse_manifest(document: Mapping[str, Any], where: Path) -> tuple[Group, ...]:
    """The groups in ``document``, the content of ``where``. Raises ArtifactError for what cannot be loaded."""
    groups = document.get("weightsManifest", [])
    sound = isinstance(groups, list) and all(
        isinstance(group, dict) and isinstance(group.get("paths"), list) and isinstance(group.get("weights"), list)
        for group in groups
    )
    if not sound:
        raise ArtifactError(f"{where}: its weightsManifest is not a list of groups with paths and weights")
    found = tuple(
        Group(tuple(map(_plain, group["paths"])), tuple(_weight(entry, where) for entry in group["weights"]))
        for group in groups
    )
    _check_names(found, where)
    return found


def _plain(path: Any) -> Any:
    """The path without the "./" that some tools write in front."""
    while isinstance(path, str) and path.startswith("./"):
        path = path[2:]
    return path


def _check_names(groups: Sequence[Group], where: Path) -> None:
    """Paths and weights are named once. Paths that differ in case alone are one file on some systems."""
    seen: set[tuple[str, str]] = {("path", where.name)}
    for group in groups:
        paths = [("path", str(path).casefold()) for path in group.paths]
        for kind, name in paths + [("weight", weight.name) for weight in group.weights]:
            if (kind, name) in seen:
                raise ArtifactError(f"{where} names the {kind} {name!r:.200} twice")
            seen.add((kind, name))


def _weight(entry: Any, where: Path) -> StoredWeight:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise ArtifactError(f"{where}: its weightsManifest holds something that is no weight: {entry!r:.80}")
    name, shape, dtype = entry["name"], entry.get("shape"), entry.get("dtype")
    label = f"{where}: weight {name!r:.200}"
    if (
        not isinstance(shape, list)
        or len(shape) > _MOST_AXES
        or not all(type(size) is int and size >= 0 for size in shape)
    ):
        raise ArtifactError(f"{label} has the shape {str(shape)[:80]}, which is none")
    if not isinstance(dtype, str) or dtype not in _PLAIN:
        raise ArtifactError(f"{label} has the dtype {dtype!r:.80}; known are {', '.join(_PLAIN)}")
    quantization = _quantization(entry["quantization"], dtype, label) if "quantization" in entry else None
    weight = StoredWeight(name, tuple(shape), dtype, quantization)
    if weight.nbytes > _LARGEST_WEIGHTS or any(length > _LARGEST_WEIGHTS for length in shape):
        raise ArtifactError(f"{label} of shape {str(shape)[:80]} would take more than {_LARGEST_WEIGHTS >> 30} GiB")
    return weight


def _quantization(entry: Any, dtype: str, label: str) -> Quantization:
    stored = entry.get("dtype") if isinstance(entry, dict) else entry
    known = _QUANTISED.get(dtype, ())
    if not isinstance(entry, dict) or not isinstance(stored, str) or stored not in known:
        options = f"only as {', '.join(known)}" if known else "not at all"
        raise ArtifactError(
            f"{label} is quantised, but has the dtype {stored!r:.80} there: {dtype} weights can be quantised {options}"
        )
    if stored == "float16":
        return Quantization(stored)
    found = Quantization(stored, _number(entry, "scale", label), _number(entry, "min", label))
    if largest(found) >= _LIMITS[dtype]:
        raise ArtifactError(
            f"{label} is quantised with scale {found.scale:g} and min {found.minimum:g}, which leave {dtype}'s range"
        )
    return found


def _number(entry: Mapping[str, Any], key: str, label: str) -> float:
    value = entry.get(key)
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:
        number = None
    if number is None or not isfinite(number):
        raise ArtifactError(f"{label} is quantised with the {key} {str(value)[:40]!r}, which is no finite number")
    return number
