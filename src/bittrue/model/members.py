"""A member of a zip archive as a file to jump about in: `zipfile` reads everything before a place to get there."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Member", "is_stored", "stored_member"]

_PIECE = 2**20
_HEADER = 30  # bytes of a local file header before its two names of variable length


def is_stored(entry: zipfile.ZipInfo) -> bool:
    """Whether the member's bytes lie in the archive as they are."""
    return entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 1


@contextmanager
def stored_member(path: Path, entry: zipfile.ZipInfo) -> Iterator[Member]:
    """The member of the archive at ``path`` that ``entry`` describes, which `is_stored`, as a file."""
    with path.open("rb", buffering=0) as file:
        file.seek(entry.header_offset)
        header = file.read(_HEADER)
        names = sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
        yield Member(file, entry.header_offset + _HEADER + names, entry.file_size)


class Member(io.RawIOBase):
    """``size`` bytes of a file from ``begin`` on, as a file of their own that can be read."""

    def __init__(self, file: Any, begin: int, size: int) -> None:
        self._file, self._begin, self._size, self._at = file, begin, size, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place. Returns it, counted from the beginning."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` as far as there is something left. Returns the number of bytes."""
        view = memoryview(buffer).cast("B")[: max(0, self._size - self._at)]
        self._file.seek(self._begin + self._at)
        done = 0
        while done < len(view):
            count = self._file.readinto(view[done:])
            if not count:
                break
            done += count
        self._at += done
        return done

    def checksum(self) -> int:
        """The CRC-32 of all of it."""
        found, buffer = 0, bytearray(_PIECE)
        self.seek(0)
        while count := self.readinto(buffer):
            found = zlib.crc32(memoryview(buffer)[:count], found)
        self.seek(0)
        return found
