"""Frames as docs/protocol.md describes them, and everything that is none."""

from __future__ import annotations

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ENVIRONMENT, frame, record

from bittrue.errors import InputError, ProtocolError
from bittrue.runtimes import wire
from bittrue.runtimes.messages import Environment, Failed, Piece


def raw(header: bytes, payload: bytes = b"", magic: bytes = b"BTR1") -> bytes:
    """A frame written by hand, so that the reader is not tested with its own writer."""
    header += b" " * (-len(header) % 8)
    return magic + len(header).to_bytes(4, "little") + header + payload


def test_a_frame_is_magic_length_padded_header_and_payload():
    data = wire.encode({"type": "stop"}, b"\x01\x02")
    assert data == b"BTR1" + (16).to_bytes(4, "little") + b'{"type":"stop"} ' + b"\x01\x02"


def test_the_payload_begins_at_a_multiple_of_eight():
    for length in range(20):
        data = wire.encode({"type": "x" * length}, b"!")
        assert (len(data) - 1) % 8 == 0


def test_a_record_is_read_with_all_its_fields():
    header = {"type": "record", "kind": "output", "path": ["outer", "dense"], "nodes": [1, 0], "index": 2}
    header |= {"dtype": "float32", "shape": [1, 3], "offset": 4, "total": 12}
    piece = wire.parse(raw(json.dumps(header).encode(), b"12345678"))
    assert isinstance(piece, Piece)
    assert (piece.path, piece.nodes, piece.index) == (("outer", "dense"), (1, 0), 2)
    assert (piece.dtype, piece.shape, piece.offset, piece.total) == (np.float32, (1, 3), 4, 12)
    assert bytes(piece.payload) == b"12345678"


def test_an_environment_keeps_its_details():
    message = wire.parse(frame(ENVIRONMENT))
    assert isinstance(message, Environment)
    assert message.details == {"threads": 2}
    assert message.adapter is None


def test_text_from_outside_cannot_drive_a_terminal():
    header = {"type": "error", "code": "load", "message": "\x1b[2Jgone\nline", "phase": None, "layer": None}
    message = wire.parse(frame(header))
    assert isinstance(message, Failed)
    assert message.message == " [2Jgone line"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BTR1",
        raw(b'{"type":"done"}', magic=b"BTR2"),
        b"BTR1" + (2**31).to_bytes(4, "little") + b"{}",
        b"BTR1" + (wire.MAX_HEADER + 8).to_bytes(4, "little") + b" " * (wire.MAX_HEADER + 8),
        b"BTR1" + (28).to_bytes(4, "little") + b'{"type":"phase","phase":"x"}',
        raw(b"[1, 2]"),
        raw(b'{"type":'),
        raw(b'{"type": NaN}'),
        raw(b'{"type": 1e999}'),
        raw(b'{"type": ' + b"9" * 5000 + b"}"),
        raw(b'{"type": "\xff"}'),
        raw(b'{"type":"phase","phase":"\\ud800"}'),
        raw(b"[" * 200_000),
        raw(b'{"type":"nothing"}'),
        raw(b'{"type":["record"]}'),
        raw(b'{"type":"hello","protocol":2,"agent":"page","userAgent":"x"}'),
        raw(b'{"type":"hello","protocol":true,"agent":"page","userAgent":"x"}'),
        raw(b'{"type":"hello","protocol":1,"agent":"page"}'),
        raw(b'{"type":"phase","phase":"loading"}', b"stowaway"),
        raw(b'{"type":"done","timings":[],"memory":null}'),
        raw(b'{"type":"error","code":"boom","message":"x"}'),
        raw(b'{"type":"model","layers":["x"],"bytes":null}'),
        raw(b'{"type":"done","memory":null,"timings":{"a":' + b"[" * 40 + b"]" * 40 + b"}}"),
    ],
)
def test_what_is_no_frame_is_refused(data: bytes):
    with pytest.raises(ProtocolError):
        wire.parse(data)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "gradient"},
        {"path": []},
        {"path": [1]},
        {"path": [""]},
        {"path": ["a"] * 100},
        {"nodes": [-1]},
        {"nodes": [0.5]},
        {"nodes": "0"},
        {"index": -1},
        {"index": None},
        {"dtype": "complex64"},
        {"dtype": "int64"},
        {"shape": [3]},
        {"shape": [2**30, 2**30]},
        {"shape": [1] * 40},
        {"offset": 4},
        {"offset": -4},
        {"total": 12},
        {"total": True},
        {"total": 2**60, "shape": [2**58]},
    ],
)
def test_a_record_that_contradicts_itself_is_refused(change: dict):
    with pytest.raises(ProtocolError):
        wire.parse(record(["a"], np.zeros(2, np.float32), **change)[0])


