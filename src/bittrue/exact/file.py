"""Exact models as files: safetensors, the plan as JSON in the metadata, and a hash over both.

Metadata: ``bittrue.exact`` holds the plan, ``bittrue.exact.sha256`` the SHA-256 (hexadecimal) of the plan's UTF-8
followed by the file's tensor data.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from bittrue.errors import ArtifactError, ModelError
from bittrue.traces import Array

from .plan import Plan
from .quantized import Quantized

__all__ = ["ExactFile", "digest", "read", "write"]

_PLAN, _HASH = "bittrue.exact", "bittrue.exact.sha256"
_LARGEST_HEADER = 100_000_000  # of safetensors itself
_DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "I32": np.dtype("<i4"),
    "BOOL": np.dtype("?"),
}
_NAMES = {dtype.name: label for label, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class ExactFile:
    """A file that was read and found whole. ``constants`` are views on its bytes, by name."""

    plan: Plan
    constants: Mapping[str, Array]
    sha256: str


def write(path: Path, plan: Plan, constants: Mapping[str, Array]) -> None:
    """Write an exact model. The same model gives the same bytes. Raises ModelError where it cannot be written.

    A constant may be given as float16 where the plan has float32, and as uint8 or uint16 where the plan has a scale for
    it: it is stored so, and read as float32.
    """
    header: dict[str, Any] = {
        "__metadata__": {"format": "bittrue-exact", _PLAN: plan.to_json(), _HASH: digest(plan, constants)}
    }
    offset = 0
    for name, blob in _blobs(constants):
        span = [offset, offset + blob.nbytes]
        header[name] = {"dtype": _NAMES[constants[name].dtype.name], "shape": list(blob.shape), "data_offsets": span}
        offset += blob.nbytes
    encoded = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    encoded += b" " * (-len(encoded) % 8)
    try:
        with path.open("wb") as file:
            file.write(struct.pack("<Q", len(encoded)) + encoded)
            for _, blob in _blobs(constants):
                file.write(blob.tobytes())
    except OSError as error:
        raise ModelError(
            f"the exact model cannot be written to {path}: {error.strerror or error}", path=str(path)
        ) from error


def digest(plan: Plan, constants: Mapping[str, Array]) -> str:
    """SHA-256 (hexadecimal) of the plan and the constants as a file holds them."""
    found = hashlib.sha256(plan.to_json().encode())
    for _, blob in _blobs(constants):
        found.update(blob.tobytes())
    return found.hexdigest()


def _blobs(constants: Mapping[str, Array]) -> list[tuple[str, Array]]:
    """The tensors in the file's order: wide elements first, so that all are aligned, then by name."""
    order = sorted(constants, key=lambda name: (-constants[name].itemsize, name))
    return [(name, np.asarray(constants[name], _DTYPES[_NAMES[constants[name].dtype.name]])) for name in order]


def read(path: Path) -> ExactFile:
    """Read an exact model and check every byte of it. Raises ModelError or ArtifactError with one sentence."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}", path=str(path)) from error
    try:
        return _parsed(content)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error


def _parsed(content: bytes) -> ExactFile:
    header, start = _header(content)
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_PLAN), str):
        raise ArtifactError("this is no exact model: write one with bittrue export MODEL model.safetensors")
    data = memoryview(content)[start:]
    text = metadata[_PLAN]
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    digest.update(data)
    if digest.hexdigest() != metadata.get(_HASH):
        raise ArtifactError("the file is damaged or was altered: its content does not match its hash")
    tensors = {name: _tensor(name, entry, data) for name, entry in header.items()}
    plan = Plan.from_json(text, {name: (array.shape, array.dtype.name) for name, array in tensors.items()})
    constants = {item.name: _loaded(tensors[item.name], item.affine) for item in plan.constants}
    return ExactFile(plan, constants, digest.hexdigest())


def _loaded(array: Array, affine: tuple[float, float] | None) -> Array:
    return Quantized(array, *affine).loaded() if affine else array


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    length = struct.unpack("<Q", content[:8])[0] if len(content) >= 8 else 0
    if not 2 <= length <= min(len(content) - 8, _LARGEST_HEADER):
        raise ArtifactError("this is no safetensors file, or it was cut short")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise ArtifactError("the file's header is not JSON: it is damaged") from error
    if not isinstance(header, dict):
        raise ArtifactError("the file's header is malformed")
    return header, 8 + length


def _tensor(name: str, entry: Any, data: memoryview) -> Array:
    try:
        dtype = _DTYPES[entry["dtype"]]
        shape = tuple(entry["shape"])
        start, stop = entry["data_offsets"]
        sizes_fit = all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**31 for n in (*shape, start))
        if not sizes_fit or start + prod(shape) * dtype.itemsize != stop or stop > len(data):
            raise ValueError(f"shape {shape} at {start} to {stop}")
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"the file's tensor {name!r} is malformed ({error})") from error
    if dtype.kind == "b" and (np.frombuffer(data[start:stop], np.uint8) > 1).any():
        raise ArtifactError(f"the file's tensor {name!r} is malformed (a truth value is neither 0 nor 1)")
    array = np.frombuffer(data[start:stop], dtype).reshape(shape)
    return array.astype(np.float32) if dtype.name == "float16" else array
