"""``python:exact`` as a runtime: every layer's output, with provenance and checks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bittrue.errors import TargetFailure, Unsupported, UsageError
from bittrue.exact.plan import SEMANTICS
from bittrue.graph.model import Graph
from bittrue.runtimes.base import TraceOptions
from bittrue.runtimes.exact import ExactRuntime
from bittrue.runtimes.target import Target
from bittrue.tracefile import load
from bittrue.traces import Key, Trace

sys.path.insert(0, str(Path(__file__).parents[1] / "graph"))

from graphs import TensorRef, call, dense, entry, layer, model

TARGET = Target.parse("python:exact")
INPUTS = {"x": np.float32([[1, -2], [3, 4]])}


def graph() -> Graph:
    kernel = np.float32([[1, 0], [0, 1]])
    first = dense("d", kernel, call(TensorRef("x")), call(TensorRef("r")), bias=np.float32([1, 1]))
    relu = layer("r", "ReLU", call(TensorRef("d")))
    return model([entry("x", 2)], [first, relu], TensorRef("d", 1), TensorRef("r"))


def traced(options: TraceOptions = TraceOptions()) -> Trace:  # noqa: B008
    with ExactRuntime(TARGET, graph()) as runtime:
        return runtime.trace(INPUTS, options)


def test_a_trace_has_inputs_weights_every_call_and_the_predictions() -> None:
    trace = traced()
    outputs = {
        str(record.key): record.load().tolist() for record in trace if record.key.kind in ("output", "prediction")
    }
    assert outputs["output:d:0:0"] == [[2, -1], [4, 5]]
    assert outputs["output:r:0:0"] == [[2, 0], [4, 5]]
    assert outputs["output:d:1:0"] == outputs["prediction:d:0:0"] == [[3, 1], [5, 6]]
    assert outputs["prediction:r:0:1"] == [[2, 0], [4, 5]]
    assert trace[Key("weight", "d", 0, 1)].load().tolist() == [1, 1]
    assert trace[Key("input", "x")].load().tolist() == INPUTS["x"].tolist()


def test_it_says_what_computed_and_that_capturing_changed_nothing() -> None:
    trace = traced(TraceOptions(runs=2))
    assert (trace.provenance.runtime, trace.provenance.version) == ("exact", SEMANTICS)
    assert len(trace.provenance.details["module_sha256"]) == 64
    assert [(check.name, check.passed) for check in trace.checks] == [("runs", True), ("capture", True)]


def test_two_runs_have_one_digest() -> None:
    assert traced().digest() == traced().digest()


def test_layers_may_be_chosen_and_the_trace_saved(tmp_path: Path) -> None:
    traced(TraceOptions(layers=["r"], save=str(tmp_path / "t.safetensors")))
    assert [str(record.key) for record in load(tmp_path / "t.safetensors").of_kind("output")] == ["output:r:0:0"]


def test_a_layer_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UsageError, match="no layer 'q' to capture"):
        traced(TraceOptions(layers=["q"]))


def test_a_model_that_cannot_be_exact_is_refused_when_it_starts() -> None:
    odd = model([entry("x", 2)], [layer("odd", "Hologram", call(TensorRef("x")))], TensorRef("odd"))
    with pytest.raises(Unsupported, match="'odd'"), ExactRuntime(TARGET, odd):
        pass


def test_it_traces_only_between_start_and_end() -> None:
    with pytest.raises(TargetFailure, match="was not started"):
        ExactRuntime(TARGET, graph()).trace(INPUTS)


def test_the_grammar_knows_it() -> None:
    assert str(TARGET) == "python:exact"
    assert TARGET.is_exact
    assert TARGET.at("4.22.0") == TARGET
