"""Many examples in batches: the same figures as all at once, flips by name, bounded work, and going on after a stop."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from tests.diagnosis.runs import chain, run, x_of
from tests.report.results import doubled, one_up

from bittrue import Run, streaming
from bittrue.comparison import compare
from bittrue.errors import TargetDied, UsageError
from bittrue.inputs.examples import open_examples
from bittrue.report.data import InputFacts, ReferenceOutcome, ReportData, TargetOutcome
from bittrue.report.explained import explained
from bittrue.report.many import ManyExamples, as_data
from bittrue.runtimes.target import Target
from bittrue.traces import Array

GRAPH = chain()
COUNT = 10
INPUTS = {"x": np.concatenate([x_of(seed)["x"] for seed in range(COUNT // 2)])}
KERAS, NODE, CHROME = (Target.parse(text) for text in ("keras:tensorflow", "node:wasm", "chrome:webgl"))


class FakeSession:
    """A session of the chain on targets with faults; ``ran`` counts the batches that were really run."""

    faults: ClassVar[dict[int, Any]] = {}
    dies_at: int | None = None
    ran: ClassVar[list[int]] = []
    candidates: ClassVar[list[Any]] = []

    def __init__(self, opened: Any, run: Run, **_: Any) -> None:
        self.graph = opened.graph

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *error: Any) -> None: ...

    def report(
        self, command: str, fed: Any, told: str, reference: Target, targets: Sequence[Target], candidate: Any = None
    ) -> ReportData:
        type(self).candidates.append(candidate)
        start = int(np.flatnonzero((INPUTS["x"] == fed["x"][0]).all(axis=1))[0])
        type(self).ran.append(start)
        base = run(GRAPH, fed, "keras:tensorflow")
        outcomes = [self._outcome(str(target), fed, base, start) for target in targets]
        known = ReferenceOutcome(base.provenance, (), None, trace=base)
        facts = (InputFacts("x", fed["x"].shape, "float32"),)
        return explained(ReportData(command, None, facts, told, known, tuple(outcomes)), GRAPH, base)

    def _outcome(self, target: str, fed: Any, base: Any, start: int) -> TargetOutcome:
        if self.dies_at is not None and start >= self.dies_at and target == "chrome:webgl":
            return TargetOutcome(target, failure=TargetDied("chrome:webgl died: run it again", target=target))
        trace = run(GRAPH, fed, target, faults=self.faults.get(start, {}))
        return TargetOutcome(target, trace.provenance, (), compare(base, trace), trace=trace)


class Opened:
    graph = GRAPH
    path = Path("model.keras")


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> type[FakeSession]:
    fake = type("Fake", (FakeSession,), {"ran": [], "faults": {}, "candidates": []})
    monkeypatch.setattr(streaming, "Session", fake)
    return fake


def checked(
    size: int = 4, targets: Sequence[Target] = (NODE,), save: Path | None = None, inputs: Any = None
) -> ManyExamples:
    def read() -> Any:
        return open_examples(INPUTS if inputs is None else inputs, GRAPH)

    return streaming.check_batches(places(size, targets, save), read)


def places(size: int, targets: Sequence[Target], save: Path | None = None, other: Any = None) -> streaming.Places:
    opened: Any = Opened()
    return streaming.Places(opened, "x.npz", size, KERAS, targets, Run(save=save), other)


def test_every_example_is_run_once_in_batches(session: type[FakeSession]):
    found = checked()
    assert session.ran == [0, 4, 8]
    assert (found.count, found.targets[0].examples) == (10, 10)
    assert [layer.relative.shape for layer in found.targets[0].layers] == [(10,)] * 4


@pytest.mark.parametrize("size", [1, 3, 10])
def test_the_figures_do_not_depend_on_the_batches(session: type[FakeSession], size: int):
    session.faults = {start: {"d1": one_up} for start in range(COUNT)}
    layer = checked(size).targets[0].layers[1]
    base, trace = run(GRAPH, INPUTS), run(GRAPH, INPUTS, faults={"d1": one_up})
    (ours, theirs) = (
        next(r.load() for r in side if r.key.layer == "d1" and r.key.kind == "output") for side in (base, trace)
    )
    difference = np.abs(ours.astype(float) - theirs).max(axis=1)
    np.testing.assert_array_equal(layer.absolute, difference)
    np.testing.assert_array_equal(layer.relative, difference / np.abs(ours.astype(float)).max(axis=1))
    np.testing.assert_array_equal(layer.ulp, np.ones(COUNT))


def test_the_worst_batch_gives_the_verdict_and_the_worst_example_is_named(session: type[FakeSession]):
    def second_row_off(y: Array) -> Array:
        y = y.copy()
        y[1] *= 2
        return y

    session.faults = {4: {"d3": second_row_off}}
    (target,) = checked().targets
    assert target.verdict == "bug"
    assert target.worst_batch.start == 4
    last = target.layers[3]
    assert (target.names[last.worst], last.verdict) == ("5", "bug")
    assert last.quantile(0.5) == 0
    assert last.quantile(1.0) == 1.0


def test_labels_that_flip_are_named_with_both(session: type[FakeSession]):
    outputs = next(r.load() for r in run(GRAPH, INPUTS) if r.key.layer == "d3" and r.key.kind == "output")
    before = np.argmax(outputs, axis=1)

    session.faults = {8: {"d3": lambda y: -y}}
    (target,) = checked().targets
    assert [(flip.example, flip.name, flip.output) for flip in target.flips] == [(8, "8", "d3"), (9, "9", "d3")]
    last = target.flips[1]
    assert (last.reference, last.candidate) == (before[9], np.argmin(outputs[9]))
    data = as_data(checked())["targets"][0]["labels"]
    assert (data["examples"], data["agree"]) == (10, 8)


def test_an_infinite_ratio_survives_the_folder(session: type[FakeSession], tmp_path: Path):
    whole = checked(save=tmp_path)
    path = tmp_path / "examples-00000000.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["targets"]["node:wasm"]["layers"][0]["relative"][1] = float("inf")
    path.unlink()
    streaming._write(path, data)
    layer = checked(save=tmp_path).targets[0].layers[0]
    assert (layer.worst, layer.quantile(1.0), layer.quantile(0.5)) == (1, float("inf"), 0.0)
    assert as_data(whole)["targets"][0]["layers"][0]["max_abs_to_scale"]["max"] == 0.0
    assert as_data(checked(save=tmp_path))["targets"][0]["layers"][0]["max_abs_to_scale"]["max"] is None


def test_an_interrupted_run_goes_on_behind_its_last_batch(session: type[FakeSession], tmp_path: Path):
    session.faults = {0: {"d1": one_up}}
    whole = checked(save=tmp_path)
    (tmp_path / "examples-00000008.json").unlink()
    session.ran.clear()
    again = checked(save=tmp_path)
    assert session.ran == [8]
    assert as_data(again) == as_data(whole)


def test_a_batch_of_other_tensors_is_run_again(session: type[FakeSession], tmp_path: Path):
    checked(save=tmp_path)
    session.ran.clear()
    moved = {"x": INPUTS["x"][::-1].copy()}
    checked(save=tmp_path, inputs=moved)
    assert len(session.ran) == 3


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"sha256": 1}'])
def test_a_damaged_file_of_a_batch_is_made_again(session: type[FakeSession], tmp_path: Path, text: str):
    checked(save=tmp_path)
    session.ran.clear()
    (tmp_path / "examples-00000004.json").write_text(text, encoding="utf-8")
    checked(save=tmp_path)
    assert session.ran == [4]


def test_a_folder_of_another_run_is_refused(session: type[FakeSession], tmp_path: Path):
    checked(save=tmp_path)
    with pytest.raises(UsageError, match="another run"):
        checked(size=5, save=tmp_path)
    with pytest.raises(UsageError, match="another run"):
        checked(targets=[NODE, CHROME], save=tmp_path)


def test_a_target_that_dies_is_left_out_and_said_and_its_batches_are_not_kept(
    session: type[FakeSession], tmp_path: Path
):
    session.dies_at = 4
    found = checked(targets=[NODE, CHROME], save=tmp_path)
    assert [target.examples for target in found.targets] == [10, 4]
    assert found.failures == ["chrome:webgl died: run it again"]
    session.dies_at = None
    session.ran.clear()
    assert checked(targets=[NODE, CHROME], save=tmp_path).failures == []
    assert session.ran == [4, 8]


def test_every_layer_has_a_hash_over_all_batches_that_its_bits_decide(session: type[FakeSession]):
    first = checked().targets[0].layers
    assert [layer.sha256 for layer in checked().targets[0].layers] == [layer.sha256 for layer in first]
    session.faults = {8: {"d2": one_up}}  # in the last batch alone
    again = checked().targets[0].layers
    assert [a.sha256 == b.sha256 for a, b in zip(first, again, strict=True)] == [True, True, False, False]


def test_another_model_is_fed_the_same_examples_under_its_own_names(session: type[FakeSession], tmp_path: Path):
    class Other:
        graph = replace(GRAPH, inputs=(replace(GRAPH.inputs[0], name="image"),))
        path = Path("other.keras")

    def both() -> ManyExamples:
        return streaming.check_batches(places(4, [NODE], tmp_path, Other()), lambda: open_examples(INPUTS, GRAPH))

    found = both()
    fed = [candidate.inputs["image"] for candidate in session.candidates]
    np.testing.assert_array_equal(np.concatenate(fed), INPUTS["x"])
    assert found.candidate == "other.keras"
    assert any(note.startswith("same weights: ") for note in found.notes)
    session.ran.clear()
    assert as_data(both()) == as_data(found)  # from the folder, notes and all
    assert session.ran == []
    with pytest.raises(UsageError, match="another run"):
        checked(save=tmp_path)


def test_a_closer_look_is_at_the_worst_batch(session: type[FakeSession]):
    session.faults = {4: {"d1": doubled}}
    found = checked()
    data = streaming.closer_look(places(4, [NODE]), lambda: open_examples(INPUTS, GRAPH), found)
    assert data is not None
    assert data.verdict == "bug"
    assert data.input_description == "x.npz, examples 5 to 8 of 10"


@pytest.mark.browser
@pytest.mark.needs("node", "tensorflow")
def test_on_a_real_model_in_node(tmp_path: Path):
    import io

    import keras

    from bittrue import check_examples
    from bittrue.report.many import print_examples

    keras.utils.set_random_seed(1)
    entry = keras.Input((6,), name="features")
    keras.Model(entry, keras.layers.Dense(3, activation="softmax", name="label")(entry)).save(tmp_path / "m.keras")
    np.savez_compressed(tmp_path / "x.npz", features=np.random.default_rng(1).normal(size=(7, 6)).astype(np.float32))
    data, worst = check_examples(
        str(tmp_path / "m.keras"), str(tmp_path / "x.npz"), ["node:wasm"], batch_size=3, closer=True
    )
    assert (data.count, data.verdict, data.failures) == (7, "rounding", [])
    assert worst is not None
    assert data.targets[0].labelled == 7
    out = io.StringIO()
    print_examples(data, out)
    assert "labels: 7 of 7 examples agree" in out.getvalue()
