"""Traces on disk: what is written comes back bit for bit, and what is damaged is refused in one sentence."""

from __future__ import annotations

import errno
import gc
import json
import os
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from safetensors import safe_open
from safetensors.numpy import save_file

from bittrue.errors import TraceError
from bittrue.tracefile import TraceWriter, load, read_document, read_trace, write_document, write_trace
from bittrue.traces import Array, Check, Key, Provenance, Record, Trace

PROVENANCE = Provenance("chrome:webgl", "tfjs", "webgl", "4.22.0", "SwiftShader", True, {"threads": 2, "flags": {}})
CHECKS = (Check("capture", True, "agree"), Check("batch", None, "not tried"))
DTYPES = ["float16", "float32", "float64", "int32", "int64", "uint8", "bool"]


def trace_of(*records: Record, **rest: Any) -> Trace:
    return Trace.of(PROVENANCE, list(records), **rest)


def output(layer: str, array: Array, index: int = 0) -> Record:
    return Record.of(Key("output", layer, 0, index), array)


def bits(array: Array) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if "partial" in path.name]


@st.composite
def arrays_of_any_bits(draw: st.DrawFn) -> Array:
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    size = int(np.prod(shape)) * dtype.itemsize
    data = draw(st.binary(min_size=size, max_size=size))
    if dtype == np.bool_:
        return (np.frombuffer(data, np.uint8) % 2 == 1).reshape(shape)
    return np.frombuffer(data, dtype).reshape(shape)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(arrays_of_any_bits(), max_size=5))
def test_every_bit_comes_back(tmp_path: Path, arrays: list[Array]) -> None:
    path = tmp_path / "t.safetensors"
    write_trace(trace_of(*(output(f"l{i}", array) for i, array in enumerate(arrays))), path)
    for array, record in zip(arrays, read_trace(path), strict=True):
        assert (record.dtype, record.shape) == (array.dtype, array.shape)
        assert bits(record.load()) == bits(array)


def test_special_values_keep_their_bits(tmp_path: Path) -> None:
    patterns = [0x80000000, 0x7FC00001, 0xFFC00123, 0x7F800001, 0x00000001, 0x80000001, 0x7F800000, 0xFF800000]
    array = np.array(patterns, np.uint32).view(np.float32)
    write_trace(trace_of(output("a", array)), tmp_path / "t")
    assert read_trace(tmp_path / "t")[Key("output", "a")].load().view(np.uint32).tolist() == patterns


def test_bfloat16_comes_back(tmp_path: Path) -> None:
    array = np.array([1.5, -0.0, 3e38], ml_dtypes.bfloat16)
    record = next(iter(write_trace(trace_of(output("a", array)), tmp_path / "t")))
    assert record.load().dtype == ml_dtypes.bfloat16
    assert bits(record.load()) == bits(array)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=">f4").reshape(3, 4),
        np.arange(12, dtype=np.float32).reshape(3, 4).T,
        np.arange(24, dtype=np.float32)[::2],
        np.broadcast_to(np.float32(2.5), (3, 5)),
    ],
    ids=["big-endian", "transposed", "strided", "broadcast"],
)
def test_any_memory_layout_is_written_in_c_order(tmp_path: Path, array: Array) -> None:
    stored = next(iter(write_trace(trace_of(output("a", array)), tmp_path / "t"))).load()
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, array)


def test_everything_beside_the_tensors_comes_back(tmp_path: Path) -> None:
    write_trace(trace_of(output("a", np.ones(1)), checks=CHECKS, complete=False), tmp_path / "t")
    read = read_trace(tmp_path / "t")
    assert (read.provenance, read.checks, read.complete) == (PROVENANCE, CHECKS, False)


def test_the_order_of_records_comes_back_even_if_they_are_empty(tmp_path: Path) -> None:
    names = ["z", "a", "e1", "e0", "m"]
    write_trace(trace_of(*(output(n, np.ones(0 if n[0] == "e" else 2)) for n in names)), tmp_path / "t")
    assert [record.key.layer for record in read_trace(tmp_path / "t")] == names


def test_any_safetensors_reader_opens_it(tmp_path: Path) -> None:
    write_trace(trace_of(output("dense/é:1", np.arange(4, dtype=np.int32))), tmp_path / "t")
    with safe_open(tmp_path / "t", framework="numpy") as file:
        assert file.get_tensor("output:dense/é:1:0:0").tolist() == [0, 1, 2, 3]
        assert file.metadata()["bittrue.trace"] == "1"


