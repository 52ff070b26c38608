"""TensorFlow as a target: every layer of a graph of nodes, and what is said of how it ran."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.conversion.sample_models import dense, input_layer, model
from tests.model.saved_models import X, of_function, weights, with_signatures

from bittrue.conversion.tfjs import convert
from bittrue.errors import TargetUnavailable, UsageError
from bittrue.graph.nodegraph import Node, NodeGraph, Port
from bittrue.graph.truth import evaluate
from bittrue.model import open_model
from bittrue.model.graphdef import graph_of_nodes
from bittrue.runtimes.base import TraceOptions
from bittrue.runtimes.target import Target
from bittrue.runtimes.tensorflow import TensorFlowRuntime
from bittrue.traces import Array, Trace

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]


def run(path: Path, target: str = "tensorflow:cpu", **options: object) -> Trace:
    opened = open_model(path)
    assert opened.nodes is not None
    with TensorFlowRuntime(Target.parse(target), path, opened.graph, opened.nodes) as runtime:
        return runtime.trace({"x": X}, TraceOptions(**options))  # type: ignore[arg-type]


def test_every_layer_is_captured_and_near_the_exact_answer(tmp_path: Path) -> None:
    folder = with_signatures(tmp_path, "apply")
    trace = run(folder, runs=2)
    exact = evaluate(open_model(folder).graph, {"x": X})
    assert [record.key for record in trace.of_kind("output")] == [record.key for record in exact.of_kind("output")]
    for record in trace.of_kind("output"):
        assert np.allclose(record.load(), exact[record.key].load(), atol=1e-6)
    assert {check.name: check.passed for check in trace.checks} == {"runs": True, "capture": True, "batch": True}
    assert trace.provenance.runtime == "tensorflow"


def test_a_small_budget_means_windows_that_agree(tmp_path: Path) -> None:
    trace = run(with_signatures(tmp_path, "apply"), budget=1)
    assert trace.provenance.details["windows"] > 1
    assert {check.name: check.passed for check in trace.checks} == {"capture": True, "windows": True}


def test_a_flag_means_a_process_of_its_own_with_the_same_answer(tmp_path: Path) -> None:
    folder = with_signatures(tmp_path, "first", "second")
    named = folder.with_name(f"{folder.name}#second")
    trace = run(named, "tf:cpu+TF_ENABLE_ONEDNN_OPTS=0")
    assert trace.provenance.details["onednn"] is False
    (record,) = trace.of_kind("prediction")
    assert np.allclose(record.load(), np.maximum(X @ weights(), 0) + 1, atol=1e-6)


def test_a_layer_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no layer 'Matmul'.*matmul"):
        run(with_signatures(tmp_path, "apply"), layers=("Matmul",))


def test_another_version_than_is_installed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetUnavailable, match=r"pip install tensorflow==1\.2\.3"):
        run(with_signatures(tmp_path, "apply"), "tensorflow:cpu@1.2.3")


def test_what_has_no_expansion_is_run_all_the_same(tmp_path: Path) -> None:
    trace = run(of_function(tmp_path, lambda tf, x: tf.math.lgamma(x) * 2.0, None, 3))
    assert "Lgamma" in {record.key.layer for record in trace.of_kind("output")}


def typed(*names: str) -> dict[str, object]:
    return {name: {"type": "DT_FLOAT"} for name in names}


@pytest.mark.parametrize(
    "fused", [["BiasAdd", "Relu"], ["BiasAdd", "Prelu"], ["BiasAdd", "LeakyRelu"], ["BiasAdd", "Elu"]]
)
def test_what_was_fused_is_taken_apart_for_tensorflow_and_means_the_same(fused: list[str]) -> None:
    steps = {"list": {"s": [base64.b64encode(step.encode()).decode() for step in fused]}}
    inputs = (("x", 0), ("w", 0), ("b", 0), *((("a", 0),) if "Prelu" in fused else ()))
    node = Node("y", "_FusedMatMul", inputs, {**typed("T"), "fused_ops": steps, "leakyrelu_alpha": {"f": 0.3}})
    constants: dict[str, Array] = {"w": weights(), "b": np.float32([0.1, -0.2]), "a": np.float32([0.5, 0.25])}
    used = {name: value for name, value in constants.items() if (name, 0) in inputs}
    agrees(NodeGraph("fused", (node,), used, (port("x", (None, 3)),), (port("y", None),)))


def test_a_prelu_of_tensorflow_js_has_no_type_and_runs() -> None:
    node = Node("y", "Prelu", (("x", 0), ("a", 0)), {})
    slopes = {"a": np.float32([0.5, 0.25, -2])}
    agrees(NodeGraph("alone", (node,), slopes, (port("x", (None, 3)),), (port("y", None),)))


def test_tensorflow_stays_quiet(tmp_path: Path) -> None:
    nodes = convert(model(input_layer("x", 3), dense("y", "x", units=2)), tmp_path / "artifact", form="graph-model")
    trace = "TensorFlowRuntime(Target.parse('tensorflow:cpu'), None, opened.graph, opened.nodes)"
    script = f"""
import numpy as np
from bittrue.model import open_model
from bittrue.runtimes.target import Target
from bittrue.runtimes.tensorflow import TensorFlowRuntime
opened = open_model({str(nodes.folder)!r})
with {trace} as runtime:
    print(len(runtime.trace({{"x": np.ones((1, 3), np.float32)}}).of_kind("prediction")))
"""
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.stderr) == ("1\n", "")


def port(name: str, shape: tuple[int | None, ...] | None) -> Port:
    return Port(name, (name, 0), np.dtype(np.float32), shape)


def agrees(nodes: NodeGraph) -> None:
    """What TensorFlow makes of ``nodes`` is what they mean."""
    graph = graph_of_nodes(nodes)
    with TensorFlowRuntime(Target.parse("tensorflow:cpu"), None, graph, nodes) as runtime:
        (found,) = runtime.trace({"x": X}).of_kind("prediction")
    (exact,) = [record for record in evaluate(graph, {"x": X}).of_kind("output") if record.key.layer == "y"]
    assert np.allclose(found.load(), exact.load(), atol=1e-6)
