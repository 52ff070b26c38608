"""Causes: stated as proven only where an experiment shows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from runs import SIZE, chain, run, x_of
from tests.graph.graphs import call, entry, model

from bittrue.diagnosis import Diagnosis, Finding, diagnose
from bittrue.diagnosis.causes import known_causes
from bittrue.diagnosis.causes.reduced_precision import to_bits
from bittrue.diagnosis.evidence import Reproduction
from bittrue.graph.model import Graph, LayerNode, TensorRef, Weight
from bittrue.traces import Array, Trace


def with_weights(graph: Graph, name: str, change: object) -> Graph:
    layers = tuple(
        replace(node, weights=tuple(Weight(w.name, change(w.value)) for w in node.weights))
        if node.name == name
        else node  # type: ignore[operator]
        for node in graph.layers
    )
    return replace(graph, layers=layers)


def first(found: Diagnosis) -> Finding:
    assert found.first_fault is not None
    return found.first_fault.causes[0]


def test_other_weights_are_proven_by_recomputing_with_them() -> None:
    graph = chain()
    altered = run(with_weights(graph, "d1", lambda value: value * np.float32(1.25)), x_of())
    found = diagnose(run(graph, x_of()), altered, graph)
    assert [entry.name for entry in found.faults] == ["d1"]
    finding = first(found)
    assert (finding.cause, finding.proven) == ("weights-differ", True)
    assert "'kernel'" in finding.sentence
    assert finding.fix


@pytest.mark.parametrize(("words", "bits"), [("half", 11), ("bfloat16", 8)])
def test_coarse_weights_that_nobody_recorded_are_reduced_precision(words: str, bits: int) -> None:
    graph = chain()
    coarse = with_weights(graph, "d1", lambda value: to_bits(value, bits, 2.0**-14, 65504.0).astype(np.float32))
    seen = run(coarse, x_of())
    kept = [record for record in seen if record.key.kind != "weight"]
    found = diagnose(run(graph, x_of()), Trace.of(seen.provenance, kept), graph)
    assert found.verdict == "reduced precision"
    assert words in first(found).sentence


def test_outputs_that_fit_half_precision_were_held_in_it() -> None:
    graph = chain()

    def half(y: Array) -> Array:
        return y.astype(np.float16).astype(np.float32)

    found = diagnose(run(graph, x_of()), run(graph, x_of(), faults={"d2": half}), graph)
    assert (found.verdict, found.faults[0].name) == ("reduced precision", "d2")


def test_a_large_error_is_not_taken_for_reduced_precision() -> None:
    graph = chain()
    found = diagnose(run(graph, x_of()), run(graph, x_of(), faults={"d2": lambda y: y * np.float32(1.1)}), graph)
    assert found.verdict == "bug"


def abramowitz_stegun(x: Array) -> Array:
    """Formula 7.1.26, in powers of t."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    a = 0.254829592 * t - 0.284496736 * t**2 + 1.421413741 * t**3 - 1.453152027 * t**4 + 1.061405429 * t**5
    return np.sign(x) * (1 - a * np.exp(-x * x))


def test_the_erf_of_a_backend_is_an_approximation_and_elsewhere_a_bug() -> None:
    node = LayerNode("g", "Erf", "keras.src.ops.math", {"name": "g"}, (), (call(TensorRef("x")),))
    graph = model([entry("x", SIZE)], [node], TensorRef("g"))
    fault = {"g": lambda y: abramowitz_stegun(x_of()["x"].astype(np.float64)).astype(np.float32)}
    reference = run(graph, x_of())
    found = diagnose(reference, run(graph, x_of(), "node:cpu", faults=fault), graph)
    assert found.verdict == "approximation"
    assert "7.1.26" in first(found).sentence
    worse = {"g": lambda y: y * np.float32(1.0001)}
    assert diagnose(reference, run(graph, x_of(), "node:cpu", faults=worse), graph).verdict == "bug"


def test_rounding_to_bits_is_what_numpy_does_for_half_precision() -> None:
    generator = np.random.default_rng(0)
    values = np.concatenate(
        [generator.normal(size=999) * 10.0 ** generator.integers(-9, 6, 999), [65519.9, 65520.0, 0.0]]
    )
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16).astype(np.float64)
    np.testing.assert_array_equal(to_bits(values, 11, 2.0**-14, 65504.0), expected)


@pytest.mark.parametrize(
    ("bits", "inside", "without", "proven"),
    [(9, None, 0, True), (8, None, 0, False), (0, 9, 8, True), (0, 9, 9, False), (0, 8, 0, False)],
)
def test_proof_takes_all_bits_or_the_bound_with_and_not_without(
    bits: int, inside: int | None, without: int, proven: bool
) -> None:
    assert Reproduction(bits, 9, inside, without).proven is proven


def test_causes_have_names_of_their_own_and_are_found_by_themselves() -> None:
    names = [cause.name for cause in known_causes()]
    assert len(set(names)) == len(names)
    assert {"weights-differ", "inputs-differ", "backend-approximation", "reduced-precision"} <= set(names)


def test_zeros_are_a_kernel_that_did_not_run_and_not_half_precision() -> None:
    graph = chain()
    found = diagnose(run(graph, x_of()), run(graph, x_of(), "chrome:webgpu", faults={"d2": np.zeros_like}), graph)
    assert found.verdict == "bug"
    assert (first(found).cause, first(found).proven) == ("not-computed", True)