def test_details_that_json_cannot_hold_become_text(tmp_path: Path) -> None:
    odd = Provenance("t", "r", "b", "v", details={"nan": float("nan"), "path": Path("x"), "lone": "\ud800", 1: (2,)})
    with TraceWriter(tmp_path / "t") as writer:
        writer.finish(odd)
    assert read_trace(tmp_path / "t").provenance.details == {"nan": "nan", "path": "x", "lone": "\ud800", "1": [2]}


def test_records_are_mapped_and_cannot_be_written(tmp_path: Path) -> None:
    trace = write_trace(trace_of(output("a", np.zeros(4_000_000, np.float32))), tmp_path / "t")
    tracemalloc.start()
    array = next(iter(trace)).load()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000
    assert not array.flags.writeable


def test_writing_a_strided_tensor_holds_only_pieces_of_it(tmp_path: Path) -> None:
    array = np.broadcast_to(np.float32(1), (64, 2**20))
    tracemalloc.start()
    write_trace(trace_of(output("a", array)), tmp_path / "t")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < array.nbytes / 8


def test_a_trace_may_replace_the_file_it_is_read_from(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_trace(trace_of(output("a", np.arange(5.0))), path)
    old = read_trace(path)
    new = write_trace(old, path)
    assert bits(old[Key("output", "a")].load()) == bits(new[Key("output", "a")].load()) == bits(np.arange(5.0))


def test_pieces_of_any_size_make_a_record(tmp_path: Path) -> None:
    data = np.arange(10, dtype=np.float32)
    with TraceWriter(tmp_path / "t") as writer:
        writer.begin(Key("output", "a"), data.dtype, (2, 5))
        for piece in (data.tobytes()[:3], data.tobytes()[3:3], memoryview(data.tobytes())[3:]):
            writer.write(piece)
        writer.end()
        trace = writer.finish(PROVENANCE)
    assert trace[Key("output", "a")].load().tolist() == data.reshape(2, 5).tolist()


@pytest.mark.parametrize("size", [10, 3_000_000, 5_000_000])
@pytest.mark.parametrize("records", [1, 3000])
def test_the_data_stays_right_however_long_header_and_data_are(tmp_path: Path, size: int, records: int) -> None:
    array = np.arange(size, dtype=np.float32)
    with TraceWriter(tmp_path / "t") as writer:
        writer.add(output("a", array))
        for index in range(1, records):
            writer.add(output("layer" * 80, np.float32([index]), index))
        writer.finish(PROVENANCE)
    first, *rest = read_trace(tmp_path / "t")
    np.testing.assert_array_equal(first.load(), array)
    assert [record.load()[0] for record in rest] == list(range(1, records))


def test_a_record_that_did_not_end_is_dropped(tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "t") as writer:
        writer.add(output("whole", np.ones(3)))
        writer.begin(Key("output", "half"), np.dtype(np.float32), (4,))
        writer.write(b"12345678")
        writer.finish(PROVENANCE, complete=False)
    assert list(read_trace(tmp_path / "t").records) == [Key("output", "whole")]


def test_leaving_without_finish_leaves_nothing(tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "t") as writer:
        writer.add(output("a", np.ones(3)))
        assert leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nobody_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("old")
    with TraceWriter(path) as writer:
        writer.add(output("a", np.ones(3)))
        assert path.read_text() == "old"
        writer.finish(PROVENANCE)
    assert len(read_trace(path)) == 1
    assert leftovers(tmp_path) == []


def test_a_temporary_trace_lives_as_long_as_its_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with TraceWriter(None) as writer:
        writer.add(output("a", np.arange(3.0)))
        trace = writer.finish(PROVENANCE)
    record = next(iter(trace))
    del trace
    assert record.load().tolist() == [0.0, 1.0, 2.0]
    del record, writer
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def take_steps(writer: TraceWriter, steps: list[tuple[Any, ...]]) -> None:
    for step, *size in steps:
        match step:
            case "begin":
                writer.begin(Key("output", "a"), np.dtype(np.float32), (size[0],))
            case "write":
                writer.write(bytes(size[0]))
            case "end":
                writer.end()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([("begin", 2), ("write", 9)], "more than its 8 bytes"),
        ([("begin", 2), ("write", 4), ("end",)], "after 4 of its 8 bytes"),
        ([("write", 1)], "no record"),
        ([("end",)], "had not begun"),
        ([("begin", 2), ("begin", 2)], "before"),
        ([("begin", 0), ("end",), ("begin", 0)], "twice"),
    ],
)
def test_pieces_that_do_not_add_up_are_refused(tmp_path: Path, steps: list[tuple[Any, ...]], said: str) -> None:
    with TraceWriter(tmp_path / "t") as writer, pytest.raises(TraceError, match=said):
        take_steps(writer, steps)


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([1j]), np.array([None])])
def test_a_dtype_that_no_trace_holds_is_refused(array: Array) -> None:
    with TraceWriter(None) as writer, pytest.raises(TraceError, match="dtype"):
        writer.add(output("a", array))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    class FullDisk:
        def __init__(self, file: Any) -> None:
            self._file = file

        def write(self, data: bytes) -> int:
            raise OSError(number, os.strerror(number))

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

    with TraceWriter(tmp_path / "t") as writer:
        monkeypatch.setattr(writer, "_file", FullDisk(writer._file))
        with pytest.raises(TraceError, match="no space is left") as caught:
            writer.add(output("a", np.ones(3)))
    assert caught.value.path == str(tmp_path / "t")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits there")
