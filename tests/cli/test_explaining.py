"""``--fail-on``, ``--no-explain`` and ``explain``: exit codes and what is passed on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tests.diagnosis.runs import chain, run, x_of

from bittrue import pipeline
from bittrue.cli import main
from bittrue.diagnosis import Verdict
from bittrue.graph.stored import write_graph
from bittrue.report.data import ReportData
from bittrue.report.one_layer import result_of
from bittrue.tracefile import write_trace
from bittrue.traces import Array


@cache
def diagnosed() -> ReportData:
    return result_of(run(chain(), x_of(), "keras:tensorflow"), run(chain(), x_of(), faults={"d1": up}), chain())


def up(y: Array) -> Array:
    return np.nextafter(y, np.float32(np.inf))


def with_verdict(verdict: Verdict) -> ReportData:
    data = diagnosed()
    diagnosis = data.targets[0].diagnosis
    assert diagnosis is not None
    return replace(data, targets=(replace(data.targets[0], diagnosis=replace(diagnosis, verdict=verdict)),))


def checked(monkeypatch: pytest.MonkeyPatch, answer: Any, *words: str) -> Result:
    monkeypatch.setattr(pipeline, "check", lambda *args, **options: answer)
    return CliRunner().invoke(main, ["check", "m.keras", *words])


@pytest.mark.parametrize(
    ("verdict", "least"),
    [
        ("rounding", "rounding"),
        ("approximation", "approximation"),
        ("reduced precision", "precision"),
        ("suspicious", "suspicious"),
        ("non-finite", "bug"),
        ("bug", "bug"),
    ],
)
def test_each_verdict_fails_from_its_own_name_on(monkeypatch: pytest.MonkeyPatch, verdict: str, least: str) -> None:
    order = ["rounding", "approximation", "precision", "suspicious", "bug"]
    for asked in order:
        expected = 1 if order.index(asked) <= order.index(least) else 0
        assert checked(monkeypatch, with_verdict(Verdict(verdict)), "--fail-on", asked).exit_code == expected


@pytest.mark.parametrize(
    ("verdict", "code"), [("rounding", 0), ("reduced precision", 0), ("suspicious", 1), ("bug", 1)]
)
def test_suspicious_is_the_default(monkeypatch: pytest.MonkeyPatch, verdict: str, code: int) -> None:
    assert checked(monkeypatch, with_verdict(Verdict(verdict))).exit_code == code


def test_bits_and_never_do_not_ask_for_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked(monkeypatch, diagnosed(), "--fail-on", "bits").exit_code == 1
    assert checked(monkeypatch, with_verdict(Verdict.BUG), "--fail-on", "never").exit_code == 0


def test_a_verdict_cannot_be_failed_on_without_explaining(monkeypatch: pytest.MonkeyPatch) -> None:
    done = checked(monkeypatch, diagnosed(), "--no-explain", "--fail-on", "bug")
    assert done.exit_code == 2
    assert "--no-explain" in done.output


def test_whether_to_explain_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(pipeline, "check", lambda *args, **options: seen.append(options["run"].explain) or diagnosed())
    for words in ([], ["--no-explain"]):
        CliRunner().invoke(main, ["check", "m.keras", *words])
    assert seen == [True, False]


def test_explain_prints_one_layers_evidence_from_files(tmp_path: Path) -> None:
    write_graph(chain(), tmp_path / "graph.json")
    write_trace(run(chain(), x_of(), "keras:tensorflow"), tmp_path / "reference.safetensors")
    write_trace(run(chain(), x_of(), faults={"d1": up}), tmp_path / "node-wasm.safetensors")
    done = CliRunner().invoke(main, ["explain", str(tmp_path / "node-wasm.safetensors"), "d1"])
    assert done.exit_code == 0
    assert done.output.startswith("d1 (Dense) on node:wasm: rounding")
    missing = CliRunner().invoke(main, ["explain", str(tmp_path / "no.safetensors"), "d1"])
    assert missing.exit_code == 2
