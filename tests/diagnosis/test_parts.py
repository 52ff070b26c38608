"""A batch that is explained part by part: the same answers as all at once, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from runs import SIZE, chain, run, x_of
from tests.graph.graphs import call, dense, entry, layer, model

import bittrue.graph.examples
from bittrue.diagnosis import Diagnosis, OwnError, diagnose_all
from bittrue.diagnosis.composed import compose
from bittrue.graph.model import Graph, TensorRef
from bittrue.ops import Axioms
from bittrue.traces import Array, Key, Trace

X = TensorRef("x")
ROWS = 6


@pytest.fixture(autouse=True)
def _as_small_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bittrue.graph.examples, "_LEAST", 1)


@dataclass(frozen=True)
class Case:
    """A model, what it is fed, and what is planted in the candidate's layers."""

    graph: Graph
    inputs: Mapping[str, Array]
    faults: Mapping[str, Callable[[Array], Array]] = field(default_factory=dict)

    def runs(self) -> tuple[Trace, dict[str, Trace]]:
        candidates = {
            "node:wasm": run(self.graph, self.inputs, faults=self.faults),
            "node:cpu": run(self.graph, self.inputs, "node:cpu"),
        }
        return run(self.graph, self.inputs, "keras:tensorflow"), candidates


def in_row(row: int, change: Callable[[Array], Array]) -> Callable[[Array], Array]:
    def fault(y: Array) -> Array:
        y = y.copy()
        y[row] = change(y[row])
        return y

    return fault


def drawn(*shape: int, low: float = -1.0) -> Array:
    return np.random.default_rng(sum(shape)).uniform(low, low + 2, shape).astype(np.float32)


def nudged(y: Array) -> Array:
    return np.nextafter(y, np.float32(np.inf))


def one_value_off() -> Case:
    return Case(chain(), x_of(rows=ROWS), {"d2": in_row(4, lambda y: y + np.eye(SIZE, dtype=np.float32)[3])})


def rounding_and_a_nan() -> Case:
    return Case(chain(activation="gelu"), x_of(rows=ROWS), {"d1": nudged, "d3": in_row(2, lambda y: y * np.nan)})


def half_precision() -> Case:
    return Case(chain(2), x_of(rows=ROWS), {"d1": lambda y: y.astype(np.float16).astype(np.float32)})


def zeros() -> Case:
    return Case(chain(2, activation="sigmoid"), x_of(rows=ROWS), {"d1": np.zeros_like})


def normalised_by_the_batch() -> Case:
    """Which no example knows by itself."""
    weights = dict(zip(("gamma", "beta", "moving_mean", "moving_variance"), drawn(4, 3, low=0.5), strict=True))
    x = drawn(ROWS, 4, 3)
    trained = (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + np.float32(1e-3)) * weights["gamma"] + weights["beta"]
    layers = [layer("n", "BatchNormalization", call(X), config={"epsilon": 1e-3}, **weights)]
    return Case(model([entry("x", 4, 3)], layers, TensorRef("n")), {"x": x}, {"n": lambda _: trained})


def examples_that_meet() -> Case:
    """A softmax over the batch: that layer is taken whole."""
    layers = [
        dense("a", drawn(SIZE, SIZE), call(X), activation="tanh"),
        layer("s", "Softmax", call(TensorRef("a")), config={"axis": 0}),
        dense("b", drawn(SIZE, 4), call(TensorRef("s")), activation="softmax"),
    ]
    return Case(model([entry("x", SIZE)], layers, TensorRef("b")), x_of(rows=ROWS), {"s": in_row(1, nudged)})


CASES = [
    one_value_off,
    rounding_and_a_nan,
    half_precision,
    zeros,
    normalised_by_the_batch,
    examples_that_meet,
]


def said_of(error: OwnError) -> dict[str, Any]:
    return {
        "counts": (error.size, error.outside, error.non_finite, error.promised),
        "worst": error.worst.index if error.worst is not None else None,
        "figures": [error.max_abs, error.rms, error.max_ulp or 0, error.bound_share, error.allowed],
        "expectation": error.expectation or 0,
    }


def said(found: Diagnosis) -> list[Any]:
    """What is not a sentence; figures are compared up to the rounding of their own sums."""
    entries = [
        {
            "who": (str(entry.verdict), entry.side, [(cause.cause, cause.proven) for cause in entry.causes]),
            "own": [said_of(output.own) for output in entry.outputs],
            "reference": [said_of(output.reference) for output in entry.outputs],
            "inherited": [(output.inherited.max_abs, output.inherited.rms) for output in entry.outputs],
            "amplification": [output.amplification.absolute or 0 for output in entry.outputs],
        }
        for entry in found.entries
        if entry.causes == () or entry.causes[0].cause != "summation-order"  # tried where all fits alone
    ]
    first = [found.first_order for found in found.decisions if found.first_order is not None]
    return [
        str(found.verdict),
        found.headline.split(":")[0],
        *entries,
        *((one.row, one.reference, one.candidate) for one in first),
    ]


@pytest.mark.parametrize("build", CASES)
def test_the_same_is_said_part_by_part(build: Callable[[], Case]) -> None:
    case = build()
    reference, candidates = case.runs()
    whole = diagnose_all(reference, candidates, case.graph)
    parts = diagnose_all(reference, candidates, case.graph, room=1)
    for target in candidates:
        alike(said(parts[target]), said(whole[target]))
        limits = [[o.own.limit for e in found[target].entries for o in e.outputs] for found in (parts, whole)]
        # Which values are equal is not known across parts: it is then taken that they may be, which accuses less.
        assert all(part >= all_ * (1 - 1e-9) for part, all_ in zip(*limits, strict=True))


def alike(found: Any, wanted: Any) -> None:
    if isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-6, nan_ok=True)
    elif isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key in wanted:
            alike(found[key], wanted[key])
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            alike(one, other)
    else:
        assert found == wanted


def test_a_proof_says_in_which_examples_it_was_made() -> None:
    case = Case(chain(2, activation="sigmoid"), x_of(rows=ROWS), {"d1": in_row(5, np.zeros_like)})
    reference, candidates = case.runs()
    found = diagnose_all(reference, candidates, case.graph, room=1)["node:wasm"]
    (cause,) = found.layers["d1"].causes
    assert cause.cause == "not-computed"
    assert cause.proof.endswith(", in example 5 of 6")


def test_the_composed_bound_is_the_same() -> None:
    graph, x = chain(), x_of(rows=ROWS)
    key = Key("output", "d3")
    whole, parts = (compose(graph, x, Axioms(), room).of(key) for room in (None, 1))
    assert whole is not None
    assert parts is not None
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def peak_of(case: Case, room: int) -> int:
    reference, candidates = case.runs()
    tracemalloc.start()
    try:
        diagnose_all(reference, candidates, case.graph, room=room)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_batch() -> None:
    width, rows, room = 64, 2**12, 2**21
    layers = [
        dense("a", drawn(width, width), call(X), activation="relu"),
        dense("b", drawn(width, 8), call(TensorRef("a"))),
    ]
    graph = model([entry("x", width)], layers, TensorRef("b"))
    case = Case(graph, {"x": drawn(rows, width)}, {"a": nudged})
    tensor = 4 * rows * width  # bytes of the largest record: 1 MiB
    assert peak_of(case, room) < room + 8 * tensor
    assert peak_of(case, 2**40) > 3 * (room + 8 * tensor)
