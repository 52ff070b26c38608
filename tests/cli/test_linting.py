"""`bittrue lint`: what it prints, the JSON and its schema, and what it exits with."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bittrue import pipeline
from bittrue.cli import main
from bittrue.cli.linting import lint_as_data
from bittrue.conversion.tfjs.lint import Finding, Lint
from bittrue.errors import ModelError

RENAMED = Finding("a", "LeakyReLU", "different", "negative_slope", "is ignored", "never read", "written as alpha", True)
LACKING = Finding("b/c", "Lambda", "rejected", None, "Unknown layer", "no such class", "refused: [no] way", False)


def result(*findings: Finding, version: str = "4.22.0", form: Any = None) -> Lint:
    convertible = all(finding.repaired for finding in findings)
    return Lint("m", version, "4.22.0", 3, "layers-model" if convertible else form, findings)


Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs the command with ``pipeline.lint`` answering ``answer``."""

    def run(answer: Any, *words: str) -> Result:
        def lint(*args: Any, **options: Any) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(pipeline, "lint", lint)
        return CliRunner().invoke(main, ["lint", "m.keras", *words])

    return run


@pytest.mark.parametrize(
    ("answer", "words", "status"),
    [
        (result(), [], 0),
        (result(LACKING), [], 0),
        (result(RENAMED), ["--fail-on", "refused"], 0),
        (result(RENAMED, LACKING), ["--fail-on", "refused"], 1),
        (result(RENAMED, LACKING, form="graph-model"), ["--fail-on", "refused"], 0),
        (ModelError("m.keras is damaged"), [], 2),
        (result(), ["--fail-on", "anything"], 2),
    ],
)
def test_the_exit_code(invoke: Invoke, answer: Any, words: list[str], status: int) -> None:
    assert invoke(answer, *words).exit_code == status


def test_the_answer_comes_first(invoke: Invoke) -> None:
    clean, mixed = invoke(result()).stdout, invoke(result(RENAMED, LACKING)).stdout
    assert clean.startswith("'m' in TensorFlow.js 4.22.0: nothing would be rejected")
    assert mixed.splitlines()[0].startswith(
        "'m' in TensorFlow.js 4.22.0: 1 rejected, 1 silently different; it cannot be written faithfully"
    )
    assert mixed.index("b/c (Lambda)") < mixed.index("a (LeakyReLU)")
    assert "→ refused: [no] way" in mixed


def test_the_same_finding_on_many_layers_is_printed_once(invoke: Invoke) -> None:
    many = [Finding(f"l{at}", *list(vars(RENAMED).values())[1:]) for at in range(6)]
    text = invoke(result(*many)).stdout
    assert text.count("is ignored") == 1
    assert "l0, l1, l2, l3 and 2 more (LeakyReLU)" in text


def test_another_version_says_where_the_facts_are_from(invoke: Invoke) -> None:
    assert "Read off the classes of TensorFlow.js 4.22.0" in invoke(result(version="1.7.2")).stdout


def test_json_on_standard_output_is_alone_there(invoke: Invoke) -> None:
    done = invoke(result(RENAMED, LACKING), "--json", "-")
    assert json.loads(done.stdout) == lint_as_data(result(RENAMED, LACKING))
    assert "silently different" in done.stderr


def test_quiet_prints_nothing(invoke: Invoke) -> None:
    assert invoke(result(LACKING), "--quiet").output == ""


def test_the_data_follow_the_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((files("bittrue.cli") / "lint-1.schema.json").read_text(encoding="utf-8"))
    data = lint_as_data(result(RENAMED, LACKING, Finding("", *list(vars(LACKING).values())[1:])))
    jsonschema.validate(data, schema, cls=jsonschema.Draft202012Validator)
    assert [finding["layer"] for finding in data["findings"]] == ["a", "b/c", None]
    assert data["counts"] == {"rejected": 2, "different": 1, "hazard": 0, "rewritten": 0}


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
def test_a_model_from_its_file(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    keras.Sequential([keras.Input((3,)), keras.layers.ELU(alpha=0.5, name="e")]).save(tmp_path / "m.keras")
    done = CliRunner().invoke(main, ["lint", str(tmp_path / "m.keras")])
    assert done.exit_code == 0
    assert "e (ELU)" in done.stdout
