"""Results with diagnoses, made without any framework: a chain of Dense layers with faults planted by target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from tests.diagnosis.runs import Fault, chain, run, x_of

from bittrue.comparison import compare
from bittrue.errors import TargetUnavailable
from bittrue.report.data import InputFacts, ModelFacts, ReferenceOutcome, ReportData, TargetOutcome
from bittrue.report.explained import explained
from bittrue.traces import Array

__all__ = ["absent", "doubled", "one_up", "result"]


def one_up(y: Array) -> Array:
    """A rounding's worth: the next float, everywhere."""
    return np.nextafter(y, np.float32(np.inf))


def doubled(y: Array) -> Array:
    """What no rounding makes."""
    return y * np.float32(2)


def absent(target: str) -> TargetOutcome:
    return TargetOutcome(target, failure=TargetUnavailable(f"{target} was not found: install it", target=target))


def result(
    faults: Mapping[str, Mapping[str, Fault]] | None = None,
    *,
    explain: bool = True,
    others: tuple[TargetOutcome, ...] = (),
    depth: int = 4,
) -> ReportData:
    """A check of ``depth`` layers d0, d1, … on the targets that ``faults`` names, each with its layers' faults."""
    graph, fed = chain(depth), x_of()
    base = run(graph, fed, "keras:tensorflow")
    outcomes = []
    for target, planted in (faults or {"node:wasm": {}}).items():
        trace = run(graph, fed, target, faults=planted)
        outcomes.append(
            TargetOutcome(target, trace.provenance, (), compare(base, trace), digest=trace.digest(), trace=trace)
        )
    classes = {"x": "InputLayer"} | {f"d{at}": "Dense" for at in range(depth)}
    model = ModelFacts("m", "Functional", "m.keras", 272 * depth, classes)
    reference = ReferenceOutcome(base.provenance, (), None, digest=base.digest(), trace=base)
    data = ReportData("check", model, (InputFacts("x", (2, 16), "float32"),), "ones", reference, tuple(outcomes))
    data = explained(data, graph, base) if explain else data
    return replace(data, targets=(*data.targets, *others))
