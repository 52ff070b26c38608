"""What is found here, and whether it works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bittrue.errors import TargetUnavailable
from bittrue.runtimes import doctor
from bittrue.runtimes.doctor import examine
from bittrue.runtimes.fake import FakeRuntime
from bittrue.runtimes.target import Target
from bittrue.traces import Key, Provenance, Record, Trace

WASM, WEBGL = Target.parse("chrome:wasm"), Target.parse("chrome:webgl")


def answering(monkeypatch: pytest.MonkeyPatch, outcome: Trace | Exception) -> None:
    monkeypatch.setattr(doctor.Host, "runtime", lambda self, target, artifact, graph: FakeRuntime(target, outcome))


def trace(values: np.ndarray) -> Trace:
    made = Provenance("chrome:webgl", "tfjs", "webgl", "4.22.0", "SwiftShader", True)
    return Trace.of(made, [Record.of(Key("output", "probe"), values)])


def test_a_target_that_computes_rightly_works(monkeypatch: pytest.MonkeyPatch):
    # x is (1, -2): 3 - 14 + 1/2 and 5 - 22 - 1/4
    answering(monkeypatch, trace(np.array([[-10.5, -17.25]], np.float32)))
    probe = examine([WEBGL]).probes[0]
    assert (probe.works, probe.adapter, probe.software, probe.problem) == (True, "SwiftShader", True, None)


@pytest.mark.parametrize("values", [np.zeros((1, 2), np.float32), np.array([[np.nan, np.nan]], np.float32)])
def test_a_target_that_computes_wrongly_does_not(monkeypatch: pytest.MonkeyPatch, values: np.ndarray):
    answering(monkeypatch, trace(values))
    findings = examine([WEBGL])
    assert not findings.works
    assert "wrong result" in (findings.probes[0].problem or "")


def test_a_target_that_fails_says_why_and_what_to_do(monkeypatch: pytest.MonkeyPatch):
    answering(monkeypatch, TargetUnavailable("no card", remedy="buy one"))
    probe = examine([WASM]).probes[0]
    assert (probe.works, probe.problem, probe.remedy) == (False, "no card", "buy one")


def test_what_is_not_here_comes_with_its_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "find_browser", lambda name: None)
    engines = {engine.name: engine for engine in examine([]).engines}
    assert engines["edge"].program is None
    assert engines["edge"].remedy


def test_packages_are_listed_without_being_imported(monkeypatch: pytest.MonkeyPatch):
    packages = {package.name: package.version for package in examine([]).packages}
    assert packages["numpy"] == np.__version__


def test_python_alone_is_no_target_that_works():
    findings = examine([Target.parse("python:exact")])
    assert [(probe.works, probe.version) for probe in findings.probes] == [(True, "bittrue-exact-1")]
    assert not findings.works


@pytest.mark.browser
@pytest.mark.needs("node")
def test_node_really_works(tmp_path: Path):
    findings = examine([Target.parse("node:wasm"), Target.parse("node:exact")])
    assert [(probe.works, probe.version) for probe in findings.probes] == [(True, "4.22.0"), (True, "bittrue-exact-1")]
