"""What a trace file looks like: dtypes, the header, and tensors at their offsets."""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from bittrue.errors import TraceError
from bittrue.traces import Array, Check, Key, Provenance, Record, Trace

__all__ = [
    "MAX_HEADER",
    "VERSION",
    "Entry",
    "Source",
    "decode_metadata",
    "encode_header",
    "lazy_trace",
    "numpy_dtype",
    "plain",
    "safetensors_dtype",
]

VERSION = "1"
"""Version of the format, under ``bittrue.trace`` in the metadata."""

MAX_HEADER = 100_000_000
"""Bytes of header that safetensors accepts."""

ALIGNMENT = 64
"""The header is padded to a multiple of this, so that the first tensor is aligned."""

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}


@dataclass(frozen=True)
class Entry:
    """One tensor of the file: ``start`` is the offset of its first byte, counted from the end of the header."""

    key: Key
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


@cache
def numpy_dtype(name: str) -> np.dtype[Any] | None:
    """The little-endian NumPy dtype of a safetensors dtype, None if there is none."""
    if name == "BF16":
        return _bfloat16()
    return np.dtype(_DTYPES[name]) if name in _DTYPES else None


def safetensors_dtype(dtype: np.dtype[Any]) -> str | None:
    """The safetensors name of a NumPy dtype of either byte order, None if there is none."""
    if dtype.name == "bfloat16":
        return "BF16"
    little = dtype.newbyteorder("<")
    return next((name for name, code in _DTYPES.items() if np.dtype(code) == little), None)


def _bfloat16() -> np.dtype[Any] | None:
    try:
        import ml_dtypes
    except ImportError:
        return None
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def encode_header(entries: Iterable[Entry], provenance: Provenance, checks: Iterable[Check], complete: bool) -> bytes:
    """The safetensors header as JSON, without its length and without padding."""
    header: dict[str, Any] = {
        "__metadata__": {
            "bittrue.trace": VERSION,
            "bittrue.provenance": _dumps(asdict(replace(provenance, details=plain(provenance.details)))),
            "bittrue.checks": _dumps([asdict(check) for check in checks]),
            "bittrue.complete": _dumps(complete),
        }
    }
    for entry in entries:
        span = [entry.start, entry.start + entry.nbytes]
        dtype = safetensors_dtype(entry.dtype)
        header[str(entry.key)] = {"dtype": dtype, "shape": list(entry.shape), "data_offsets": span}
    return json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()


def decode_metadata(metadata: Mapping[str, str], path: Path) -> tuple[Provenance, tuple[Check, ...], bool]:
    """Provenance, checks and completeness from a header's metadata. Raises TraceError."""
    version = metadata.get("bittrue.trace")
    if version is None:
        raise TraceError(
            f"{path} is a safetensors file but not a trace; give a file that bittrue saved", path=str(path)
        )
    if version != VERSION:
        raise TraceError(
            f"{path} is a trace of format {version!r} and this Bittrue reads {VERSION!r}; update Bittrue",
            path=str(path),
        )
    try:
        provenance = Provenance(**json.loads(metadata["bittrue.provenance"]))
        checks = tuple(Check(**check) for check in json.loads(metadata["bittrue.checks"]))
        complete = json.loads(metadata["bittrue.complete"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise TraceError(
            f"{path} has damaged trace metadata ({error}); save the trace again", path=str(path)
        ) from error
    if not isinstance(complete, bool) or not isinstance(provenance.details, dict):
        raise TraceError(f"{path} has damaged trace metadata; save the trace again", path=str(path))
    return provenance, checks, complete


def plain(value: Any) -> Any:
    """``value`` in JSON's own types; what JSON cannot carry (NaN, an object) becomes text: no run is lost."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _dumps(value: Any) -> str:
    # ASCII, so that a lone surrogate in some browser's string stays an escape: UTF-8 could not carry it.
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


class Source:
    """An open file that records are mapped from. It stays open as long as a record that needs it lives."""

    def __init__(self, file: BinaryIO, name: str, data: int) -> None:
        self.file = file
        self.name = name
        self.data = data

    def load(self, entry: Entry) -> Array:
        """The tensor, memory-mapped and read-only. Raises TraceError if the system refuses the mapping."""
        if entry.nbytes == 0:
            return np.empty(entry.shape, entry.dtype)
        first = self.data + entry.start
        page = first - first % mmap.ALLOCATIONGRANULARITY
        length = first - page + entry.nbytes
        try:
            mapping = mmap.mmap(self.file.fileno(), length, access=mmap.ACCESS_READ, offset=page)
        except (OSError, ValueError) as error:
            message = f"cannot map {entry.key} of {self.name} ({error}); the file may have changed since it was opened"
            raise TraceError(message, path=self.name) from error
        if entry.dtype == np.bool_:
            # A byte other than 0 and 1 is no bool for NumPy and would compare unpredictably.
            return np.asarray(np.ndarray(entry.shape, np.uint8, buffer=mapping, offset=first - page) != 0)
        return np.ndarray(entry.shape, entry.dtype, buffer=mapping, offset=first - page)


def lazy_trace(
    source: Source, entries: Iterable[Entry], provenance: Provenance, checks: tuple[Check, ...], complete: bool
) -> Trace:
    """A trace whose records are mapped from ``source`` when loaded."""
    records = {entry.key: Record(entry.key, entry.dtype, entry.shape, partial(source.load, entry)) for entry in entries}
    return Trace(provenance, MappingProxyType(records), checks, complete)
