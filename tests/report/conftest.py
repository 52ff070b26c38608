"""A small run with everything a report may have to show: two targets compared, one failed, one absent."""

from __future__ import annotations

import numpy as np
import pytest

from bittrue.comparison import accuracy, compare
from bittrue.errors import TargetDied, TargetUnavailable
from bittrue.report.data import InputFacts, ModelFacts, ReferenceOutcome, ReportData, TargetOutcome
from bittrue.traces import Array, Check, Key, Provenance, Record, Trace

F32 = np.float32
EXACT = np.array([[1.0, 2.0, -4.0]])
KERAS = np.array([[1.0, 2.0, -4.0]], F32)
BROWSER = np.array([[1.0, np.nextafter(F32(2), F32(3)), -4.0]], F32)


def run(target: str, values: Array, software: bool | None = None) -> Trace:
    made = Provenance(target, "tfjs", target.split(":")[1], "4.22.0", "Some adapter" if software else None, software)
    records = [
        Record.of(Key("input", "x"), np.ones((1, 3), F32)),
        Record.of(Key("weight", "a"), np.eye(3, dtype=F32)),
        Record.of(Key("output", "x"), np.ones((1, 3), F32).astype(values.dtype)),
        Record.of(Key("output", "a"), values),
        Record.of(Key("output", "b"), values * 2),
    ]
    return Trace.of(made, records)


@pytest.fixture
def data() -> ReportData:
    """A report of ``check``: the values of b are twice those of a; the browser's second value is one ULP up."""
    truth, base = run("truth:float64", EXACT), run("keras:tensorflow", KERAS)
    outcomes = []
    for target, values in (("chrome:webgl", BROWSER), ("node:wasm", KERAS)):
        trace = run(target, values, software=target == "chrome:webgl")
        checks = (Check("capture", True, "unchanged"), Check("runs", False, "run 2 differs at b[0, 1]"))
        outcomes.append(
            TargetOutcome(
                target,
                trace.provenance,
                checks[: 1 + trace.provenance.software],
                compare(base, trace),
                accuracy(truth, trace),
            )
            if trace.provenance.software
            else TargetOutcome(target, trace.provenance, checks[:1], compare(base, trace), accuracy(truth, trace))
        )
    died = TargetDied("firefox:cpu was closed after layer a; its records are kept", target="firefox:cpu", after="a")
    absent = TargetUnavailable("Edge was not found: install it", target="edge:cpu", remedy="install it")
    outcomes += [TargetOutcome("firefox:cpu", failure=died), TargetOutcome("edge:cpu", failure=absent)]
    model = ModelFacts("m", "Functional", "m.keras", 9, {"x": "InputLayer", "a": "Dense", "b": "Dense"})
    reference = ReferenceOutcome(base.provenance, (), accuracy(truth, base), {"c": "no operation expresses Lambda"})
    return ReportData("check", model, (InputFacts("x", (1, 3), "float32"),), "ones", reference, tuple(outcomes))
