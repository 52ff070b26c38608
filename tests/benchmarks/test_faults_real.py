"""Planted faults in real TensorFlow.js: found in one run with their causes; the clean run is not accused."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.faults.running import Case, opened, run_case

pytestmark = [pytest.mark.browser, pytest.mark.needs("node", "tensorflow")]


def test_faults_of_the_artifact_and_of_the_page_are_found_in_one_run(tmp_path: Path) -> None:
    with opened("dense", 7, tmp_path) as model:
        case = Case(("kernel transposed", "half float texture"), "dense", 7, "node:cpu")
        row = run_case(case, model, tmp_path / "case")
    assert row is not None
    found = {fault["layer"]: fault for fault in row["spoilt"]["faults"]}
    assert sorted(found) == sorted(row["layers"])
    assert row["beyond"] == [True, True]
    causes = [[cause["cause"] for cause in found[layer]["causes"] if cause["proven"]] for layer in row["layers"]]
    assert causes == [["weights-rearranged"], ["reduced-precision"]]
    assert row["clean"]["faults"] == []
