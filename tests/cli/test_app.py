"""The command line is a thin edge: what it passes on, what it prints where, and what it exits with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bittrue import pipeline
from bittrue.cli import main
from bittrue.cli.words import spread
from bittrue.errors import InputError, TargetDied, TargetUnavailable
from bittrue.report.data import ReferenceOutcome, ReportData, TargetOutcome
from bittrue.traces import Key, Provenance, Record, Trace

np = pytest.importorskip("numpy")
Invoke = Callable[..., Result]


def report(value: float, *others: TargetOutcome, asked: bool = True) -> ReportData:
    from bittrue.comparison import compare

    def trace(number: float) -> Trace:
        return Trace.of(
            Provenance("node:cpu", "tfjs", "cpu", "1"), [Record.of(Key("output", "d"), np.float32([number]))]
        )

    base, found = trace(1.0), trace(value)
    outcome = TargetOutcome("node:cpu", found.provenance, (), compare(base, found), digest=found.digest())
    reference = ReferenceOutcome(base.provenance, (), None)
    return ReportData("check", None, (), "ones", reference, (outcome, *others), asked=asked)


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs the command line with ``pipeline.check`` answering ``answer``; keeps its arguments in ``calls``."""

    def run(answer: Any, *words: str) -> Result:
        def check(*args: Any, **options: Any) -> Any:
            run.calls.append((args, options))  # type: ignore[attr-defined]
            if isinstance(answer, BaseException):
                raise answer
            return answer

        monkeypatch.setattr(pipeline, "check", check)
        return CliRunner().invoke(main, ["check", "m.keras", *words])

    run.calls = []  # type: ignore[attr-defined]
    return run


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--in", "chrome:webgl", "node:cpu", "--quiet"], ["--in", "chrome:webgl", "--in", "node:cpu", "--quiet"]),
        (["--in", "chrome:webgl", "--json", "-"], ["--in", "chrome:webgl", "--json", "-"]),
        (["--in", "chrome:webgl", "model.keras"], ["--in", "chrome:webgl", "model.keras"]),
        (
            ["--in", "chrome:cpu", "edge:cpu", "node:cpu"],
            ["--in", "chrome:cpu", "--in", "edge:cpu", "--in", "node:cpu"],
        ),
        (["a:b", "node:cpu"], ["a:b", "node:cpu"]),
    ],
)
def test_several_targets_may_follow_one_in(words: list[str], expected: list[str]) -> None:
    assert spread(words) == expected


def test_options_reach_the_pipeline(invoke: Invoke) -> None:
    invoke(
        report(1.0),
        "--in",
        "node:cpu",
        "--runs",
        "3",
        "--budget",
        "2",
        "--tfjs",
        "1.7.2",
        "--input",
        "random:5",
        "--batch",
        "4",
    )
    (args, options), *_ = invoke.calls  # type: ignore[attr-defined]
    assert args[1:] == ("random:5", ("node:cpu",))
    assert options["batch"] == 4
    run = options["run"]
    assert (run.runs, run.budget, run.tfjs) == (3, 2 * 2**20, "1.7.2")


@pytest.mark.parametrize(
    ("answer", "words", "code"),
    [
        (report(1.0), [], 0),
        (report(2.0), [], 0),
        (report(1.0), ["--fail-on", "bits"], 0),
        (report(2.0), ["--fail-on", "bits"], 1),
        (report(1.0, TargetOutcome("a:b", failure=TargetDied("died"))), [], 3),
        (report(1.0, TargetOutcome("a:b", failure=TargetUnavailable("absent"))), [], 3),
        (report(1.0, TargetOutcome("a:b", failure=TargetUnavailable("absent")), asked=False), [], 0),
        (InputError("the input is wrong"), [], 2),
        (TargetDied("died"), [], 3),
        (KeyboardInterrupt(), [], 130),
    ],
)
def test_exit_codes(invoke: Invoke, answer: Any, words: list[str], code: int) -> None:
    assert invoke(answer, *words).exit_code == code


def test_json_alone_is_on_standard_output(invoke: Invoke) -> None:
    done = invoke(report(2.0), "--json", "-")
    assert json.loads(done.stdout)["targets"][0]["layers"][0]["max_abs"] == 1.0
    assert "node:cpu" in done.stderr


def test_quiet_prints_nothing(invoke: Invoke) -> None:
    done = invoke(report(2.0), "--quiet")
    assert (done.stdout, done.stderr) == ("", "")


def test_an_error_is_one_sentence_on_standard_error(invoke: Invoke) -> None:
    done = invoke(InputError("the input is wrong"))
    assert done.stdout == ""
    assert done.stderr == "bittrue: the input is wrong\n"


def test_a_wrong_option_exits_with_2(invoke: Invoke) -> None:
    assert invoke(report(1.0), "--no-such-option").exit_code == 2


def test_two_models_go_to_the_function_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(pipeline, "check_models", lambda *args, **options: asked.append(args) or report(1.0))
    words = ["check", "--reference", "a.keras", "--candidate", "b", "--in", "node:cpu", "--quiet"]
    assert CliRunner().invoke(main, words).exit_code == 0
    assert [str(word) for word in asked[0][:2]] == ["a.keras", "b"]
    assert asked[0][2:] == ("ones", ("node:cpu",))


@pytest.mark.parametrize(
    "words", [[], ["m", "--reference", "a"], ["--reference", "a"], ["--candidate", "b"], ["m", "--candidate", "b"]]
)
def test_one_model_or_two_and_nothing_between(words: list[str]) -> None:
    done = CliRunner().invoke(main, ["check", *words])
    assert done.exit_code == 2
    assert done.stderr == "bittrue: check takes either one MODEL or both --reference A and --candidate B\n"


def test_what_to_quantise_reaches_the_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def convert(*args: Any, **options: Any) -> Any:
        asked.append(options["quantize"])
        raise InputError("enough")

    monkeypatch.setattr(pipeline, "convert", convert)
    CliRunner().invoke(main, ["convert", "m", "out", "--quantize", "uint8", "--quantize", "float16:*/bias"])
    assert asked == [("uint8", "float16:*/bias")]