def test_a_file_size_limit_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * 2**20, limits[1]))
    try:
        with pytest.raises(TraceError, match="no space is left"):
            write_trace(trace_of(output("a", np.zeros(2**20))), tmp_path / "t")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["no/such/folder/t", "."])
def test_where_nothing_can_be_written_is_said_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(TraceError):
        TraceWriter(tmp_path / name)


# Damaged and hostile files


def header_file(path: Path, header: dict[str, Any], data: bytes = b"") -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def metadata(**changes: str) -> dict[str, str]:
    plain = {"target": "t", "runtime": "r", "backend": "b", "version": "v"}
    whole = {"trace": "1", "provenance": json.dumps(plain), "checks": "[]", "complete": "true"}
    return {f"bittrue.{name}": value for name, value in {**whole, **changes}.items()}


def tensor(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    "header",
    [
        {"__metadata__": metadata(), "output:a:0:0": tensor(0, 8, [1])},
        {"__metadata__": metadata(), "output:a:0:0": tensor(4, 8, [1])},
        {"__metadata__": metadata(), "output:a:0:0": tensor(0, 4, [2**62, 4])},
        {"__metadata__": metadata(), "output:a:0:0": tensor(0, 4, [1], "F99")},
        {"__metadata__": metadata(), "../../etc/passwd": tensor(0, 4, [1])},
        {"__metadata__": metadata(), "output:a:-1:0": tensor(0, 4, [1])},
        {"__metadata__": metadata(), "output:a:00:0": tensor(0, 4, [1])},
        {"__metadata__": metadata(provenance="[]"), "output:a:0:0": tensor(0, 4, [1])},
        {"__metadata__": metadata(provenance="{"), "output:a:0:0": tensor(0, 4, [1])},
        {"__metadata__": metadata(checks='[{"name": 1}]'), "output:a:0:0": tensor(0, 4, [1])},
        {"__metadata__": metadata(complete='"yes"'), "output:a:0:0": tensor(0, 4, [1])},
        {"__metadata__": metadata(trace="2"), "output:a:0:0": tensor(0, 4, [1])},
        {"output:a:0:0": tensor(0, 4, [1])},
    ],
)
def test_a_hostile_header_is_refused(tmp_path: Path, header: dict[str, Any]) -> None:
    with pytest.raises(TraceError):
        read_trace(header_file(tmp_path / "t", header, bytes(4)))


def test_the_header_those_are_made_from_is_sound(tmp_path: Path) -> None:
    header = {"__metadata__": metadata(), "output:a:0:0": tensor(0, 4, [1])}
    assert len(read_trace(header_file(tmp_path / "t", header, bytes(4)))) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\x08\0\0\0\0\0\0\0{}", b"\xff" * 20, b"\x02\0\0\0\0\0\0\0[]", b"not a trace at all, but text"],
)
def test_what_is_no_trace_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t").write_bytes(content)
    for reader in (load, read_trace, read_document):
        with pytest.raises(TraceError, match="t"):
            reader(tmp_path / "t")


