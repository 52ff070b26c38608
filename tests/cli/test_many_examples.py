"""``check --batch-size``: what is passed on, printed, written and exited with."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

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
    return ManyExamples("m", "faces", sum(len(one.names) for one in batches), 2, "keras:tensorflow", (target,))


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


@pytest.mark.parametrize("words", [["--baseline", "b.json"], ["--junit", "j.xml"]])
def test_what_does_not_go_together_is_refused(monkeypatch: pytest.MonkeyPatch, words: list[str]):
    done = checked(monkeypatch, SMALL, *words)
    assert (done.exit_code, asked) == (2, [])
    assert words[0] in done.stderr


def test_two_models_are_refused():
    words = ["check", "--reference", "a", "--candidate", "b", "--batch-size", "2"]
    assert CliRunner().invoke(main, words).exit_code == 2
