"""The waist: keys, records and traces."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bittrue.traces import Key, Kind, Provenance, Record, Trace

KINDS = st.sampled_from(Kind.__args__)  # type: ignore[attr-defined]
PROVENANCE = Provenance("keras:tensorflow", "keras", "tensorflow", "2.21.0")


def record(layer: str, kind: Kind = "output", size: int = 3) -> Record:
    return Record.of(Key(kind, layer), np.ones(size, np.float32))


@given(st.builds(Key, KINDS, st.text(min_size=1), st.integers(0, 99), st.integers(0, 99)))
def test_a_key_survives_its_text(key: Key) -> None:
    assert Key.parse(str(key)) == key


def test_a_key_reads_as_its_parts() -> None:
    assert str(Key("output", "outer/dense_3", 2, 1)) == "output:outer/dense_3:2:1"


def test_a_layer_name_may_hold_colons() -> None:
    assert Key.parse("weight:a:b:0:1") == Key("weight", "a:b", 0, 1)


@pytest.mark.parametrize("text", ["", "output", "output:a", "output:a:0", "output:a:x:0", "picture:a:0:0"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Key.parse(text)


def test_a_record_of_an_array_is_the_array() -> None:
    array = np.zeros((2, 3), np.float16)
    held = Record.of(Key("output", "a"), array)
    assert held.load() is array
    assert (held.dtype, held.shape, held.size, held.nbytes) == (np.float16, (2, 3), 6, 12)


def test_a_scalar_has_one_element() -> None:
    assert Record.of(Key("output", "a"), np.array(1.0)).size == 1


def test_a_trace_keeps_the_order_given() -> None:
    trace = Trace.of(PROVENANCE, [record("z"), record("a"), record("m")])
    assert [item.key.layer for item in trace] == ["z", "a", "m"]
    assert len(trace) == 3
    assert trace.nbytes == 36


def test_a_trace_selects_by_kind() -> None:
    trace = Trace.of(PROVENANCE, [record("a", "weight"), record("a"), record("b", "weight")])
    assert [item.key.layer for item in trace.of_kind("weight")] == ["a", "b"]


def test_two_records_of_one_key_are_refused() -> None:
    with pytest.raises(ValueError, match="output:a:0:0"):
        Trace.of(PROVENANCE, [record("a"), record("a")])


def test_a_trace_cannot_be_changed() -> None:
    trace = Trace.of(PROVENANCE, [record("a")])
    with pytest.raises(TypeError):
        trace.records[Key("output", "b")] = record("b")  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        trace.complete = False  # type: ignore[misc]
