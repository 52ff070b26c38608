"""Traces made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from bittrue.traces import Array, Key, Provenance, Record, Trace


def trace(*records: tuple[Key, Any], target: str = "fake:cpu", complete: bool = True) -> Trace:
    """A trace in memory; values that are no arrays become float32."""
    made = [Record.of(key, value if isinstance(value, np.ndarray) else np.float32(value)) for key, value in records]
    return Trace.of(Provenance(target, "fake", "cpu", "1"), made, complete=complete)


def output(layer: str, call: int = 0, index: int = 0) -> Key:
    return Key("output", layer, call, index)


def watched(key: Key, array: Array, log: list[str], name: str) -> Record:
    """A record that notes in ``log`` when it is loaded."""

    def load() -> Array:
        log.append(name)
        return array

    return Record(key, array.dtype, array.shape, load)
