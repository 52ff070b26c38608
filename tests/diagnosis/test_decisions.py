"""Decisions that hang on outputs: which changed, which are at risk, which are proven safe."""

from __future__ import annotations

import numpy as np
import pytest
from tests.graph.graphs import call, dense, entry, model

from bittrue.diagnosis.composed import compose, weakest
from bittrue.diagnosis.decisions import decisions
from bittrue.graph.model import TensorRef
from bittrue.ops import Allowance, Axioms
from bittrue.traces import Array, Key, Provenance, Record, Trace

KEY = Key("output", "d")
GRAPH = model([entry("x", 3)], [dense("d", np.eye(3, dtype=np.float32), call(TensorRef("x")))], TensorRef("d"))


def traced(values: Array) -> Trace:
    return Trace.of(Provenance("node:cpu", "tfjs", "cpu", "1"), [Record.of(KEY, values.astype(np.float32))])


def test_margin_difference_and_what_changed() -> None:
    reference = np.array([[3.0, 1.0, 0.0], [1.0, 0.5, 0.0], [0.25, 0.5, 0.0]])
    candidate = reference + np.array([[0.0, 0.0, 0.0], [0.0, 0.375, 0.0], [0.375, 0.0, 0.0]])
    (found,) = decisions(traced(reference), traced(candidate), GRAPH)
    assert (found.kind, found.rows, found.changed, found.at_risk) == ("argmax", 3, 1, 2)
    assert (found.margin, found.difference) == (0.25, 0.375)


def test_rows_of_more_than_ten_have_a_top_five() -> None:
    row = np.arange(20.0)[None]
    kinds = [found.kind for found in decisions(traced(row), traced(row), GRAPH)]
    assert kinds == ["argmax", "top-5"]


def test_a_wide_margin_in_a_shallow_model_is_proven_safe_and_a_tie_is_not() -> None:
    x = np.array([[3.0, 1.0, 0.0], [1.0, 1.0, 0.0]], np.float32)
    composed = compose(GRAPH, {"x": x}, Axioms())
    (found,) = decisions(traced(x), traced(x), GRAPH, composed)
    assert found.safe == 1
    assert found.bound is not None
    assert 0 < found.bound < 1e-5


def test_a_bound_of_several_backends_takes_the_weakest_promise_of_each() -> None:
    weak = weakest([Axioms(functions={"exp": Allowance(9, 1)}), Axioms(2.0**-23, functions={"tanh": Allowance(1, 2)})])
    assert weak.unit_roundoff == 2.0**-23
    assert (weak.functions["exp"].ulps, weak.functions["tanh"].ulps) == (9, 4)


@pytest.mark.parametrize("values", [np.zeros((0, 3)), np.full((1, 3), np.nan), np.ones(3)])
def test_outputs_that_decide_nothing_are_left_out(values: Array) -> None:
    assert list(decisions(traced(values), traced(values), GRAPH)) == []
