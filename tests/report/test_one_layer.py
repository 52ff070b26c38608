"""One layer's evidence from files alone, and the verdicts in reports."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from tests.diagnosis.runs import chain, run, x_of
from tests.report.test_json import SCHEMA

from bittrue.errors import TraceError, UsageError
from bittrue.graph.model import Call
from bittrue.graph.stored import write_graph
from bittrue.report.data import ReferenceOutcome, ReportData
from bittrue.report.explained import explained
from bittrue.report.json import as_data
from bittrue.report.one_layer import evidence_of, print_evidence, result_of
from bittrue.report.text import TextReporter
from bittrue.tracefile import write_trace
from bittrue.traces import Array


def off(y: Array) -> Array:
    return np.where(np.arange(y.size).reshape(y.shape) == 3, y * np.float32(1.5), y)


@pytest.fixture(scope="module")
def result() -> ReportData:
    """A run with faults in d1 and d3."""
    spoilt = run(chain(), x_of(), faults={"d1": off, "d3": off})
    return result_of(run(chain(), x_of(), "keras:tensorflow"), spoilt, chain())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_graph(chain(), tmp_path / "graph.json")
    write_trace(run(chain(), x_of(), "keras:tensorflow"), tmp_path / "reference.safetensors")
    write_trace(run(chain(), x_of(), faults={"d1": off}), tmp_path / "node-wasm.safetensors")
    return tmp_path


def test_the_json_carries_verdict_headline_faults_and_evidence(result: ReportData) -> None:
    data = as_data(result)
    jsonschema.validate(json.loads(json.dumps(data)), SCHEMA)
    (target,) = data["targets"]
    assert (target["verdict"], target["first_fault"]) == ("bug", "d1")
    assert [fault["name"] for fault in target["faults"]] == ["d1", "d3"]
    layer = target["layers"][1]
    assert layer["evidence"]["own_error"]["outside"] == 1
    assert layer["evidence"]["own_error"]["worst"]["index"] == [0, 3]
    assert (data["verdict"], data["headline"]) == ("bug", target["headline"])


def test_the_result_answers_by_layer(result: ReportData) -> None:
    assert result.verdict == "bug"
    assert result.layers["d1"].verdict == "bug"
    assert result.layers["d2"].own_error is not None
    assert result.layers["d2"].own_error.max_ulp is not None
    assert result.layers["d2"].own_error.max_ulp <= 0.5
    assert result.layers["d2"].inherited is not None
    assert result.layers["d2"].amplification is not None
    assert result.layers["d2"].causes == ()


def test_the_text_begins_with_the_verdict(result: ReportData) -> None:
    out = io.StringIO()
    TextReporter(80).report(result, out)
    text = out.getvalue()
    assert text.lstrip().startswith("bug  node:wasm\n  Bug in node:wasm: 'd1'")
    assert max(map(len, text.splitlines())) <= 80


def test_without_a_diagnosis_nothing_is_said_of_one(result: ReportData) -> None:
    plain = replace(result, targets=tuple(replace(target, diagnosis=None) for target in result.targets))
    data = as_data(plain)
    assert (data["verdict"], data["targets"][0]["faults"], data["targets"][0]["layers"][0]["verdict"]) == (
        None,
        [],
        None,
    )


def test_a_saved_trace_is_explained_from_what_stands_beside_it(folder: Path) -> None:
    (found,) = evidence_of(folder / "node-wasm.safetensors", "d1")
    assert (found["target"], found["layer"]["verdict"], found["layer"]["class"]) == ("node:wasm", "bug", "Dense")
    out = io.StringIO()
    print_evidence([found], out)
    lines = out.getvalue().splitlines()
    assert lines[0] == "d1 (Dense) on node:wasm: bug"
    assert any("f(x_c) - f(x_r)" in line for line in lines)


def test_a_result_is_explained_as_it_is(result: ReportData, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(as_data(result)))
    (found,) = evidence_of(tmp_path / "result.json", "d3")
    assert found["layer"]["verdict"] == "bug"


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    trace = folder / "node-wasm.safetensors"
    with pytest.raises(UsageError, match="no layer 'd9'; it has d0, d1"):
        evidence_of(trace, "d9")
    with pytest.raises(UsageError, match="reference itself"):
        evidence_of(folder / "reference.safetensors", "d1")
    (folder / "graph.json").unlink()
    with pytest.raises(TraceError, match="--model"):
        evidence_of(trace, "d1")
    assert evidence_of(trace, "d1", graph=chain())
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(TraceError, match="not a result"):
        evidence_of(tmp_path / "other.json", "d1")


def test_a_candidate_model_is_held_to_what_the_reference_means() -> None:
    reference, other = run(chain(), x_of(), "keras:tensorflow"), run(chain(), x_of(), faults={"d1": lambda y: y + 1})
    compared = replace(result_of(reference, other, chain()).targets[0], diagnosis=None, trace=other)
    data = ReportData("check", None, (), "", ReferenceOutcome(reference.provenance, (), None), (compared,))
    found = explained(data, chain(), reference, other=chain())
    assert found.verdict == "bug"
    assert found.layers["d1"].side == "candidate"


def test_models_that_are_joined_otherwise_have_no_truth_and_say_why(result: ReportData) -> None:
    straight = chain()
    crossed = replace(straight, layers=tuple(replace(layer, calls=(Call(()),)) for layer in straight.layers))
    reference = run(chain(), x_of())
    data = replace(result, targets=tuple(replace(one, trace=reference) for one in result.targets))
    found = explained(data, straight, reference, other=crossed)
    names = {name for name, layer in found.layers.items() if layer.reason}
    assert names or any("joins them otherwise" in note for note in found.notes)
