"""The plain JSON in which people exchange layer outputs, as import and export.

It is what ``JSON.stringify`` makes of TensorFlow.js's ``arraySync``: an object with ``<layer>_output``, a nested
list, and ``<layer>_weights``, a list of nested lists. It carries less than a trace does: no dtype, no inputs, no
second call of a layer, and from JavaScript neither -0 (written 0) nor NaN and infinities (written null).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bittrue.errors import TraceError
from bittrue.traces import Array, Key, Provenance, Record, Trace

from .reader import opened, read_trace
from .tensors import read_tensors
from .writer import replacing

__all__ = ["load", "read_document", "write_document"]


def load(path: str | Path) -> Trace:
    """The trace at ``path``: a safetensors trace, a JSON document or a .npz of inputs, told apart by content.

    Raises TraceError.
    """
    path = Path(path)
    with opened(path) as file:
        start = file.read(4096)
    if not start:
        raise TraceError(f"{path} is empty; save the trace again", path=str(path))
    if start.startswith(b"PK"):
        return read_tensors(path)
    # Text read as the length of a safetensors header is longer than any file can be.
    is_text = len(start) < 8 or int.from_bytes(start[:8], "little") >= 2**56
    if is_text and start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{":
        return read_document(path)
    return read_trace(path)


def read_document(path: str | Path) -> Trace:
    """The outputs and weights in a JSON document.

    Numbers become float32 where every one of a tensor is exactly a float32, else float64. ``null`` becomes
    NaN. Both are said in the provenance's ``details["notes"]``. Raises TraceError.
    """
    path = Path(path)
    notes: list[str] = []
    records = [
        Record.of(key, array)
        for name, value in _parse(path).items()
        for key, array in _tensors(name, value, path, notes)
    ]
    if not records:
        raise TraceError(f"{path} holds no outputs and no weights; it needs keys like dense_output", path=str(path))
    provenance = Provenance("document", "document", "unknown", "unknown", details={"file": path.name, "notes": notes})
    return Trace.of(provenance, records)


def write_document(trace: Trace, path: str | Path) -> None:
    """Write the outputs and weights of ``trace`` as a JSON document, the rest has no place in it.

    Every number is exact, -0 is written ``-0.0`` and an infinity ``1e999`` (valid JSON that every parser reads
    back as an infinity); NaN is ``null`` and loses its payload. Raises TraceError for what the form cannot
    hold: a second call or a second output of a layer.
    """
    path = Path(path)
    weights: dict[str, list[Record]] = {}
    for record in trace.of_kind("weight"):
        weights.setdefault(record.key.layer, []).append(record)
    outputs = trace.of_kind("output")
    for record in outputs:
        if record.key.call or record.key.index:
            message = f"{path}: a JSON document has no place for {record.key}; save the trace as .safetensors"
            raise TraceError(message, path=str(path))
    with replacing(path) as file:
        separator = b"{\n"
        for line in _lines(weights, outputs):
            file.write(separator)
            file.write(line.encode())
            separator = b",\n"
        file.write(b"\n}\n" if separator == b",\n" else b"{}\n")


def _lines(weights: dict[str, list[Record]], outputs: list[Record]) -> Iterator[str]:
    for layer, records in weights.items():
        yield f"{json.dumps(layer + '_weights')}: [{', '.join(_number_text(record.load()) for record in records)}]"
    for record in outputs:
        yield f"{json.dumps(record.key.layer + '_output')}: {_number_text(record.load())}"


def _number_text(array: Array) -> str:
    values = array if array.dtype.kind in "biu" else array.astype(np.float64)
    text = json.dumps(values.tolist())
    return text.replace("NaN", "null").replace("Infinity", "1e999")


def _parse(path: Path) -> dict[str, Any]:
    with opened(path) as file:
        content = file.read()
    try:
        # Integers as floats: JavaScript writes 1.0 as 1, and "-0" must stay negative.
        value = json.loads(content.decode("utf-8-sig"), parse_int=float, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise TraceError(f"{path} is not JSON ({error}); it may be truncated", path=str(path)) from error
    if not isinstance(value, dict):
        raise TraceError(f"{path} is JSON but no object with keys like dense_output", path=str(path))
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands twice")
    return table


def _tensors(name: str, value: Any, path: Path, notes: list[str]) -> Iterator[tuple[Key, Array]]:
    if name.endswith("_output"):
        yield Key("output", name.removesuffix("_output")), _tensor(name, value, path, notes)
    elif name.endswith("_weights") and isinstance(value, list):
        layer = name.removesuffix("_weights")
        for index, weight in enumerate(value):
            yield Key("weight", layer, 0, index), _tensor(f"{name}[{index}]", weight, path, notes)
    else:
        message = f"{path}: {name!r} is neither a list called <layer>_weights nor a tensor called <layer>_output"
        raise TraceError(message, path=str(path))


def _tensor(name: str, value: Any, path: Path, notes: list[str]) -> Array:
    """A nested list as a tensor, float32 where that is exact."""
    try:
        array = np.array(value)
    except (ValueError, RecursionError) as error:
        raise TraceError(f"{path}: {name} is not a tensor, its lists differ in length", path=str(path)) from error
    if array.dtype == object and all(item is None or isinstance(item, float) for item in array.flat):
        lost = sum(item is None for item in array.flat)
        notes.append(f"{name}: {lost} null read as NaN; it may have been NaN or an infinity")
        array = array.astype(np.float64)
    if array.dtype == np.bool_:
        return array
    if array.dtype != np.float64:
        raise TraceError(f"{path}: {name} holds something that is not a number", path=str(path))
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    if np.array_equal(single.astype(np.float64), array, equal_nan=True):
        return single
    notes.append(f"{name}: kept as float64, some numbers are no float32")
    return array
