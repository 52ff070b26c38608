"""Keras as a target: what is captured is what the model's own ``predict`` computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bittrue.errors import TargetDied, TargetError, TargetFailure, TargetUnavailable, UsageError
from bittrue.graph.model import Graph
from bittrue.runtimes.base import TraceOptions
from bittrue.runtimes.keras import KerasRuntime
from bittrue.runtimes.keras_session import KerasSession
from bittrue.runtimes.target import Target
from bittrue.tracefile import read_trace
from bittrue.traces import Array, Check, Key, Trace

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]

HERE = Target.parse("keras:tensorflow")
ELSEWHERE = Target.parse("keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0")
EMPTY = Graph("model", "Functional", (), (), ())


@pytest.fixture(scope="session")
def keras() -> Any:
    from bittrue.model.framework import import_keras

    return import_keras()


def run(model: Any, *arrays: Array, target: Target = HERE, **options: Any) -> Trace:
    from bittrue.model import open_model

    graph = open_model(model).graph
    inputs = {spec.name: array for spec, array in zip(graph.inputs, arrays, strict=True)}
    with KerasRuntime(target, None, graph, live=model) as runtime:
        return runtime.trace(inputs, TraceOptions(**options))


def session(model: Any, array: Array, record: Callable[..., None], **options: Any) -> KerasSession:
    """A session whose records go to ``record``."""
    from bittrue.model import open_model

    graph = open_model(model).graph
    sink = SimpleNamespace(environment=lambda provenance: None, phase=lambda what: None, record=record)
    return KerasSession(str(HERE), model, graph, {graph.inputs[0].name: array}, TraceOptions(**options), sink)


def predict(model: Any, *arrays: Array) -> list[Array]:
    import keras

    feeds = arrays[0] if len(arrays) == 1 else list(arrays)
    return list(keras.tree.flatten(model.predict(feeds, batch_size=len(arrays[0]), verbose=0)))


def output(trace: Trace, layer: str, call: int = 0, index: int = 0) -> Array:
    return trace[Key("output", layer, call, index)].load()


def check(trace: Trace, name: str) -> Check:
    return next(item for item in trace.checks if item.name == name)


def noise(*shape: int) -> Array:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="module")
def experiment(keras: Any) -> Any:
    """The model of the document: ten Dense layers, all of whose outputs are returned."""
    tensor = entry = keras.Input((50,), name="input")
    uniform, outputs = keras.initializers.RandomUniform(-1, 1, seed=123), []
    for number in range(10):
        dense = keras.layers.Dense(50, kernel_initializer=uniform, bias_initializer=uniform, name=f"dense_{number}")
        tensor = dense(tensor)
        outputs.append(tensor)
    return keras.Model(entry, outputs)


@pytest.fixture(scope="module")
def shared(keras: Any) -> Any:
    """Two inputs, a layer and a nested model that are both called twice, two outputs, an operation that is no layer."""
    inner_in = keras.Input((4,), name="inner_in")
    inner = keras.Model(inner_in, keras.layers.Dense(3, name="within")(inner_in), name="nested")
    left, right, twice = (
        keras.Input((4,), name="left"),
        keras.Input((4,), name="right"),
        keras.layers.Dense(4, name="twice"),
    )
    both = keras.layers.Concatenate(name="both")([inner(twice(left)), inner(twice(right))])
    return keras.Model([left, right], [both, keras.ops.mean(both)])


@pytest.fixture(scope="module")
def masked(keras: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((5,), dtype="int32", name="words"),
            keras.layers.Embedding(10, 3, mask_zero=True, name="embedding"),
            keras.layers.LSTM(4, return_sequences=True, name="first"),
            keras.layers.LSTM(3, name="second"),
        ]
    )


@pytest.fixture(scope="module")
def mobilenet(keras: Any) -> Any:
    keras.utils.set_random_seed(1)
    return keras.applications.MobileNetV2(weights=None, alpha=0.35, input_shape=(96, 96, 3), classes=10)


# What is captured


def test_every_layer_of_the_experiment_is_what_predict_returns(experiment: Any) -> None:
    trace = run(experiment, np.ones((1, 50), np.float32))
    for number, expected in enumerate(predict(experiment, np.ones((1, 50), np.float32))):
        assert output(trace, f"dense_{number}").tobytes() == expected.tobytes()
        assert trace[Key("prediction", f"dense_{number}", 0, number)].load().tobytes() == expected.tobytes()
    assert check(trace, "capture").passed is True


def test_weights_and_inputs_are_in_the_trace(experiment: Any) -> None:
    trace = run(experiment, noise(2, 50))
    kernel, bias = experiment.get_layer("dense_3").get_weights()
    assert trace[Key("weight", "dense_3", 0, 0)].load().tobytes() == kernel.tobytes()
    assert trace[Key("weight", "dense_3", 0, 1)].load().tobytes() == bias.tobytes()
    assert trace[Key("input", "input")].load().tobytes() == noise(2, 50).tobytes()


def test_calls_of_shared_layers_are_told_apart(shared: Any) -> None:
    left, right = noise(3, 4), 1 - noise(3, 4)
    trace = run(shared, left, right)
    kernel, bias = shared.get_layer("twice").get_weights()
    np.testing.assert_allclose(output(trace, "twice", 0), left @ kernel + bias, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(output(trace, "twice", 1), right @ kernel + bias, rtol=1e-5, atol=1e-6)


def test_layers_of_nested_models_are_captured_for_each_call(shared: Any) -> None:
    trace = run(shared, noise(3, 4), 1 - noise(3, 4))
    for call in (0, 1):
        assert output(trace, "nested/inner_in", call).tobytes() == output(trace, "twice", call).tobytes()
        assert output(trace, "nested/within", call).tobytes() == output(trace, "nested", call).tobytes()
    joined = np.concatenate([output(trace, "nested", call) for call in (0, 1)], axis=1)
    assert output(trace, "both").tobytes() == joined.tobytes()


def test_the_calls_are_those_of_the_graph(shared: Any) -> None:
    from bittrue.model import open_model

    trace = run(shared, noise(3, 4), noise(3, 4))
    captured = {(record.key.layer, record.key.call) for record in trace.of_kind("output")}
    assert captured == {(call.name, call.call) for call in open_model(shared).graph.calls()}


def test_a_tensor_without_axes_is_captured(shared: Any) -> None:
    trace = run(shared, noise(3, 4), noise(3, 4))
    mean = trace.of_kind("prediction")[1]  # Keras numbers the names of operations through the whole process
    assert mean.shape == ()
    assert output(trace, mean.key.layer).tobytes() == mean.load().tobytes()


def test_masks_are_those_that_the_layers_received(masked: Any) -> None:
    words = np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]], np.int32)
    trace = run(masked, words)
    for layer in ("first", "second"):
        np.testing.assert_array_equal(trace[Key("mask", layer)].load(), words != 0)
    assert [record.key.layer for record in trace.of_kind("mask")] == ["first", "second"]


def test_states_given_to_a_layer_are_captured(keras: Any) -> None:
    sequence, state = keras.Input((3, 2), name="sequence"), keras.Input((4,), name="state")
    model = keras.Model([sequence, state], keras.layers.GRU(4, name="gru")(sequence, initial_state=state))
    trace = run(model, noise(2, 3, 2), noise(2, 4))
    assert trace[Key("state", "gru")].load().tobytes() == noise(2, 4).tobytes()


def test_what_a_layer_does_inside_itself_belongs_to_it(keras: Any) -> None:
    dense, entry = keras.layers.Dense(4, name="dense"), keras.Input((3, 4), name="x")
    each = keras.layers.TimeDistributed(dense, name="each")(entry)
    trace = run(keras.Model(entry, dense(each)), noise(2, 3, 4))
    assert [str(record.key) for record in trace.of_kind("output")] == [
        "output:x:0:0",
        "output:each:0:0",
        "output:dense:0:0",
    ]
    assert output(trace, "dense").tobytes() == trace[Key("prediction", "dense")].load().tobytes()


def test_only_the_layers_asked_for_are_captured(experiment: Any) -> None:
    trace = run(experiment, noise(1, 50), layers=["dense_2", "dense_7"])
    assert [record.key.layer for record in trace.of_kind("output")] == ["dense_2", "dense_7"]


def test_an_unknown_layer_is_an_error_with_the_nearest_name(experiment: Any) -> None:
    with pytest.raises(UsageError, match="did you mean 'dense_2'"):
        run(experiment, noise(1, 50), layers=["dens_2"])


# What is checked


@pytest.fixture
def windowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Capture in windows, as JAX, PyTorch and XLA need it, whose functions cannot call Python."""
    from bittrue.runtimes import keras_session

    monkeypatch.setattr(keras_session, "can_stream", lambda model: False)


