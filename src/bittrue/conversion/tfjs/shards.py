"""Weights in files of equal size, written as they come: a model of any size takes no more memory than a piece of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SHARD", "ShardWriter"]

SHARD = 4 * 2**20  # bytes; small enough to be cached one by one, as TensorFlow.js's own converter does
_PIECE = 2**20  # elements that are brought into order at once


class ShardWriter:
    """Writes ``nbytes`` bytes into files of ``folder``, whose ``names`` are known from the start.

    ``hashes`` has the SHA-256 of each file in hexadecimal once all is written.
    """

    def __init__(self, folder: Path, nbytes: int, shard: int = SHARD) -> None:
        count = -(-nbytes // shard)
        self.names = [f"group1-shard{index + 1}of{count}.bin" for index in range(count)]
        self.hashes: dict[str, str] = {}
        self._folder = folder
        self._shard = shard
        self._position = 0
        self._digest = hashlib.sha256()

    def write(self, array: NDArray[Any]) -> None:
        """The elements of ``array`` in row-major order; of a view with strides a piece at a time."""
        flat = array.reshape(-1)
        for at in range(0, flat.size, _PIECE):
            piece = np.ascontiguousarray(flat[at : at + _PIECE])
            self._append(piece.view(np.uint8).data)

    def _append(self, view: memoryview) -> None:
        while view:
            index, offset = divmod(self._position, self._shard)
            piece = view[: self._shard - offset]
            with (self._folder / self.names[index]).open("ab") as file:
                file.write(piece)
            self._digest.update(piece)
            self.hashes[self.names[index]] = self._digest.hexdigest()
            self._position += len(piece)
            if self._position % self._shard == 0:
                self._digest = hashlib.sha256()
            view = view[len(piece) :]
