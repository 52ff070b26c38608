"""The frames of docs/protocol.md: how they are written, and how strictly they are read.

Whatever arrives is hostile until it has passed here: sizes, JSON, names, types and ranges are checked
before anything is allocated or stored, and the first rule broken is a `ProtocolError` that names it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, NoReturn, TypeGuard, get_args

import numpy as np

from bittrue.errors import InputError, ProtocolError
from bittrue.traces import Array, Kind

from .messages import (
    CheckMade,
    Done,
    Environment,
    Failed,
    Hello,
    Message,
    ModelBuilt,
    PhaseBegun,
    Piece,
    Predicted,
    Refused,
)

__all__ = [
    "MAX_FRAME",
    "MAX_HEADER",
    "MAX_PAYLOAD",
    "decode",
    "encode",
    "input_frames",
    "parse",
]

MAX_HEADER = 2**20
"""Bytes of JSON in one frame."""

MAX_PAYLOAD = 4 * 2**20
"""Bytes of tensor in one frame."""

MAX_FRAME = 16 + MAX_HEADER + MAX_PAYLOAD
"""Bytes of the largest frame, padding included."""

_MAGIC = b"BTR1"
_MAX_RANK = 32
_MAX_TENSOR = 2**42  # bytes; far above any tensor, far below what would overflow anything
_MAX_DEPTH = 16
_MAX_TEXT = 4096
_MAX_NAMES = 64  # nested models
_DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "int32": np.dtype("<i4"),
    "bool": np.dtype("?"),
    "uint8": np.dtype("u1"),
    "float16": np.dtype("<f2"),
    "float64": np.dtype("<f8"),
}
_TAKEN = ("float32", "int32", "bool", "uint8")
_CODES = frozenset(
    {
        "backend-fallback",
        "backend-unavailable",
        "context-lost",
        "artifact",
        "load",
        "predict",
        "capture",
        "cancelled",
        "memory",
        "protocol",
    }
)


def encode(header: Mapping[str, Any], payload: bytes | memoryview = b"") -> bytes:
    """One frame. Raises ProtocolError for a header or payload above its limit."""
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER or len(payload) > MAX_PAYLOAD:
        raise ProtocolError(
            f"a frame of type {header.get('type')!r} would be larger than the protocol allows "
            f"({len(text)} bytes of header, {len(payload)} of payload): the model has too many layers for one job"
        )
    return b"".join((_MAGIC, len(text).to_bytes(4, "little"), text, payload))


def input_frames(name: str, array: Array) -> Iterator[bytes]:
    """The frames that carry one input tensor, as float32 or int32 where TensorFlow.js has not its dtype.

    Raises InputError for a tensor that neither of them can hold.
    """
    array = _as_taken(name, array)
    dtype = _wire_dtype(name, array)
    data = np.ascontiguousarray(array, _DTYPES[dtype]).reshape(-1).view(np.uint8).data
    for offset in range(0, max(data.nbytes, 1), MAX_PAYLOAD):
        yield encode(
            {
                "type": "input",
                "name": name,
                "dtype": dtype,
                "shape": list(array.shape),
                "offset": offset,
                "total": data.nbytes,
            },
            data[offset : offset + MAX_PAYLOAD],
        )


def _as_taken(name: str, array: Array) -> Array:
    """``array`` in a dtype that TensorFlow.js has. Raises InputError where a number would change."""
    kind = "f" if array.dtype.name == "bfloat16" else array.dtype.kind
    if array.dtype.name in _TAKEN or kind not in "fiu":
        return array
    wanted = np.dtype(np.float32 if kind == "f" else np.int32)
    with np.errstate(over="ignore"):
        taken = array.astype(wanted)
    changed = (taken.astype(array.dtype) != array) & (array == array)
    if changed.any():
        raise InputError(
            f"the input {name!r} is {array.dtype}, in whose place TensorFlow.js has {wanted}, which cannot hold "
            f"{int(changed.sum())} of its values exactly: give values that both hold",
            name=name,
        )
    return taken


def _wire_dtype(name: str, array: Array) -> str:
    if array.dtype.name not in _DTYPES:
        raise InputError(
            f"the input {name!r} is {array.dtype}, which browsers and Node cannot take: "
            f"convert it to one of {', '.join(_DTYPES)}",
            name=name,
        )
    return array.dtype.name


def decode(frame: bytes | memoryview) -> tuple[dict[str, Any], memoryview]:
    """Header and payload of one frame. Raises ProtocolError for anything that is not one."""
    view = memoryview(frame)
    if len(view) < 8 or bytes(view[:4]) != _MAGIC:
        _refuse("a frame does not begin with BTR1")
    length = int.from_bytes(view[4:8], "little")
    if length > MAX_HEADER or 8 + length > len(view) or length % 8:
        _refuse(f"a frame of {len(view)} bytes announces a header of {length} bytes")
    if len(view) - 8 - length > MAX_PAYLOAD:
        _refuse(f"a frame carries {len(view) - 8 - length} bytes, more than the {MAX_PAYLOAD} allowed")
    return _header(bytes(view[8 : 8 + length])), view[8 + length :]


def _header(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8")
        value = _JSON.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # lone surrogates cannot be stored anywhere
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the agent broke the wire protocol: a header is not JSON ({error})") from error
    if not isinstance(value, dict):
        _refuse("a header is not a JSON object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"the number {text[:20]} is not finite in float64")
    return value


_JSON = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def parse(frame: bytes | memoryview) -> Message:
    """The message in one frame from an agent. Raises ProtocolError naming the first rule that it breaks."""
    header, payload = decode(frame)
    kind = header.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        _refuse(f"{_clean(str(kind))!r} is no type of frame")
    fields = _Fields(str(kind), header)
    if len(payload) and kind != "record":
        _refuse(f"a frame of type {kind!r} carries {len(payload)} bytes of payload")
    return reader(fields, payload)


def _hello(fields: _Fields, payload: memoryview) -> Message:
    if fields.integer("protocol") != 1:
        _refuse("the agent speaks another version of the protocol than 1: reload the page")
    return Hello(fields.text("agent"), fields.text("userAgent"))


def _phase(fields: _Fields, payload: memoryview) -> Message:
    return PhaseBegun(fields.text("phase"), fields.count("window"), fields.count("windows"))


def _environment(fields: _Fields, payload: memoryview) -> Message:
    return Environment(
        fields.text("backend"),
        fields.text("asked"),
        fields.text("version"),
        fields.optional_text("adapter"),
        fields.optional_flag("software"),
        fields.facts("details"),
    )


def _model(fields: _Fields, payload: memoryview) -> Message:
    layers = fields.items("layers")
    if not all(isinstance(layer, dict) for layer in layers):
        _refuse("the layers of a 'model' frame are not objects")
    return ModelBuilt(tuple(_plain(layer) for layer in layers), fields.count("bytes"), fields.count("windows"))


def _record(fields: _Fields, payload: memoryview) -> Message:
    kind, dtype = fields.text("kind"), fields.text("dtype")
    if kind not in get_args(Kind):
        _refuse(f"{kind!r} is no kind of record")
    if dtype not in _DTYPES:
        _refuse(f"{dtype!r} is no dtype of the protocol")
    path = tuple(fields.name(item) for item in fields.items("path", _MAX_NAMES))
    nodes = tuple(fields.natural(item) for item in fields.items("nodes", _MAX_NAMES))
    shape = tuple(fields.natural(item) for item in fields.items("shape", _MAX_RANK))
    offset, total = fields.integer("offset"), fields.integer("total")
    piece = Piece(kind, path, nodes, fields.integer("index"), _DTYPES[dtype], shape, offset, total, payload)  # type: ignore[arg-type]
    _check_extent(piece)
    return piece


def _check_extent(piece: Piece) -> None:
    what = f"the record {piece.kind} of {'/'.join(piece.path)!r}"
    if not piece.path:
        _refuse("a record has an empty path")
    if piece.total > _MAX_TENSOR or piece.total != prod(piece.shape) * piece.dtype.itemsize:
        _refuse(f"{what} of shape {list(piece.shape)} and dtype {piece.dtype.name} announces {piece.total} bytes")
    if piece.offset + len(piece.payload) > piece.total:
        _refuse(f"{what} carries more than its {piece.total} bytes")
    if piece.total and not len(piece.payload):
        _refuse(f"{what} has a piece without bytes")
    if piece.dtype == np.bool_ and len(piece.payload) and np.frombuffer(piece.payload, np.uint8).max() > 1:
        _refuse(f"{what} is bool and holds a byte other than 0 and 1")


def _check(fields: _Fields, payload: memoryview) -> Message:
    return CheckMade(fields.text("name"), fields.optional_flag("passed"), fields.text("detail"))


def _error(fields: _Fields, payload: memoryview) -> Message:
    code = fields.text("code")
    if code not in _CODES:
        _refuse(f"{code!r} is no code of an 'error' frame")
    optional = (fields.optional_text(name) for name in ("phase", "layer", "asked", "answered"))
    return Failed(code, fields.text("message"), *optional)


def _done(fields: _Fields, payload: memoryview) -> Message:
    return Done(fields.facts("timings"), _plain(fields.header.get("memory")))


def _predicted(fields: _Fields, payload: memoryview) -> Message:
    return Predicted(fields.integer("request"))


def _refused(fields: _Fields, payload: memoryview) -> Message:
    return Refused(fields.integer("request"), fields.text("message"))


_READERS = {
    "hello": _hello,
    "phase": _phase,
    "environment": _environment,
    "model": _model,
    "record": _record,
    "check": _check,
    "error": _error,
    "done": _done,
    "predicted": _predicted,
    "refused": _refused,
}


@dataclass(frozen=True)
class _Fields:
    """The fields of one header, each read with the type it must have."""

    type: str
    header: Mapping[str, Any]

    def _wrong(self, name: str, wanted: str) -> NoReturn:
        _refuse(f"the field {name!r} of a frame of type {self.type!r} is not {wanted}")

    def text(self, name: str) -> str:
        value = self.header.get(name)
        return _clean(value) if isinstance(value, str) else self._wrong(name, "text")

    def optional_text(self, name: str) -> str | None:
        return None if self.header.get(name) is None else self.text(name)

    def optional_flag(self, name: str) -> bool | None:
        value = self.header.get(name)
        return value if value is None or isinstance(value, bool) else self._wrong(name, "true, false or null")

    def integer(self, name: str) -> int:
        value = self.header.get(name)
        return value if _is_natural(value) else self._wrong(name, "a natural number")

    def count(self, name: str) -> int | None:
        return None if self.header.get(name) is None else self.integer(name)

    def items(self, name: str, limit: int | None = None) -> list[Any]:
        value = self.header.get(name)
        if not isinstance(value, list) or (limit is not None and len(value) > limit):
            self._wrong(name, "a list" if limit is None else f"a list of at most {limit} items")
        return value

    def name(self, value: Any) -> str:
        return value if isinstance(value, str) and value else self._wrong("path", "a list of names")

    def natural(self, value: Any) -> int:
        return value if _is_natural(value) else self._wrong("nodes or shape", "a list of natural numbers")

    def facts(self, name: str) -> Mapping[str, Any]:
        value = self.header.get(name)
        return _plain(value) if isinstance(value, dict) else self._wrong(name, "an object")  # type: ignore[no-any-return]


def _is_natural(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_TENSOR


def _plain(value: Any, depth: int = 0) -> Any:
    """JSON values with every text safe to print, not nested beyond reason."""
    if depth > _MAX_DEPTH:
        _refuse(f"a header is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, dict):
        return {_clean(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    return _clean(value) if isinstance(value, str) else value


def _clean(text: str) -> str:
    """Text without control characters, which could drive a terminal, and of bounded length."""
    return "".join(char if char.isprintable() else " " for char in text[:_MAX_TEXT])


def _refuse(what: str) -> NoReturn:
    raise ProtocolError(f"the agent broke the wire protocol: {what}")
