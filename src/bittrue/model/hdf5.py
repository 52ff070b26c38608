"""HDF5 files opened without following them elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import IO, Any

from bittrue.errors import ModelError

__all__ = ["opened_h5", "refuse_links"]


@contextmanager
def opened_h5(source: Path | IO[bytes] | RawIOBase, label: str) -> Iterator[Any]:
    """An ``h5py.File`` open for reading. Raises ModelError where it is damaged."""
    import h5py

    try:
        file = h5py.File(source, "r")
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{label} is a damaged or truncated HDF5 file; copy or save it again", path=label) from error
    with file:
        yield file


def refuse_links(file: Any, path: Path) -> None:
    """Raise ModelError if anything in ``file`` lies in another file: HDF5 would open whatever path it names."""
    import h5py

    waiting = [file]
    while waiting:
        group = waiting.pop()
        for name in group:
            if isinstance(group.get(name, getlink=True), h5py.ExternalLink | h5py.SoftLink):
                raise ModelError(f"{path}: {group.name}/{name} links elsewhere, which no model needs", path=str(path))
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
                raise ModelError(f"{path}: the data of {item.name} lies in another file", path=str(path))