@pytest.mark.slow
def test_windows_of_a_large_model_agree_with_what_is_streamed(mobilenet: Any, request: pytest.FixtureRequest) -> None:
    image = noise(1, 96, 96, 3)
    whole = run(mobilenet, image)
    request.getfixturevalue("windowed")
    torn = run(mobilenet, image, budget=2**22)
    assert (whole.provenance.details["windows"], torn.provenance.details["windows"] > 1) == (1, True)
    assert check(whole, "capture").passed is check(torn, "capture").passed is check(torn, "windows").passed is True
    assert list(whole.records) == list(torn.records)
    for record in whole:
        assert record.load().tobytes() == torn[record.key].load().tobytes(), record.key


@pytest.mark.usefixtures("windowed")
def test_windows_work_where_sizes_are_known_only_at_run_time(keras: Any) -> None:
    entry = keras.Input((None, None, 1), name="image")
    model = keras.Model(entry, keras.layers.Conv2D(2, 3, name="conv")(entry))
    trace = run(model, noise(2, 6, 5, 1), budget=100)
    assert trace.provenance.details["windows"] == 2
    assert check(trace, "budget").passed is None
    assert "was raised to 1 MiB" in check(trace, "budget").detail
    assert output(trace, "conv").shape == (2, 4, 3, 2)


