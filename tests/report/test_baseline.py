"""A golden snapshot: what it records, what of a later run fails, and what is only said."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from tests.report.results import doubled, one_up, result

from bittrue.errors import UsageError
from bittrue.report.baseline import baseline_of, changes, read_baseline
from bittrue.report.data import ReportData
from bittrue.traces import Array, Provenance

ROUNDED = result({"node:wasm": {"d1": one_up}, "chrome:webgl": {"d2": one_up}})


def two_up(y: Array) -> Array:
    return one_up(one_up(y))


def failing(now: ReportData, before: ReportData) -> list[tuple[str, str | None]]:
    return [(change.target, change.layer) for change in changes(now, baseline_of(before)).failures]


def test_it_follows_its_schema_and_survives_a_file(tmp_path: Path):
    schema = json.loads(files("bittrue.report").joinpath("baseline-1.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    made = baseline_of(ROUNDED)
    jsonschema.validate(made, schema)
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    assert read_baseline(path) == made


def test_every_layer_has_its_verdict_and_the_hash_of_its_bits():
    layers = baseline_of(ROUNDED)["targets"]["node:wasm"]["layers"]
    assert [(layer["name"], layer["verdict"]) for layer in layers][:2] == [("d0", "identical"), ("d1", "rounding")]
    other = baseline_of(ROUNDED)["targets"]["chrome:webgl"]["layers"]
    assert [a["sha256"] == b["sha256"] for a, b in zip(layers, other, strict=True)] == [True, False, False, False]


def test_the_same_run_has_not_changed():
    found = changes(ROUNDED, baseline_of(ROUNDED))
    assert (found.failures, found.notes) == ((), ())


def test_other_bits_under_the_same_verdicts_are_said_and_do_not_fail():
    before, now = result({"node:wasm": {"d1": one_up}}), result({"node:wasm": {"d1": two_up}})
    assert before.verdict == now.verdict == "rounding"
    found = changes(now, baseline_of(before))
    assert found.failures == ()
    assert found.notes == ("node:wasm: other bits in 3 of 4 layers, the first d1",)


def test_identical_and_rounding_may_change_places_while_the_target_stays():
    assert failing(result({"node:wasm": {"d2": one_up}}), result({"node:wasm": {"d1": one_up}})) == []


@pytest.mark.parametrize("planted", [{"d1": doubled}, {"d1": lambda y: y.astype(np.float16).astype(np.float32)}])
def test_a_change_of_verdict_fails_in_both_directions(planted):
    worse = result({"node:wasm": planted})
    for now, before in ((worse, result()), (result(), worse)):
        assert failing(now, before) == [("node:wasm", None), ("node:wasm", "d1")]


def test_a_target_that_is_no_longer_identical_fails():
    assert failing(result({"node:wasm": {"d3": one_up}}), result()) == [("node:wasm", None)]


def test_layers_that_come_or_go_fail():
    before = baseline_of(ROUNDED)
    before["targets"]["node:wasm"]["layers"][0]["name"] = "old"
    assert [change.layer for change in changes(ROUNDED, before).failures] == ["old", "d0"]


def test_targets_on_one_side_alone_are_said():
    one, two = result({"node:wasm": {}}), result({"node:wasm": {}, "chrome:webgl": {}})
    assert "chrome:webgl is not in the baseline" in changes(two, baseline_of(one)).notes[0]
    assert "chrome:webgl is in the baseline and was not" in changes(one, baseline_of(two)).notes[0]


def test_a_new_version_of_the_browser_is_said():
    def at(version: str) -> ReportData:
        (outcome,) = result().targets
        made = Provenance("node:wasm", "tfjs", "wasm", "4.22.0", details={"browser_version": version})
        return replace(result(), targets=(replace(outcome, provenance=made),))

    assert changes(at("2"), baseline_of(at("1"))).notes == ("node:wasm: browser_version 1 → 2",)


def test_other_inputs_are_refused():
    before = baseline_of(ROUNDED)
    before["input"]["sha256"] = "0" * 64
    with pytest.raises(UsageError, match="other inputs"):
        changes(ROUNDED, before)


def test_recording_again_keeps_the_targets_that_were_not_run_unless_the_weights_are_others():
    two = baseline_of(result({"node:wasm": {}, "chrome:webgl": {}}))
    assert set(baseline_of(result(), two)["targets"]) == {"node:wasm", "chrome:webgl"}
    assert set(baseline_of(result(), two | {"weights_sha256": "0" * 64})["targets"]) == {"node:wasm"}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": "bittrue/baseline/2"}', '{"schema": "bittrue/baseline/1", "targets": {}}', "\xff"],
)
def test_what_is_no_baseline_is_refused_with_its_name(tmp_path: Path, text: str):
    path = tmp_path / "b.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=r"b\.json is no baseline"):
        read_baseline(path)


def test_a_baseline_with_an_unknown_verdict_is_refused(tmp_path: Path):
    made = baseline_of(ROUNDED)
    made["targets"]["node:wasm"]["layers"][0]["verdict"] = "fine"
    (tmp_path / "b.json").write_text(json.dumps(made), encoding="utf-8")
    with pytest.raises(UsageError, match="fine"):
        read_baseline(tmp_path / "b.json")
