"""What is said of an output: from its distance to the exact answer, and from nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conformance.building import Built, build
from tests.conformance.cases import Case, Feed
from tests.conformance.judging import bounded, judge
from tests.conformance.ledger import Ledger, done, read, state_of, summary
from tests.conformance.running import Outcome, Prepared

from bittrue.graph.model import Graph
from bittrue.model import open_model
from bittrue.ops import Axioms

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]


@pytest.fixture(scope="module")
def dense() -> tuple[Built, Graph]:
    built = build(Case("layer", "Dense", (Feed((4,)),), {"activation": "exponential"}, {}, {"units": 3}))
    return built, open_model(built.model).graph


def _exact(dense: tuple[Built, Graph]) -> np.ndarray:  # type: ignore[type-arg]
    built, graph = dense
    return bounded(graph, built.inputs, Axioms())[0][0]


def test_the_rounded_exact_answer_is_within_rounding(dense: tuple[Built, Graph]) -> None:
    built, graph = dense
    assert judge(graph, built.inputs, [_exact(dense).astype(np.float32)], "cpu").verdict == "rounding"


def test_another_answer_is_wrong(dense: tuple[Built, Graph]) -> None:
    built, graph = dense
    assert judge(graph, built.inputs, [_exact(dense) * 1.001], "cpu").verdict == "wrong"


def test_another_shape_is_wrong(dense: tuple[Built, Graph]) -> None:
    built, graph = dense
    assert judge(graph, built.inputs, [_exact(dense)[:1]], "cpu").verdict == "wrong"


def test_zeros_and_what_is_no_number_are_wrong(dense: tuple[Built, Graph]) -> None:
    built, graph = dense
    for filling in (0.0, np.nan, np.inf):
        assert judge(graph, built.inputs, [np.full_like(_exact(dense), filling)], "webgpu").verdict == "wrong"


def test_a_coarser_exponential_is_an_approximation_on_a_gpu_and_named(dense: tuple[Built, Graph]) -> None:
    built, graph = dense
    exact = _exact(dense)
    bound = bounded(graph, built.inputs, Axioms(division=5.0))[0][1]
    found = judge(graph, built.inputs, [exact + 1.5 * bound], "webgl")
    assert found.verdict == "approximation"
    assert found.named.startswith("exp")
    assert judge(graph, built.inputs, [exact + 1.5 * bound], "wasm").verdict == "wrong"


def test_what_was_run_is_not_run_again_and_the_last_line_counts(tmp_path: Path) -> None:
    item = Prepared(Case("layer", "Dense", (Feed((4,)),)), "ready", form="layers-model")
    for verdict in ("wrong", "rounding"):
        with Ledger(tmp_path / "one.jsonl", ["node:cpu"]) as book:
            book.enter(item, {"node:cpu": Outcome(verdict, np.inf)})
    assert done(tmp_path, ["node:cpu"]) == {item.case.key}
    assert done(tmp_path, ["node:cpu", "node:wasm"]) == set()
    assert state_of(read(tmp_path)[item.case.key]) == "rounding"


def test_a_silent_error_fails_the_campaign(tmp_path: Path) -> None:
    item = Prepared(Case("layer", "Dense", (Feed((4,)),)), "ready")
    with Ledger(tmp_path / "one.jsonl", ["node:cpu"]) as book:
        book.enter(item, {"node:cpu": Outcome("wrong", 3.0, 0.1)})
    said: list[str] = []
    assert summary(read(tmp_path), said.append) == 1
    assert any("node:cpu: wrong" in line for line in said)