@pytest.mark.parametrize("reader", [load, read_trace, read_document])
def test_a_missing_file_and_a_folder_are_said(tmp_path: Path, reader: Any) -> None:
    with pytest.raises(TraceError, match="does not exist"):
        reader(tmp_path / "gone")
    with pytest.raises(TraceError):
        reader(tmp_path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    write_trace(trace_of(output("a", np.arange(4.0))), tmp_path / "t")
    whole = (tmp_path / "t").read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(TraceError):
            load(tmp_path / "cut")


def test_a_safetensors_file_of_something_else_is_no_trace(tmp_path: Path) -> None:
    save_file({"x": np.ones(3)}, tmp_path / "t")
    with pytest.raises(TraceError, match="not a trace"):
        load(tmp_path / "t")


def test_a_bool_is_never_anything_but_true_or_false(tmp_path: Path) -> None:
    header = {"__metadata__": metadata(), "mask:a:0:0": tensor(0, 3, [3], "BOOL")}
    record = next(iter(read_trace(header_file(tmp_path / "t", header, b"\x00\x01\x02"))))
    assert record.load().view(np.uint8).tolist() == [0, 1, 1]


# The JSON document


def document(tmp_path: Path, text: str) -> Path:
    (tmp_path / "d.json").write_text(text, encoding="utf-8")
    return tmp_path / "d.json"


def test_the_document_of_the_experiment_is_read(tmp_path: Path) -> None:
    weights = '"dense_weights": [[[1], [2], [3]], [0.5]], "in_weights": []'
    text = '{"dense_output": [[1, -2.5, 0.10000000149011612]], ' + weights + "}"
    trace = load(document(tmp_path, text))
    assert list(map(str, trace.records)) == ["output:dense:0:0", "weight:dense:0:0", "weight:dense:0:1"]
    found = trace[Key("output", "dense")].load()
    assert found.dtype == np.float32
    assert found.tolist() == [[1.0, -2.5, float(np.float32(0.1))]]


def test_numbers_that_are_no_float32_stay_float64(tmp_path: Path) -> None:
    trace = read_document(document(tmp_path, '{"a_output": [0.1], "b_output": [1e300]}'))
    assert [record.dtype for record in trace] == [np.float64, np.float64]
    assert len(trace.provenance.details["notes"]) == 2


def test_null_becomes_nan_and_is_noted(tmp_path: Path) -> None:
    trace = read_document(document(tmp_path, '{"a_output": [[null, 1], [2, null]]}'))
    array = trace[Key("output", "a")].load()
    assert array.dtype == np.float32
    assert np.isnan(array).tolist() == [[True, False], [False, True]]
    assert "2 null" in trace.provenance.details["notes"][0]


def test_a_negative_zero_stays_negative(tmp_path: Path) -> None:
    array = read_document(document(tmp_path, '{"a_output": [-0, -0.0, 0]}'))[Key("output", "a")].load()
    assert np.signbit(array).tolist() == [True, True, False]


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[1, 2]",
        '{"a_output": [1, [2]]}',
        '{"a_output": [[1, 2], [3]]}',
        '{"a_output": "1.5"}',
        '{"a_output": ["1.5"]}',
        '{"a_output": {"x": 1}}',
        '{"a_weights": 3}',
        '{"history": [1]}',
        '{"a_output": [1], "a_output": [2]}',
        '{"a_output": [1]',
        '{"a_output": ' + "[" * 5000 + "]" * 5000 + "}",
    ],
)
def test_a_document_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(TraceError):
        load(document(tmp_path, text))


def test_a_document_written_is_json_and_reads_the_same(tmp_path: Path) -> None:
    values = np.array([[0.1, -0.0, np.inf, -np.inf, 1e-45, 3.4028235e38]], np.float32)
    weights = [Record.of(Key("weight", "a", 0, i), np.ones((i + 1, 2), np.float32)) for i in range(2)]
    write_document(trace_of(*weights, output("a", values)), tmp_path / "d.json")
    json.loads((tmp_path / "d.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    read = load(tmp_path / "d.json")
    assert bits(read[Key("output", "a")].load()) == bits(values)
    assert read[Key("weight", "a", 0, 1)].shape == (2, 2)


def test_nan_is_written_as_null(tmp_path: Path) -> None:
    write_document(trace_of(output("a", np.array([np.nan, 1.0]))), tmp_path / "d.json")
    assert json.loads((tmp_path / "d.json").read_text()) == {"a_output": [None, 1.0]}


def test_what_a_document_cannot_hold_is_refused(tmp_path: Path) -> None:
    second = Record.of(Key("output", "a", call=1), np.ones(1))
    with pytest.raises(TraceError, match="output:a:1:0"):
        write_document(trace_of(output("a", np.ones(1)), second), tmp_path / "d.json")
    assert list(tmp_path.iterdir()) == []
