"""One visit: what arrives becomes a trace, and whatever goes wrong loses nothing that had arrived."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted import DONE, ENVIRONMENT, HELLO, ScriptedLink, chain, frame, record

from bittrue.conversion.tfjs import Artifact
from bittrue.errors import (
    ArtifactError,
    BackendFallback,
    ComparisonError,
    ProtocolError,
    TargetDied,
    TargetFailure,
    TargetUnavailable,
    TraceError,
)
from bittrue.graph.model import Call, Graph, LayerNode, TensorRef
from bittrue.runtimes import collect, session, wire
from bittrue.runtimes.base import NullProgress, TraceOptions
from bittrue.runtimes.inbox import LinkClosedError, SilenceError
from bittrue.runtimes.job import Job
from bittrue.runtimes.session import run_session
from bittrue.runtimes.target import Target
from bittrue.tracefile import read_trace
from bittrue.traces import Check, Key, Record, Trace

X = np.array([[1, 2]], np.float32)
BEGIN = [frame(HELLO), frame(ENVIRONMENT)]
ARTIFACT = Artifact(Path("artifact"), "layers-model", "4.22.0", {"model.json": "00"})


def visit(
    link: ScriptedLink,
    graph: Graph | None = None,
    target: str = "chrome:wasm",
    progress: NullProgress | None = None,
    **options: Any,
) -> Trace:
    graph = graph or chain("a", "b")
    chosen = TraceOptions(**{"timeout": 0.2} | options)
    job = Job.of(Target.parse(target), graph, ARTIFACT, ("4.22.0", "t/", ("tf.min.js",)), "a/", chosen)
    return run_session(link, job, graph, {"x": X}, chosen, progress or NullProgress(), {"browser": "Chromium"})


def failed(code: str, **fields: Any) -> bytes:
    return frame({"type": "error", "code": code, "message": "because", "phase": "predicting", "layer": None} | fields)


def test_records_become_a_trace_in_the_order_they_came():
    frames = [*record(["x"], X, kind="input"), *record(["b"], X), *record(["a"], X + 1), frame(DONE)]
    trace = visit(ScriptedLink(BEGIN + frames))
    assert list(trace.records) == [Key("input", "x"), Key("output", "b"), Key("output", "a")]
    assert trace[Key("output", "a")].load().tobytes() == (X + 1).tobytes()
    assert trace.complete


def test_the_inputs_go_out_before_the_job():
    link = ScriptedLink([*BEGIN, frame(DONE)])
    visit(link)
    headers = [wire.decode(data)[0] for data in link.sent]
    assert [header["type"] for header in headers] == ["input", "run"]
    assert bytes(wire.decode(link.sent[0])[1]) == X.tobytes()


def test_provenance_says_what_answered_and_what_the_host_knows():
    made = visit(ScriptedLink([*BEGIN, frame(DONE)])).provenance
    assert (made.target, made.backend, made.version) == ("chrome:wasm", "wasm", "4.22.0")
    assert made.details["threads"] == 2
    assert made.details["browser"] == "Chromium"
    assert made.details["user_agent"] == HELLO["userAgent"]
    assert made.details["timings"] == {"predicting": 1.5}
    json.dumps(dict(made.details), allow_nan=False)


def test_checks_are_kept():
    check = frame({"type": "check", "name": "capture", "passed": None, "detail": "not tried"})
    assert visit(ScriptedLink([*BEGIN, check, frame(DONE)])).checks == (Check("capture", None, "not tried"),)


def test_a_tensor_in_pieces_and_an_empty_one_arrive_whole():
    big, none = np.arange(3_000_000, dtype=np.int32), np.zeros((0, 4), np.float16)
    trace = visit(ScriptedLink([*BEGIN, *record(["a"], big), *record(["b"], none), frame(DONE)]))
    assert np.array_equal(trace[Key("output", "a")].load(), big)
    assert trace[Key("output", "b")].load().shape == (0, 4)


def test_records_are_handed_on_whole_and_in_order_as_they_arrive():
    tensors = {
        "a": np.arange(3_000_000, dtype=np.int32).reshape(3, -1),  # in several pieces
        "b": np.zeros((0, 4), np.float16),
        "c": np.float32(-0.0).reshape(()),
        "d": np.array([True, False]),
    }
    frames = [data for name, array in tensors.items() for data in record([name], array)]
    seen: list[tuple[Key, bytes]] = []
    link = ScriptedLink([*BEGIN, *frames, frame(DONE)])
    trace = visit(link, chain(*tensors), on_record=lambda found: seen.append((found.key, found.load().tobytes())))
    assert seen == [(Key("output", name), array.tobytes()) for name, array in tensors.items()]
    assert [found.load().tobytes() for found in trace] == [data for _, data in seen]


def test_what_is_handed_on_has_the_trace_s_shapes_and_types():
    seen: list[tuple[Any, ...]] = []
    frames = record(["a"], np.zeros((2, 3), np.float32)) + record(["b"], np.zeros((5, 0), np.uint8))
    link = ScriptedLink([*BEGIN, *frames, frame(DONE)])
    trace = visit(link, on_record=lambda found: seen.append((found.dtype, found.shape, found.load().shape)))
    assert seen == [(found.dtype, found.shape, found.shape) for found in trace]


def test_a_tensor_too_large_to_be_held_is_in_the_trace_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(collect, "_HELD", 8)
    seen: list[Key] = []
    frames = record(["a"], np.zeros(3, np.float32)) + record(["b"], np.zeros(2, np.float32))
    trace = visit(ScriptedLink([*BEGIN, *frames, frame(DONE)]), on_record=lambda found: seen.append(found.key))
    assert seen == [Key("output", "b")]
    assert len(trace) == 2


def test_whoever_takes_a_record_can_end_the_run_and_what_arrived_is_kept(tmp_path: Path):
    def refuse(found: Record) -> None:
        raise ComparisonError("no more")

    save = tmp_path / "kept.safetensors"
    with pytest.raises(ComparisonError, match=r"no more; what had arrived is in .*kept"):
        visit(ScriptedLink([*BEGIN, *record(["a"], X), *record(["b"], X)]), save=str(save), on_record=refuse)
    assert list(read_trace(save).records) == [Key("output", "a")]


def shared() -> Graph:
    """A nested model called twice, with a layer called twice inside."""
    inner = chain("d")
    twice = LayerNode("d", "Dense", "keras.layers", {}, (), (Call((TensorRef("x"),)), Call((TensorRef("d"),))))
    inner = Graph("inner", "Functional", (inner.layers[0], twice), inner.inputs, (TensorRef("d", 1),))
    nested = LayerNode(
        "inner", "Functional", "keras", {}, (), (Call((TensorRef("x"),)), Call((TensorRef("inner"),))), inner
    )
    outer = chain()
    return Graph("outer", "Functional", (outer.layers[0], nested), outer.inputs, (TensorRef("inner", 1),))


def test_calls_of_shared_layers_are_numbered_as_the_graph_numbers_them():
    frames = [data for outer in (0, 1) for inner in (0, 1) for data in record(["inner", "d"], X, [outer, inner])]
    trace = visit(ScriptedLink([*BEGIN, *frames, frame(DONE)]), shared())
    assert [str(key) for key in trace.records] == [f"output:inner/d:{call}:0" for call in range(4)]


def test_predictions_are_named_after_the_models_outputs():
    graph = chain("a", "b")
    frames = record(["whatever_tfjs_calls_it"], X, kind="prediction")
    assert list(visit(ScriptedLink([*BEGIN, *frames, frame(DONE)]), graph).records) == [Key("prediction", "b")]


def test_weights_belong_to_a_layer_whatever_its_call():
    frames = record(["a"], X, kind="weight", index=1)
    assert list(visit(ScriptedLink([*BEGIN, *frames, frame(DONE)])).records) == [Key("weight", "a", 0, 1)]


@pytest.mark.parametrize(
    "frames",
    [
        record(["stranger"], X),
        record(["a"], X, [1]),
        record(["a"], X, [0, 0]),
        record(["a"], X, kind="input"),
        record(["b"], X, kind="prediction", index=1),
        record(["stranger"], X, kind="weight"),
        record(["a"], X, kind="mask", nodes=[7]),
        record(["a"], X) * 2,
        record(["a"], np.zeros(2_000_000, np.float32))[1:],
        record(["a"], np.zeros(2_000_000, np.float32))[:1] + record(["b"], X),
        [*record(["a"], np.zeros(2_000_000, np.float32))[:1], frame(DONE)],
        [frame(HELLO)],
        [b"garbage"],
    ],
)
def test_what_belongs_to_nothing_is_an_error_and_never_dropped(frames: list[bytes]):
    with pytest.raises(ProtocolError, match="chrome:wasm"):
        visit(ScriptedLink(BEGIN + frames))


@pytest.mark.parametrize(
    "frames", [[frame(ENVIRONMENT)], [frame(HELLO), frame(DONE)], [frame(HELLO), *record(["a"], X)]]
)
def test_frames_out_of_turn_are_refused(frames: list[bytes]):
    with pytest.raises(ProtocolError):
        visit(ScriptedLink(frames))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("backend-fallback", BackendFallback),
        ("backend-unavailable", TargetUnavailable),
        ("context-lost", TargetDied),
        ("memory", TargetDied),
        ("artifact", ArtifactError),
        ("load", TargetFailure),
        ("predict", TargetFailure),
        ("capture", TargetFailure),
        ("protocol", ProtocolError),
    ],
)
def test_each_code_of_failure_has_its_exception_naming_the_target(code: str, kind: type[Exception]):
    with pytest.raises(kind, match=r"chrome:wasm.*because") as caught:
        visit(ScriptedLink([*BEGIN, failed(code, asked="wasm", answered="cpu")]))
    assert type(caught.value) is kind


def test_a_failure_names_the_layer_that_failed():
    with pytest.raises(TargetFailure, match="while predicting at layer 'b': because"):
        visit(ScriptedLink([*BEGIN, failed("predict", layer="b")]))


def test_a_fallback_names_both_backends_even_when_the_agent_does_not_notice():
    answered = frame(ENVIRONMENT | {"backend": "cpu"})
    with pytest.raises(BackendFallback, match="backend wasm and cpu answered") as caught:
        visit(ScriptedLink([frame(HELLO), answered, frame(DONE)]))
    assert (caught.value.asked, caught.value.answered) == ("wasm", "cpu")


def test_a_missing_backend_comes_with_its_remedy():
    environment = frame(ENVIRONMENT | {"backend": "webgl", "asked": "webgl"})
    with pytest.raises(TargetUnavailable) as caught:
        visit(ScriptedLink([frame(HELLO), environment, failed("backend-unavailable")]), target="chrome:webgl")
    assert caught.value.remedy
    assert caught.value.remedy in str(caught.value)


def test_a_page_that_leaves_midway_is_a_death_after_the_last_whole_layer():
    half = record(["b"], np.zeros(2_000_000, np.float32))[:1]
    link = ScriptedLink([*BEGIN, *record(["a"], X), *half], LinkClosedError("the page closed its connection"))
    with pytest.raises(TargetDied, match="after layer 'a': the page closed") as caught:
        visit(link)
    assert caught.value.after == "a"
    assert caught.value.target == "chrome:wasm"


def test_what_had_arrived_is_saved_and_the_message_says_where(tmp_path: Path):
    half = record(["b"], np.zeros(2_000_000, np.float32))[:1]
    link = ScriptedLink([*BEGIN, *record(["a"], X), *half], LinkClosedError("gone"))
    path = tmp_path / "t.safetensors"
    with pytest.raises(TargetDied, match=r"t\.safetensors"):
        visit(link, save=str(path))
    kept = read_trace(path)
    assert list(kept.records) == [Key("output", "a")]
    assert not kept.complete
    assert [item.name for item in tmp_path.iterdir()] == ["t.safetensors"]


def test_a_death_before_the_first_record_leaves_no_file(tmp_path: Path):
    with pytest.raises(TargetDied) as caught:
        visit(ScriptedLink(BEGIN, LinkClosedError("gone")), save=str(tmp_path / "t.safetensors"))
    assert caught.value.after is None
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_keeps_what_had_arrived(tmp_path: Path):
    class Interrupting(NullProgress):
        def record(self, target: str, layer: str, nbytes: int, total: int | None) -> None:
            if layer == "b":
                raise KeyboardInterrupt

    path = tmp_path / "t.safetensors"
    frames = [*BEGIN, *record(["a"], X), *record(["b"], X)]
    with pytest.raises(KeyboardInterrupt):
        visit(ScriptedLink(frames), save=str(path), progress=Interrupting())
    assert list(read_trace(path).records) == [Key("output", "a")]


@pytest.mark.parametrize(
    ("answers", "words"), [(True, "still answers"), (False, "nor does the browser"), (None, "process is alive")]
)
def test_silence_says_how_long_and_whether_anybody_is_there(answers: bool | None, words: str):
    link = ScriptedLink([*BEGIN, *record(["a"], X)], answers=answers)
    with pytest.raises(TargetDied, match=rf"no answer for 0\.2 s .*after layer 'a'.*{words}") as caught:
        visit(link)
    assert caught.value.after == "a"


def test_silence_while_sending_is_silence_too():
    class Deaf(ScriptedLink):
        def send(self, frame: bytes, timeout: float) -> None:
            raise SilenceError("nothing was taken")

    with pytest.raises(TargetDied, match="no answer"):
        visit(Deaf(BEGIN))


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self: object, data: memoryview) -> None:
        raise TraceError("no space is left")

    monkeypatch.setattr(session.TraceWriter, "write", full)
    with pytest.raises(TraceError, match="no space"):
        visit(ScriptedLink([*BEGIN, *record(["a"], X), frame(DONE)]), save=str(tmp_path / "t.safetensors"))
    assert list(tmp_path.iterdir()) == []


def test_progress_hears_phases_and_bytes():
    heard: list[tuple[Any, ...]] = []

    class Listening(NullProgress):
        phase: Callable[..., None] = staticmethod(lambda *said: heard.append(said))  # type: ignore[assignment]
        record: Callable[..., None] = staticmethod(lambda *said: heard.append(said))  # type: ignore[assignment]

    phase = frame({"type": "phase", "phase": "capturing", "window": 1, "windows": 3})
    built = frame({"type": "model", "layers": [], "bytes": 16, "windows": 3})
    visit(ScriptedLink([*BEGIN, phase, built, *record(["a"], X), frame(DONE)]), progress=Listening())
    assert heard == [("chrome:wasm", "capturing 1/3"), ("chrome:wasm", "a", 8, 16)]
