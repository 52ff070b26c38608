"""Plain archives of tensors (``.npz``) read as the inputs of a run: what somebody's own script fed to the model."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from bittrue.errors import TraceError
from bittrue.traces import Key, Provenance, Record, Trace

__all__ = ["read_tensors"]


def read_tensors(path: str | Path) -> Trace:
    """The arrays of a ``.npz`` file as input records, each under its name. Raises TraceError; pickles are refused."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            records = [Record.of(Key("input", name), archive[name]) for name in archive.files]
    except (OSError, EOFError, ValueError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        message = f"{path} cannot be read as an archive of arrays ({error}); save it again with numpy.savez"
        raise TraceError(message, path=str(path)) from error
    if not records:
        raise TraceError(f"{path} holds no arrays; save the tensors that were fed by input name", path=str(path))
    return Trace.of(Provenance("tensors", "numpy", "unknown", "unknown", details={"file": path.name}), records)
