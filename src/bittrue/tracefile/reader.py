"""Open a trace file: validated first, then mapped into memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open

from bittrue.errors import TraceError
from bittrue.traces import Key, Trace

from .layout import Entry, Source, decode_metadata, lazy_trace, numpy_dtype

__all__ = ["opened", "read_trace"]

_MAX_DIMENSIONS = 32


def read_trace(path: str | Path) -> Trace:
    """The trace at ``path``; records are memory-mapped when loaded, so a large trace costs no memory.

    Raises TraceError for a file that is missing, truncated, damaged, or not a trace.
    """
    path = Path(path)
    file = opened(path)
    try:
        header, data = _header(file, path)
        metadata = header.pop("__metadata__", None)
        provenance, checks, complete = decode_metadata(metadata or {}, path)
        entries = [_entry(name, tensor, path) for name, tensor in header.items()]
    except BaseException:
        file.close()
        raise
    # Execution order is the order of the data; tensors without bytes keep their place in the header.
    entries.sort(key=lambda entry: (entry.start, entry.nbytes))
    return lazy_trace(Source(file, str(path), data), entries, provenance, checks, complete)


def opened(path: Path) -> BinaryIO:
    """The file, open for reading. Raises TraceError if that is not possible."""
    if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would be waited for
        raise TraceError(f"{path} is no ordinary file; give the file of a saved trace", path=str(path))
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise TraceError(f"{path} does not exist; give the file of a saved trace", path=str(path)) from error
    except IsADirectoryError as error:
        raise TraceError(f"{path} is a folder; give the file of a saved trace", path=str(path)) from error
    except (OSError, ValueError) as error:
        raise TraceError(f"cannot read {path}: {error}", path=str(path)) from error


def _header(file: BinaryIO, path: Path) -> tuple[dict[str, Any], int]:
    """The header, which the safetensors library has found sound, and the offset at which the data begins."""
    try:
        with safe_open(path, framework="numpy"):
            pass
    except (SafetensorError, OSError, ValueError) as error:
        message = f"{path} is not a whole safetensors file ({error}); it may be truncated, save the trace again"
        raise TraceError(message, path=str(path)) from error
    length = int.from_bytes(file.read(8), "little")
    try:
        return json.loads(file.read(length), object_pairs_hook=_unique), 8 + length
    except (ValueError, RecursionError) as error:
        raise TraceError(f"{path} has a damaged header ({error}); save the trace again", path=str(path)) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name stands twice")
    return table


def _entry(name: str, tensor: dict[str, Any], path: Path) -> Entry:
    try:
        key = Key.parse(name)
    except ValueError:
        key = None
    if key is None or str(key) != name or key.call < 0 or key.index < 0:
        raise TraceError(f"{path} holds a tensor called {name!r}, which is no record of a trace", path=str(path))
    dtype = numpy_dtype(tensor["dtype"])
    if dtype is None:
        raise TraceError(f"{path}: the record {key} has the dtype {tensor['dtype']}, unknown here", path=str(path))
    shape = tuple(tensor["shape"])
    if len(shape) > _MAX_DIMENSIONS or max(shape, default=0) > np.iinfo(np.intp).max >> 16:
        raise TraceError(f"{path}: the record {key} has the impossible shape {shape}", path=str(path))
    return Entry(key, dtype, shape, tensor["data_offsets"][0])
