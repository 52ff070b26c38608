"""The fake runtime keeps the contract of the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bittrue.errors import TargetDied
from bittrue.runtimes.base import Runtime, TraceOptions
from bittrue.runtimes.fake import FakeRuntime
from bittrue.runtimes.target import Target
from bittrue.tracefile import read_trace
from bittrue.traces import Key, Provenance, Record, Trace

TARGET = Target.parse("chrome:wasm")
TRACE = Trace.of(
    Provenance("chrome:wasm", "tfjs", "wasm", "4.22.0"), [Record.of(Key("output", "a"), np.ones(2, np.float32))]
)


def test_it_answers_with_its_trace_and_remembers_the_question():
    runtime: Runtime = FakeRuntime(TARGET, TRACE)
    options = TraceOptions(runs=2)
    with runtime as entered:
        assert entered.trace({"x": np.ones(1)}, options) is TRACE
    assert isinstance(runtime, FakeRuntime)
    assert runtime.asked[0][1] is options
    assert not runtime.entered


def test_it_raises_what_it_was_given():
    with FakeRuntime(TARGET, TargetDied("gone", after="a")) as runtime, pytest.raises(TargetDied, match="gone"):
        runtime.trace({})


def test_it_saves_where_it_is_asked_to(tmp_path: Path):
    path = tmp_path / "t.safetensors"
    with FakeRuntime(TARGET, TRACE) as runtime:
        runtime.trace({}, TraceOptions(save=str(path)))
    assert np.array_equal(read_trace(path)[Key("output", "a")].load(), np.ones(2, np.float32))


def test_it_hands_on_its_records():
    seen: list[Record] = []
    with FakeRuntime(TARGET, TRACE) as runtime:
        runtime.trace({}, TraceOptions(on_record=seen.append))
    assert seen == list(TRACE)