def test_a_bool_is_zero_or_one():
    two = record(["a"], np.array([0, 2], np.uint8), dtype="bool")[0]
    with pytest.raises(ProtocolError, match="bool"):
        wire.parse(two)


def test_a_piece_carries_something():
    header = {"kind": "output", "path": ["a"], "nodes": [0], "index": 0, "dtype": "uint8", "shape": [1]}
    with pytest.raises(ProtocolError, match="without bytes"):
        wire.parse(frame({"type": "record", "offset": 0, "total": 1} | header))


def test_a_payload_above_four_mebibytes_is_refused_and_never_written():
    with pytest.raises(ProtocolError):
        wire.decode(raw(b"{}", bytes(wire.MAX_PAYLOAD + 1)))
    with pytest.raises(ProtocolError):
        wire.encode({"type": "input"}, bytes(wire.MAX_PAYLOAD + 1))


def test_a_job_that_fits_no_header_is_refused_with_the_reason():
    with pytest.raises(ProtocolError, match="too many layers"):
        wire.encode({"type": "run", "job": "x" * wire.MAX_HEADER})


def test_an_input_is_cut_into_pieces_that_join_to_its_bytes():
    array = np.arange(3_000_000, dtype=np.float32).reshape(3, -1)
    parts = [wire.decode(data) for data in wire.input_frames("x", array)]
    assert [header["offset"] for header, _ in parts] == [0, 4 * 2**20, 8 * 2**20]
    assert b"".join(bytes(payload) for _, payload in parts) == array.tobytes()
    assert parts[0][0] | {"offset": 0} == {
        "type": "input",
        "name": "x",
        "dtype": "float32",
        "shape": [3, 1_000_000],
        "offset": 0,
        "total": 12_000_000,
    }


@pytest.mark.parametrize("array", [np.zeros((0, 3), np.float32), np.asfortranarray(np.eye(3)), np.float32([[1]])[::-1]])
def test_an_input_of_any_layout_is_sent_in_c_order(array: np.ndarray):
    sent = b"".join(bytes(wire.decode(data)[1]) for data in wire.input_frames("x", array))
    assert sent == array.astype(np.float32).tobytes()


def test_an_input_is_sent_little_endian():
    (frame_,) = wire.input_frames("x", np.array([1, 2], ">f4"))
    assert bytes(wire.decode(frame_)[1]) == np.array([1, 2], "<f4").tobytes()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (np.int64([[3, -7, 2**31 - 1]]), np.int32([[3, -7, 2**31 - 1]])),
        (np.int8([-128, 127]), np.int32([-128, 127])),
        (np.float16([0.1, -0.0, np.nan]), np.float32([0.0999755859375, -0.0, np.nan])),
        (np.float64([0.5, np.inf]), np.float32([0.5, np.inf])),
    ],
)
def test_an_input_is_sent_in_the_dtype_that_tensorflow_js_has_for_it(given: np.ndarray, sent: np.ndarray):
    ((header, payload),) = [wire.decode(data) for data in wire.input_frames("x", given)]
    assert header["dtype"] == sent.dtype.name
    assert bytes(payload) == sent.tobytes()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.int64([1, 2**31]), "'ids' is int64, .* int32, which cannot hold 1 of its values exactly"),
        (np.float64([0.1, 0.2, 0.5, 1e300]), "'ids' is float64, .* float32, which cannot hold 3 of its values exactly"),
        (np.complex64([1]), "'ids' is complex64"),
    ],
)
def test_an_input_that_would_be_another_there_is_refused_by_name(given: np.ndarray, said: str):
    with pytest.raises(InputError, match=said):
        list(wire.input_frames("ids", given))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else_happens(data: bytes):
    with pytest.raises(ProtocolError):
        wire.parse(data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_FIELDS = ["kind", "path", "nodes", "index", "dtype", "shape", "offset", "total", "backend", "layers", "bytes"]
_FIELDS += ["phase", "code", "timings", "details"]


@settings(deadline=None)
@given(st.sampled_from(["record", "model", "environment", "phase", "error", "done"]), st.data())
def test_random_headers_are_read_or_refused_and_nothing_else_happens(kind: str, data: st.DataObject):
    header = {"type": kind} | {name: data.draw(_JSON) for name in _FIELDS}
    with suppress(ProtocolError):
        wire.parse(raw(json.dumps(header).encode(), b"1234"))
