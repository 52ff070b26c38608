"""The pipeline joins the parts: tried with fake runtimes, so no browser and no Keras is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bittrue import pipeline
from bittrue.errors import TargetDied, TargetError, TargetUnavailable, UsageError
from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef, Weight
from bittrue.model import OpenedModel
from bittrue.pipeline import Run, check, compare, file_name
from bittrue.runtimes.fake import FakeRuntime
from bittrue.runtimes.target import Target
from bittrue.tracefile import write_trace
from bittrue.traces import Array, Key, Provenance, Record, Trace

F32 = np.float32
KERNEL = np.array([[3.0]], F32)
DENSE = {"units": 1, "activation": "linear", "use_bias": False, "name": "d", "dtype": "float32", "trainable": True}
ENTRY = {"batch_shape": [None, 1], "dtype": "float32", "sparse": False, "name": "x"}
LAYERS = (
    LayerNode("x", "InputLayer", "keras.layers", ENTRY, (), ()),
    LayerNode("d", "Dense", "keras.layers", DENSE, (Weight("kernel", KERNEL),), (Call((TensorRef("x"),)),)),
)
GRAPH = Graph("m", "Functional", LAYERS, (InputSpec("x", (None, 1), np.dtype(F32), TensorRef("x")),), (TensorRef("d"),))


def answer(target: str, value: float) -> Trace:
    values: Array = np.array([[value]], F32)
    records = [Record.of(Key("weight", "d"), KERNEL), Record.of(Key("output", "d"), values)]
    return Trace.of(Provenance(target, "fake", target, "1"), records)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeRuntime]:
    """Fake runtimes by target; the model opened is always ``GRAPH``."""
    found = {"keras:tensorflow": FakeRuntime(Target.parse("keras:tensorflow"), answer("keras:tensorflow", 3.0))}
    monkeypatch.setattr(pipeline._Session, "runtime", lambda self, target: found[str(target)])
    monkeypatch.setattr("bittrue.model.open_model", lambda *_, **__: OpenedModel(GRAPH, None, "live", None))
    return found


@pytest.fixture
def add(answers: dict[str, FakeRuntime]) -> Callable[[str, Trace | BaseException], None]:
    def put(target: str, outcome: Trace | BaseException) -> None:
        answers[target] = FakeRuntime(Target.parse(target), outcome)

    return put


def test_each_target_is_compared_with_the_reference_and_with_float64(add: Callable[..., None]) -> None:
    add("chrome:webgl", answer("chrome:webgl", 3.5))
    data = check("m.keras", "ones", ["chrome:webgl"])
    (row,) = data.rows(data.targets[0])
    assert row.pair.metrics is not None
    assert row.pair.metrics.average_difference == 0.5
    assert row.own_accuracy is not None
    assert row.own_accuracy.average_difference == 0.5
    assert row.reference_accuracy is not None
    assert row.reference_accuracy.average_difference == 0


def test_a_target_that_fails_is_an_outcome_and_the_others_go_on(add: Callable[..., None]) -> None:
    add("chrome:webgl", TargetDied("closed", target="chrome:webgl", after="d"))
    add("edge:cpu", TargetUnavailable("absent", target="edge:cpu", remedy="install it"))
    add("node:cpu", answer("node:cpu", 3.0))
    data = check("m.keras", "ones", ["chrome:webgl,edge:cpu", "node:cpu"])
    assert [outcome.status for outcome in data.targets] == ["failed", "absent", "compared"]
    assert data.targets[2].identical


def test_runtimes_are_left_even_when_they_fail(answers: dict[str, FakeRuntime], add: Callable[..., None]) -> None:
    add("node:cpu", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        check("m.keras", "ones", ["node:cpu"])
    assert answers["node:cpu"].asked
    assert not any(runtime.entered for runtime in answers.values())


def test_saving_keeps_one_trace_a_target_and_the_reference(add: Callable[..., None], tmp_path: Path) -> None:
    add("node:cpu", answer("node:cpu", 3.0))
    data = check("m.keras", "ones", ["node:cpu"], run=Run(save=tmp_path))
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == [
        "node-cpu.safetensors",
        "reference.safetensors",
    ]
    assert data.targets[0].saved == str(tmp_path / "node-cpu.safetensors")


@pytest.mark.usefixtures("answers")
def test_a_wrong_target_is_refused_before_anything_runs(answers: dict[str, FakeRuntime]) -> None:
    with pytest.raises(TargetError, match="chrome:webgl"):
        check("m.keras", "ones", ["chrome:webgll"])
    assert not answers["keras:tensorflow"].asked


def test_a_folder_that_cannot_be_made_is_one_sentence(add: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    add("node:cpu", answer("node:cpu", 3.0))
    with pytest.raises(UsageError, match="--save"):
        check("m.keras", "ones", ["node:cpu"], run=Run(save=tmp_path / "file" / "below"))


def test_saved_traces_are_compared_without_anything_running(tmp_path: Path) -> None:
    for name, value in (("a", 3.0), ("b", 4.0)):
        write_trace(answer(name, value), tmp_path / name)
    data = compare(tmp_path / "a", tmp_path / "b")
    assert data.targets[0].target == "b"
    assert data.targets[0].outputs[0].metrics is not None
    assert data.targets[0].outputs[0].metrics.max_abs == 1.0


@pytest.mark.parametrize("target", ["chrome:webgl", "keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0", "node:cpu@4.22.0"])
def test_file_names_are_portable_and_say_the_target(target: str) -> None:
    name = file_name(target)
    assert not set(name) & set('<>:"/\\|?*+ ')
    assert all(word in name for word in target.replace("+", ":").split(":"))


def test_what_arrives_is_measured_at_once_where_the_models_are_one(
    add: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Key] = []
    monkeypatch.setattr("bittrue.comparison.LiveComparison.take", lambda self, record: taken.append(record.key))
    add("chrome:webgl", answer("chrome:webgl", 3.5))
    check("m.keras", "ones", ["chrome:webgl"])
    assert taken == [Key("weight", "d"), Key("output", "d")]
