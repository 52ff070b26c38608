"""The judge of layers: what is right passes, what is wrong does not, and no layer answers for another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from own_errors import own_errors, ratio_of
from sample_models import dense, input_layer, model

from bittrue.graph.truth import evaluate
from bittrue.traces import Key, Record, Trace

GRAPH = model(input_layer("entry", 3), dense("first", "entry", units=5), dense("last", "first", given=5, units=2))
X = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


def trace(**changed: float) -> Trace:
    """The float64 answer in float32, some layers times a factor."""
    records = []
    for record in evaluate(GRAPH, {"entry": X}):
        array = (record.load() * changed.get(record.key.layer, 1.0)).astype(np.float32)
        records.append(Record.of(record.key, array))
    return Trace.of(evaluate(GRAPH, {"entry": X}).provenance, records)


def ratios(found: Trace) -> dict[str, float]:
    return {error.key.layer: error.ratio for error in own_errors(GRAPH, found)}


def test_the_exact_answer_rounded_once_is_within() -> None:
    assert all(0 < ratio < 1 for ratio in ratios(trace()).values())


def test_a_layer_answers_for_itself_alone() -> None:
    found = ratios(trace(first=1.001))
    assert found["first"] > 1
    assert found["last"] > 1  # computed from the right input, not from the one that the trace says it was given


def test_a_layer_that_was_not_captured_is_carried() -> None:
    whole = trace()
    rest = {key: record for key, record in whole.records.items() if key != Key("output", "first")}
    assert 0 < ratios(replace(whole, records=rest))["last"] < 1


def test_ratios_of_special_values() -> None:
    inf, nan = np.inf, np.nan
    assert ratio_of(np.array([inf, nan, 1.0]), np.array([inf, nan, 1.0]), np.zeros(3)) == 0
    assert ratio_of(np.array([1.0]), np.array([1.5]), np.zeros(1)) == inf
    assert ratio_of(np.array([nan]), np.array([1.0]), np.array([1.0])) == inf
    assert ratio_of(np.array([1.0]), np.array([1.5]), np.array([1.0])) == 0.5
