"""``check --batch-size``: what is passed on, printed, written and exited with."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import parse

import jsonschema
import pytest
from click.testing import CliRunner, Result
from tests.report.test_junit import broken

from bittrue import pipeline
from bittrue.cli import main
from bittrue.report.examples import BatchOnTarget, Flip, LayerInBatch, TargetOverExamples
from bittrue.report.many import ManyExamples


def batch(start: int, verdict: str, *relative: float, flips: tuple[Flip, ...] = ()) -> BatchOnTarget:
    layer = LayerInBatch("d1", "Dense", verdict, "because", "do this", "", relative, relative, relative)
    names = tuple(f"p{start + at}.png" for at in range(len(relative)))
    return BatchOnTarget(start, names, verdict, f"A headline of {start}.", (layer,), len(names), flips)


def found(*batches: BatchOnTarget, failure: str = "") -> ManyExamples:
    target = TargetOverExamples("node:wasm", batches, failure)
    count = sum(len(one.names) for one in batches)
    return ManyExamples("m", "faces", count, 2, "keras:tensorflow", (target,), "1" * 64, "3" * 64)


FLIP = Flip(2, "p2.png", "label", 3, 5)
SMALL = found(batch(0, "rounding", 1e-7, 3e-7), batch(2, "rounding", 2e-7, flips=(FLIP,)))
WRONG = found(batch(0, "rounding", 1e-7, 3e-7), batch(2, "bug", 0.5))


def checked(monkeypatch: pytest.MonkeyPatch, answer: ManyExamples, *words: str) -> Result:
    def check(model: Any, inputs: Any, targets: Any, **options: Any) -> Any:
        asked.append((inputs, targets, options))
        return answer, None

    asked.clear()
    monkeypatch.setattr(pipeline, "check_examples", check)
    return CliRunner().invoke(main, ["check", "m.keras", "--batch-size", "2", "--input", "faces", *words])


asked: list[Any] = []


@pytest.mark.parametrize(
    ("answer", "words", "code"),
    [
        (SMALL, [], 0),
        (WRONG, [], 1),
        (WRONG, ["--fail-on", "never"], 0),
        (SMALL, ["--fail-on", "rounding"], 1),
        (found(batch(0, "rounding", 1e-7), failure="node:wasm died: run it again"), [], 3),
    ],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, answer: ManyExamples, words: list[str], code: int):
    assert checked(monkeypatch, answer, *words).exit_code == code


def test_the_options_are_passed_on(monkeypatch: pytest.MonkeyPatch):
    checked(monkeypatch, SMALL, "--in", "node:wasm", "--batch", "9", "--preprocessing", "order=rgb", "--save", "kept")
    ((inputs, targets, options),) = asked
    assert (inputs, targets) == ("faces", ("node:wasm",))
    assert (options["batch_size"], options["count"], options["preprocessing"]) == (2, 9, "order=rgb")
    assert (options["run"].save, options["closer"]) == (Path("kept"), False)


def test_worst_example_spread_and_flips_are_printed(monkeypatch: pytest.MonkeyPatch):
    printed = checked(monkeypatch, SMALL).output
    assert "labels: 2 of 3 examples agree" in printed
    assert "p2.png: label 3 → 5" in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("d1")]
    assert line.split() == ["d1", "rounding", "2e-07", "3e-07", "3e-07", "3e-07", "p1.png"]


def test_the_worst_batch_gives_the_headline(monkeypatch: pytest.MonkeyPatch):
    printed = checked(monkeypatch, WRONG).output
    assert "bug  node:wasm" in printed
    assert "A headline of 2." in printed
    assert "A headline of 0." not in printed


def test_the_json_follows_its_schema(monkeypatch: pytest.MonkeyPatch):
    schema = json.loads(files("bittrue.report").joinpath("examples-1.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    for answer in (SMALL, WRONG, found(failure="node:wasm died")):
        data = json.loads(checked(monkeypatch, answer, "--json", "-").stdout)
        jsonschema.validate(data, schema)
    data = json.loads(checked(monkeypatch, SMALL, "--json", "-").stdout)
    assert data["targets"][0]["labels"]["flips"][0]["candidate"] == 5
    assert data["targets"][0]["layers"][0]["worst_example"] == "p1.png"


def test_tolerances_hold_for_the_worst_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for bound, code in (("0.6", 0), ("0.4", 1)):
        text = f"[[tool.bittrue.tolerances]]\nlayers = 'd1'\nrelative = {bound}\n"
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        settings = ("--settings", str(tmp_path / "pyproject.toml"))
        assert checked(monkeypatch, WRONG, *settings).exit_code == code


def test_a_baseline_is_recorded_and_fails_on_a_change_of_verdict_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    words = ("--baseline", str(tmp_path / "b.json"))
    assert checked(monkeypatch, SMALL, *words).exit_code == 0
    recorded = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    schema = json.loads(files("bittrue.report").joinpath("baseline-1.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(recorded, schema)
    (layer,) = recorded["targets"]["node:wasm"]["layers"]
    assert (layer["verdict"], layer["max_abs_to_scale"]) == ("rounding", 3e-7)
    assert checked(monkeypatch, SMALL, *words).exit_code == 0
    noisier = found(batch(0, "rounding", 1e-7, 9e-7), batch(2, "rounding", 2e-7))
    assert checked(monkeypatch, noisier, *words).exit_code == 0
    changed = checked(monkeypatch, WRONG, *words)
    assert changed.exit_code == 1
    assert "d1 on node:wasm was rounding and is bug" in changed.output


def test_a_baseline_of_other_examples_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    words = ("--baseline", str(tmp_path / "b.json"))
    checked(monkeypatch, SMALL, *words)
    done = checked(monkeypatch, replace(SMALL, input_sha256="2" * 64), *words)
    assert done.exit_code == 2
    assert "other inputs" in done.stderr


def test_junit_has_a_case_a_layer_with_its_worst_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    broken = replace(WRONG, targets=(*WRONG.targets, TargetOverExamples("edge:cpu", (), "edge:cpu died")))
    assert checked(monkeypatch, broken, "--junit", str(tmp_path / "j.xml")).exit_code == 3
    root = parse(tmp_path / "j.xml").getroot()
    suite, failed = root.findall("testsuite")
    assert [case.get("name") for case in suite.findall("testcase")] == ["run", "d1"]
    (failure,) = root.iter("failure")
    assert failure is suite.find("testcase[@name='d1']/failure")
    assert "p2.png" in (suite.findtext("testcase[@name='d1']/system-out") or "")
    assert failed.find("testcase/error").get("message") == "edge:cpu died"
    assert (root.get("failures"), root.get("errors"), root.get("tests")) == ("1", "1", "3")


def test_junit_of_a_target_that_broke_and_died_keeps_to_the_schema(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    whole = replace(batch(0, "rounding", 1e-7), verdict="bug")  # the run failed a check, which no layer shows
    assert (
        checked(monkeypatch, found(whole, failure="node:wasm died"), "--junit", str(tmp_path / "j.xml")).exit_code == 3
    )
    root = parse(tmp_path / "j.xml").getroot()
    assert [child.tag for child in root.find("testsuite/testcase")] == ["error", "failure", "system-out"]
    assert broken(root) == []


def test_two_models_are_passed_on(monkeypatch: pytest.MonkeyPatch):
    def check(model: Any, inputs: Any, targets: Any, **options: Any) -> Any:
        asked.append((model, options["candidate"]))
        return SMALL, None

    asked.clear()
    monkeypatch.setattr(pipeline, "check_examples", check)
    words = ["check", "--reference", "a", "--candidate", "b", "--batch-size", "2"]
    assert CliRunner().invoke(main, words).exit_code == 0
    assert asked == [(Path("a"), Path("b"))]


def test_of_many_targets_the_worst_is_told_closely_and_the_others_in_a_line(monkeypatch: pytest.MonkeyPatch):
    layers = [LayerInBatch(f"l{at}", "Dense", "rounding", "", "", "", *[(1e-7 * at,)] * 3) for at in range(50)]
    fine = BatchOnTarget(0, ("p0.png",), "rounding", "All is well.", tuple(layers), 1)
    wrong = replace(fine, verdict="bug", headline="It is wrong. It is known. To fix it: turn it.")
    targets = [TargetOverExamples(f"node:t{at}", (wrong if at == 5 else fine,)) for at in range(8)]
    answer = replace(SMALL, targets=tuple(targets))
    printed = checked(monkeypatch, answer).output.splitlines()
    assert len(printed) <= 30
    assert "bug  node:t5" in printed
    assert any("To fix it: turn it." in line for line in printed)
    others = [line for line in printed if line.startswith("rounding  node:t")]
    assert len(others) == 7
    assert "1 of 1 labels agree" in others[0]
    assert "(l49, p0.png)" in others[0]
    assert len(checked(monkeypatch, answer, "--verbose").output.splitlines()) > 80
