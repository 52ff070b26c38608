"""Write a trace as its records arrive, piece by piece, in bounded memory."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import numpy as np

from bittrue.errors import TraceError
from bittrue.traces import Array, Check, Key, Provenance, Record, Trace

from .layout import ALIGNMENT, MAX_HEADER, Entry, Source, encode_header, lazy_trace, numpy_dtype, safetensors_dtype

__all__ = ["TraceWriter", "partial_name", "replacing", "write_trace", "writing"]

_RESERVE = 2**20
_PIECE = 4 * 2**20
_CHEAP = 16 * 2**20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} if hasattr(errno, "EDQUOT") else {errno.ENOSPC, errno.EFBIG}


class TraceWriter:
    """Writes one trace. Use as a context manager and call `finish`; leaving without it abandons the file.

    ``path`` is where the trace will stand; until `finish` the data lies under a temporary name beside it, so
    that a reader never sees half a file. With None the trace lives in a temporary file that ends with the
    last of its records. Raises TraceError where the file cannot be written, the disk is full, or the pieces
    of a record do not add up; what was written is then removed.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._entries: dict[Key, Entry] = {}
        self._open: Entry | None = None
        self._over = False
        self._at = 0  # where the next byte goes, counted from the end of the header
        self._partial, self._file = self._create()
        with self._writing():
            self._file.seek(_RESERVE)

    def _create(self) -> tuple[Path | None, BinaryIO]:
        if self.path is None:
            return _temporary()
        partial = partial_name(self.path)
        with writing(self.path):
            return partial, cast(BinaryIO, partial.open("x+b"))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with writing(self.path):
                yield
        except TraceError:
            self.abandon()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    @property
    def keys(self) -> tuple[Key, ...]:
        """The records that are whole, in the order written."""
        return tuple(self._entries)

    def begin(self, key: Key, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Start the record ``key``; its bytes follow, little-endian in C order. Raises TraceError."""
        if self._open is not None:
            raise self._error(f"the record {key} begins before {self._open.key} has ended")
        if key in self._entries:
            raise self._error(f"the record {key} was sent twice")
        name = safetensors_dtype(np.dtype(dtype))
        little = numpy_dtype(name) if name else None
        if little is None:
            raise self._error(f"the record {key} has the dtype {np.dtype(dtype)}, which a trace cannot hold")
        _check_text(key, self.path)
        self._open = Entry(key, little, tuple(int(size) for size in shape), self._at)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """The next piece of the record that was begun. Raises TraceError if it is more than the record holds."""
        entry = self._open
        if entry is None:
            raise self._error("bytes arrived with no record to belong to")
        size = memoryview(data).nbytes
        if self._at + size > entry.start + entry.nbytes:
            raise self._error(f"the record {entry.key} received more than its {entry.nbytes} bytes")
        with self._writing():
            self._file.write(data)
        self._at += size

    def end(self) -> None:
        """The record that was begun is whole. Raises TraceError if bytes are missing."""
        entry = self._open
        if entry is None:
            raise self._error("a record ended that had not begun")
        if self._at - entry.start != entry.nbytes:
            received = self._at - entry.start
            raise self._error(f"the record {entry.key} ended after {received} of its {entry.nbytes} bytes")
        self._entries[entry.key] = entry
        self._open = None

    def add(self, record: Record) -> None:
        """Write a whole record, in pieces."""
        self.begin(record.key, record.dtype, record.shape)
        for piece in _pieces(record.load(), record.dtype):
            self.write(piece)
        self.end()

    def finish(self, provenance: Provenance, checks: tuple[Check, ...] = (), complete: bool = True) -> Trace:
        """Close the file and return the trace, its records memory-mapped. A record that had not ended is dropped."""
        if self._open is not None:
            self._at, self._open = self._open.start, None
        entries = list(self._entries.values())
        with self._writing():
            data = self._write_header(encode_header(entries, provenance, checks, complete))
            file = self._publish()
        self._over = True
        source = Source(file, str(self.path or "a temporary trace"), data)
        weakref.finalize(source, _discard, file, self._partial if self.path is None else None)
        return lazy_trace(source, entries, provenance, tuple(checks), complete)

    def abandon(self) -> None:
        """Remove what was written. Does nothing after `finish`."""
        if not self._over:
            self._over = True
            _discard(self._file, self._partial)

    def _write_header(self, header: bytes) -> int:
        """Put the header in front of the data, moving the data where that is needed or cheap; where the data begins."""
        if len(header) > MAX_HEADER - ALIGNMENT:
            raise self._error(f"a trace of {len(self._entries)} records has a larger header than safetensors allows")
        least = -(-(8 + len(header)) // ALIGNMENT) * ALIGNMENT
        data = least if least > _RESERVE or self._at <= _CHEAP else _RESERVE
        _move(self._file, _RESERVE, data, self._at)
        self._file.seek(0)
        self._file.write((data - 8).to_bytes(8, "little"))
        self._file.write(header.ljust(data - 8))
        self._file.truncate(data + self._at)
        self._file.flush()
        return data

    def _publish(self) -> BinaryIO:
        if self.path is None:
            return self._file
        # Windows renames only what is closed.
        self._file.close()
        assert self._partial is not None
        os.replace(self._partial, self.path)
        return self.path.open("rb")

    def _error(self, message: str) -> TraceError:
        where = f" (writing {self.path})" if self.path else ""
        return TraceError(message + where, path=str(self.path) if self.path else None)


def write_trace(trace: Trace, path: str | Path) -> Trace:
    """Save ``trace`` as a safetensors file at ``path`` and return it as read from there. Raises TraceError."""
    with TraceWriter(path) as writer:
        for record in trace:
            writer.add(record)
        return writer.finish(trace.provenance, trace.checks, trace.complete)


@contextmanager
def writing(path: Path | None) -> Iterator[None]:
    """Turns the errors of the operating system into a TraceError that says what to do."""
    where = str(path) if path else f"the temporary folder {tempfile.gettempdir()}"
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            message = f"no space is left for {where}; free some or save elsewhere"
        else:
            message = f"cannot write {where}: {error.strerror or error}; choose a folder that exists and is writable"
        raise TraceError(message, path=str(path) if path else None) from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` when the block ends, and vanishes if it fails."""
    partial = partial_name(path)
    with writing(path):
        try:
            with partial.open("xb") as file:
                yield file
            os.replace(partial, path)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise


def partial_name(path: Path) -> Path:
    """A name beside ``path`` for the time it is incomplete. Raises TraceError if ``path`` is a folder or a device."""
    if path.is_dir():
        raise TraceError(f"{path} is a folder; give the name of a file in it", path=str(path))
    if path.exists() and not path.is_file():  # the file that takes its place would put an end to /dev/null
        raise TraceError(f"{path} is no ordinary file; give the name of one", path=str(path))
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


def _temporary() -> tuple[Path | None, BinaryIO]:
    with writing(None):
        if os.name == "nt":
            handle, name = tempfile.mkstemp(prefix="bittrue-", suffix=".safetensors")
            return Path(name), os.fdopen(handle, "w+b")
        # A file without a name cannot be left behind, whatever kills this process.
        return None, cast(BinaryIO, tempfile.TemporaryFile("w+b"))


def _discard(file: BinaryIO, partial: Path | None) -> None:
    with suppress(OSError):  # a full disk makes the last flush fail again
        file.close()
    if partial is not None:
        with suppress(OSError):  # on Windows an array that is still mapped keeps it; the system's clean-up has it
            partial.unlink(missing_ok=True)


def _check_text(key: Key, path: Path | None) -> None:
    try:
        str(key).encode()
    except UnicodeEncodeError as error:
        raise TraceError(f"the record {key!r} has a name that is not Unicode text", path=str(path)) from error


def _pieces(array: Array, dtype: np.dtype[Any]) -> Iterator[memoryview]:
    """The bytes of ``array`` in C order, little-endian, a few megabytes at a time; no copy where none is needed."""
    little = dtype.newbyteorder("<")
    if array.flags.c_contiguous and array.dtype == little:
        yield from _split(array.reshape(-1).view(np.uint8).data)
        return
    step = max(1, _PIECE // dtype.itemsize)
    for first in range(0, array.size, step):
        block = array.flat[first : first + step].astype(little, copy=False)
        yield np.ascontiguousarray(block).view(np.uint8).data


def _split(data: memoryview) -> Iterator[memoryview]:
    for first in range(0, len(data), _PIECE):
        yield data[first : first + _PIECE]


def _move(file: BinaryIO, old: int, new: int, size: int) -> None:
    """Move ``size`` bytes from offset ``old`` to ``new`` within the file; the ranges may overlap."""
    if new == old:
        return
    starts = range(0, size, _PIECE)
    for first in starts if new < old else reversed(starts):
        file.seek(old + first)
        piece = file.read(min(_PIECE, size - first))
        file.seek(new + first)
        file.write(piece)
