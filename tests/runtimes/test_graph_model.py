"""Graph-models on real targets: every layer's output comes back under the layer's name, window by window."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conversion.sample_models import dense, input_layer, model, node

from bittrue.conversion.tfjs import Artifact, convert
from bittrue.errors import TargetFailure
from bittrue.graph.evaluate import layer_bound
from bittrue.graph.model import Graph
from bittrue.model import open_model
from bittrue.ops import Axioms
from bittrue.runtimes.base import TraceOptions
from bittrue.runtimes.host import Host
from bittrue.runtimes.node import NodeRuntime
from bittrue.runtimes.target import Target
from bittrue.traces import Key, Trace

X = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
CHAIN = model(
    input_layer("entry", 3),
    dense("first", "entry", units=5, activation="hard_sigmoid"),
    node("Dropout", "quiet", "first", rate=0.5),
    node("LayerNormalization", "rms", "quiet", weights={"gamma": np.arange(1, 6)}, rms_scaling=True, center=False),
    dense("last", "rms", given=5, units=2),
)


def run(target: str, folder: Path, graph: Graph = CHAIN, **options: Any) -> Trace:
    artifact = convert(graph, folder / "artifact", form="graph-model")
    with NodeRuntime(Target.parse(target), artifact, graph) as runtime:
        return runtime.trace({"entry": X}, TraceOptions(**options))


def assert_right(trace: Trace, graph: Graph = CHAIN) -> None:
    """Each layer's output is within rounding of what its formula makes of the output before."""
    assert trace.complete
    before = X
    for layer in graph.layers[1:]:
        found = trace[Key("output", layer.name)].load()
        ((exact, bound),) = layer_bound(layer, [before], Axioms())
        assert np.all(np.abs(found - exact) <= bound)
        before = found
    assert np.array_equal(trace[Key("prediction", "last")].load(), before)
    assert np.array_equal(trace[Key("output", "entry")].load(), X)
    assert np.array_equal(trace[Key("weight", "rms")].load(), np.arange(1, 6))
    assert all(check.passed is not False for check in trace.checks)


@pytest.mark.browser
@pytest.mark.needs("node")
@pytest.mark.parametrize("backend", ["cpu", "wasm"])
def test_node_captures_every_layer(backend: str, tmp_path: Path) -> None:
    assert_right(run(f"node:{backend}", tmp_path, runs=2))


@pytest.mark.browser
@pytest.mark.needs("node")
def test_a_small_budget_means_windows_that_agree(tmp_path: Path) -> None:
    trace = run("node:cpu", tmp_path, budget=1)
    assert_right(trace)
    assert {check.name for check in trace.checks} >= {"windows", "capture", "calls", "budget"}
    assert trace.provenance.details["windows"] > 1


@pytest.mark.browser
@pytest.mark.needs("node")
def test_only_the_layers_asked_for_are_sent(tmp_path: Path) -> None:
    trace = run("node:cpu", tmp_path, layers=("quiet",))
    assert [record.key.layer for record in trace.of_kind("output")] == ["quiet"]


@pytest.mark.browser
@pytest.mark.needs("chrome")
@pytest.mark.parametrize("backend", ["webgl", "webgpu"])
def test_chrome_captures_every_layer(backend: str, tmp_path: Path) -> None:
    artifact = convert(CHAIN, tmp_path / "artifact", form="graph-model")
    flag = f"{backend.upper()}_CPU_FORWARD=false"
    with Host() as host, host.runtime(Target.parse(f"chrome:{backend}+{flag}"), artifact, CHAIN) as runtime:
        assert_right(runtime.trace({"entry": X}, TraceOptions()))


def altered(artifact: Artifact, change: Callable[[dict[str, Any]], None]) -> Artifact:
    from bittrue.conversion.tfjs import read_artifact

    path = artifact.folder / "model.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    return read_artifact(artifact.folder)


def without_metadata(document: dict[str, Any]) -> None:
    del document["userDefinedMetadata"]


def with_an_alien_node(document: dict[str, Any]) -> None:
    nodes = document["modelTopology"]["node"]
    next(one for one in nodes if one["name"].startswith("rms/"))["op"] = "NoSuchOp"


@pytest.mark.browser
@pytest.mark.needs("node")
def test_a_graph_that_names_no_layers_still_predicts(tmp_path: Path) -> None:
    artifact = altered(convert(CHAIN, tmp_path / "artifact", form="graph-model"), without_metadata)
    with NodeRuntime(Target.parse("node:cpu"), artifact, CHAIN) as runtime:
        trace = runtime.trace({"entry": X}, TraceOptions())
    assert trace[Key("prediction", "last")].shape == (4, 2)
    assert {check.name: check.passed for check in trace.checks}["calls"] is False


@pytest.mark.browser
@pytest.mark.needs("node")
def test_the_layer_that_fails_is_named(tmp_path: Path) -> None:
    artifact = altered(convert(CHAIN, tmp_path / "artifact", form="graph-model"), with_an_alien_node)
    with (
        NodeRuntime(Target.parse("node:cpu"), artifact, CHAIN) as runtime,
        pytest.raises(TargetFailure, match="at layer 'rms'"),
    ):
        runtime.trace({"entry": X}, TraceOptions())


FLOAT = {"type": "DT_FLOAT"}
WHERE_POSITIVE = {
    "format": "graph-model",
    "modelTopology": {
        "node": [
            {"name": "x", "op": "Placeholder", "attr": {"dtype": FLOAT, "shape": {"shape": {"dim": [{"size": "-1"}]}}}},
            {"name": "zero", "op": "Const", "attr": {"dtype": FLOAT}},
            {"name": "positive", "op": "Greater", "input": ["x", "zero"], "attr": {"T": FLOAT}},
            {"name": "where", "op": "Where", "input": ["positive"], "attr": {"T": {"type": "DT_BOOL"}}},
        ],
        "versions": {"producer": 1},
    },
    "weightsManifest": [{"paths": ["zero.bin"], "weights": [{"name": "zero", "shape": [], "dtype": "float32"}]}],
}


@pytest.mark.browser
@pytest.mark.needs("node")
def test_a_model_that_is_to_be_waited_for_is_run_and_captured(tmp_path: Path) -> None:
    (tmp_path / "where.json").write_text(json.dumps(WHERE_POSITIVE), encoding="utf-8")
    (tmp_path / "zero.bin").write_bytes(bytes(4))
    opened = open_model(tmp_path / "where.json")
    assert opened.artifact is not None
    with NodeRuntime(Target.parse("node:cpu"), opened.artifact, opened.graph) as runtime:
        trace = runtime.trace({"x": np.float32([1, -2, 0, 3])}, TraceOptions(runs=2))
    assert trace.complete
    (predicted,) = trace.of_kind("prediction")
    assert np.array_equal(predicted.load(), [[0], [3]])
    captured = {record.key.layer: record.load() for record in trace.of_kind("output")}
    assert np.array_equal(captured["positive"], [True, False, False, True])
    assert {check.name: check.passed for check in trace.checks if check.name in ("runs", "capture")} == {
        "runs": True,
        "capture": True,
    }