@pytest.mark.usefixtures("windowed")
@pytest.mark.parametrize(("spoiled", "capture", "windows"), [(2, False, False), (3, False, False), (None, True, True)])
def test_a_capture_that_changes_the_prediction_is_reported(
    experiment: Any, monkeypatch: pytest.MonkeyPatch, spoiled: int | None, capture: bool, windows: bool
) -> None:
    """The first call of predict is plain, those after it are the passes of the capture."""
    original, calls = experiment.predict, []

    def spoil(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        found = original(*args, **kwargs)
        if len(calls) == spoiled:
            found["outputs"][9][0, 1] += 1
        return found

    monkeypatch.setattr(experiment, "predict", spoil)
    trace = run(experiment, noise(1, 50), budget=1500)
    assert (check(trace, "capture").passed, check(trace, "windows").passed) == (capture, windows)
    assert len(calls) == 1 + trace.provenance.details["windows"]


def test_a_streamed_capture_that_changes_the_prediction_is_reported(
    experiment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = experiment.predict

    def spoil(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        if isinstance(found, dict):
            found["outputs"][9][0, 1] += 1
        return found

    monkeypatch.setattr(experiment, "predict", spoil)
    assert check(run(experiment, noise(1, 50)), "capture").passed is False


def test_one_pass_streams_every_layer_however_small_the_budget(experiment: Any) -> None:
    trace = run(experiment, noise(1, 50), budget=1)
    assert trace.provenance.details["windows"] == 1
    assert [record.key.layer for record in trace.of_kind("output")][1:] == [f"dense_{n}" for n in range(10)]


def test_what_is_streamed_is_taken_in_order_and_before_the_model_has_ended(keras: Any) -> None:
    """Whoever takes the first layers keeps the others waiting: the model does not run ahead."""
    taken, entry = [], keras.Input((4,), name="x")
    layers = [keras.layers.Dense(4, name=f"d{number}") for number in range(6)]
    tensor = entry
    for layer in layers:
        tensor = layer(tensor)
    model = keras.Model(entry, tensor)

    def take(record: Any, total: int | None) -> None:
        if record.key.kind == "output":
            taken.append(record.key.layer)
            if record.key.layer == "d2":
                raise OSError("enough")

    with pytest.raises(OSError, match="enough"):
        session(model, noise(1, 4), take, budget=1).run()
    assert taken == ["x", "d0", "d1", "d2"]


def test_an_error_of_whoever_takes_the_tensors_is_raised_as_it_is(experiment: Any) -> None:
    def full(record: Any, total: int | None) -> None:
        if record.key.kind == "output":
            raise OSError(28, "the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        session(experiment, noise(1, 50), full).run()


def test_a_prediction_that_does_not_repeat_itself_is_reported(experiment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = experiment.predict, []

    def unsteady(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        found = original(*args, **kwargs)
        if len(calls) == 3:
            found[4][0, 7] = np.nextafter(found[4][0, 7], np.float32(np.inf))
        return found

    monkeypatch.setattr(experiment, "predict", unsteady)
    found = check(run(experiment, noise(1, 50), runs=3), "runs")
    assert found.passed is False
    assert "prediction:dense_4:0:4 differs at [0, 7]" in found.detail
    assert "run 3" in found.detail


def test_predictions_that_repeat_themselves_pass(shared: Any) -> None:
    trace = run(shared, noise(2, 4), noise(2, 4), runs=2)
    assert check(trace, "runs").passed is True
    assert check(trace, "batch").passed in (True, False)


def test_a_stateful_layer_starts_afresh_in_every_pass(keras: Any) -> None:
    entry = keras.Input(batch_shape=(2, 3, 1), name="x")
    model = keras.Model(entry, keras.layers.LSTM(2, stateful=True, name="lstm")(entry))
    trace = run(model, noise(2, 3, 1), runs=2)
    assert check(trace, "runs").passed is check(trace, "capture").passed is True
    assert check(trace, "batch").passed is None


def test_a_live_model_is_left_as_it_was(experiment: Any) -> None:
    predict(experiment, noise(1, 50))
    compiled = experiment.predict_function
    run(experiment, noise(1, 50))
    assert experiment.predict_function is compiled
    assert "call" not in vars(experiment)
    assert not any("call" in vars(layer) for layer in experiment.layers)


def test_provenance_says_what_can_move_a_bit(experiment: Any) -> None:
    provenance = run(experiment, noise(1, 50)).provenance
    assert (provenance.target, provenance.runtime, provenance.backend) == ("keras:tensorflow", "keras", "tensorflow")
    wanted = "python keras numpy os cpu cpu_features threads onednn jit_compile floatx deterministic_ops switches"
    assert set(wanted.split()) <= set(provenance.details)


# What goes wrong


def test_a_model_that_cannot_run_is_a_failure_of_the_target(masked: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    with pytest.raises(TargetFailure, match=r"keras:tensorflow failed to run the model"):
        run(masked, np.full((1, 5), 99, np.int32), save=str(path))
    assert list(tmp_path.iterdir()) == []


def test_what_had_arrived_is_kept(experiment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bittrue.runtimes import keras_session

    def fail(*args: Any) -> None:
        raise RuntimeError("the machine is on fire")

    monkeypatch.setattr(keras_session.KerasSession, "_capture", fail)
    path = tmp_path / "t.safetensors"
    with pytest.raises(TargetFailure, match=r"on fire.*what had arrived is in"):
        run(experiment, noise(1, 50), save=str(path))
    kept = read_trace(path)
    assert not kept.complete
    assert len(kept.of_kind("weight")) == 20


@pytest.mark.parametrize("flags", ["tf_enable=0", "Mixed_Case=1", "KERAS_BACKEND=jax"])
def test_flags_are_environment_variables(flags: str) -> None:
    with pytest.raises(TargetError):
        KerasRuntime(Target.parse(f"keras:tensorflow+{flags}"), "model.keras", EMPTY)


def test_a_runtime_needs_a_model() -> None:
    with pytest.raises(UsageError, match="model file or a live Keras model"):
        KerasRuntime(HERE, None, EMPTY)


def test_an_absent_backend_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(__import__("sys").modules, "jax", raising=False)
    with pytest.raises(TargetUnavailable) as caught, KerasRuntime(Target.parse("keras:jax"), "model.keras", EMPTY):
        pass
    assert caught.value.remedy == "pip install jax"


def test_another_version_than_the_one_installed_is_said() -> None:
    target = Target.parse("keras:tensorflow@1.0.0")
    with pytest.raises(TargetUnavailable, match=r"asks for tensorflow 1\.0\.0"), KerasRuntime(target, "m.keras", EMPTY):
        pass


# A process of its own


@pytest.fixture(scope="module")
def control(experiment: Any) -> Trace:
    """The experiment with oneDNN off, which takes a process of its own."""
    return run(experiment, np.ones((1, 50), np.float32), target=ELSEWHERE, runs=2)


@pytest.mark.slow
def test_flags_are_the_environment_of_a_process_of_its_own(control: Trace) -> None:
    assert control.provenance.target == str(ELSEWHERE)
    assert control.provenance.details["switches"]["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert control.provenance.details["onednn"] is False
    assert check(control, "capture").passed is check(control, "runs").passed is True


@pytest.mark.slow
def test_another_process_runs_the_same_model_in_the_same_way(experiment: Any, control: Trace) -> None:
    here = run(experiment, np.ones((1, 50), np.float32))
    assert list(here.records) == list(control.records)
    assert {r.key: r.load().tobytes() for r in here.of_kind("weight")} == {
        r.key: r.load().tobytes() for r in control.of_kind("weight")
    }
    np.testing.assert_allclose(output(here, "dense_9"), output(control, "dense_9"), rtol=1e-3)


@pytest.mark.slow
def test_without_onednn_other_bits_come_out(experiment: Any, control: Trace) -> None:
    here = run(experiment, np.ones((1, 50), np.float32))
    if not {"avx2", "avx512f"} & set(here.provenance.details["cpu_features"]) or not here.provenance.details["onednn"]:
        pytest.skip("this processor's kernels are the same with and without oneDNN")
    assert output(here, "dense_9").tobytes() != output(control, "dense_9").tobytes()


SAY = """
import json, os, subprocess, sys, time
request = json.loads(sys.stdin.readline())
def say(payload=b"", **message):
    sys.stdout.buffer.write(json.dumps({**message, "nbytes": len(payload)}).encode() + b"\\n" + payload)
    sys.stdout.buffer.flush()
PROVENANCE = {"target": request["target"], "runtime": "keras", "backend": "b", "version": "v"}
def record(key, size, *pieces):
    say(type="record", key=key, dtype="float32", shape=[size], total=100)
    for piece in pieces:
        say(piece, type="data")
say(type="environment", provenance=PROVENANCE)
"""


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Trace]]:
    """Runs a target whose process says what a script makes it say; nothing of it may be left."""
    from bittrue.runtimes import keras_process

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def start(script: str, **options: Any) -> Trace:
        monkeypatch.setattr(keras_process, "_WORKER", ("-c", SAY + script))
        with KerasRuntime(ELSEWHERE, "model.keras", EMPTY) as runtime:
            return runtime.trace({}, TraceOptions(**options))

    yield start
    assert [path for path in tmp_path.iterdir() if path.name.startswith("bittrue-")] == []


def test_pieces_become_records(scripted: Callable[..., Trace]) -> None:
    done = 'say(type="done", provenance=PROVENANCE, checks=[{"name": "runs", "passed": True, "detail": "d"}])'
    trace = scripted(
        'record("output:a:0:0", 3, b"\\0\\0\\x80?", b"\\0\\0\\x80?" * 2); record("output:b:0:0", 0);' + done
    )
    assert trace[Key("output", "a")].load().tolist() == [1.0, 1.0, 1.0]
    assert trace[Key("output", "b")].shape == (0,)
    assert trace.checks == (Check("runs", True, "d"),)


@pytest.mark.parametrize(
    "end", ["os._exit(9)", 'sys.stderr.write("Segmentation fault\\n"); os._exit(9)', 'print("noise")']
)
def test_a_process_that_ends_early_leaves_what_had_arrived(
    scripted: Callable[..., Trace], tmp_path: Path, end: str
) -> None:
    path = tmp_path / "kept.safetensors"
    with pytest.raises(TargetDied, match="after layer 'a'") as caught:
        scripted(f'record("output:a:0:0", 1, b"1234"); record("output:b:0:0", 2, b"1234"); {end}', save=str(path))
    assert caught.value.after == "a"
    assert ("Segmentation fault" in str(caught.value)) == ("Segmentation" in end)
    assert list(read_trace(path).records) == [Key("output", "a")]


def test_a_process_that_falls_silent_is_ended_with_its_children(scripted: Callable[..., Trace], tmp_path: Path) -> None:
    import psutil

    child = "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    note = f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}'); time.sleep(60)"
    with pytest.raises(TargetDied, match="said nothing for 3 seconds"):
        scripted(child + note, timeout=3)
    listed = psutil.process_iter(["status"])
    running = {process.pid for process in listed if process.info["status"] != psutil.STATUS_ZOMBIE}
    assert not running & set(map(int, (tmp_path / "pids").read_text().split()))


def test_an_error_of_the_other_process_is_the_same_here(scripted: Callable[..., Trace]) -> None:
    with pytest.raises(UsageError, match="no layer 'x'"):
        scripted('say(type="error", error="UsageError", message="the model has no layer \'x\'", carries={})')
    with pytest.raises(TargetUnavailable) as caught:
        scripted('say(type="error", error="TargetUnavailable", message="m", carries={"remedy": "r", "target": "t"})')
    assert (caught.value.remedy, caught.value.target) == ("r", str(ELSEWHERE))


def test_an_error_of_no_known_kind_is_a_failure_of_the_target(scripted: Callable[..., Trace]) -> None:
    with pytest.raises(TargetFailure, match="odd"):
        scripted('say(type="error", error="annotations", message="odd", carries={})')


@pytest.mark.slow
def test_the_process_ends_with_its_input() -> None:
    import subprocess
    import sys

    started = subprocess.Popen(
        [sys.executable, "-m", "bittrue.runtimes.keras_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert started.stdin is not None
    started.stdin.write(b'{"target": "t", "model": "m", "trust": false, "inputs": "i"}\n')
    started.stdin.close()
    assert started.wait(60) == 1
