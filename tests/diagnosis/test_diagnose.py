"""`diagnose`: whose fault a difference is, on traces alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from runs import SIZE, chain, provenance, run, x_of
from tests.graph.graphs import call, dense, entry, layer, model, nested

from bittrue.diagnosis import Verdict, diagnose, diagnose_all
from bittrue.graph.model import Graph, TensorRef
from bittrue.traces import Array, Check, Key, Record, Trace

X = TensorRef("x")


def nudged(y: Array) -> Array:
    """One ulp up, everywhere: a difference that rounding explains."""
    return np.nextafter(y, np.float32(np.inf))


def off(y: Array) -> Array:
    """One value a thousandth off: beyond what sixteen roundings can do."""
    y = y.copy()
    y[0, 3] += 1e-3 * np.abs(y).max()
    return y


def test_two_equal_runs_are_identical() -> None:
    found = diagnose(run(chain(), x_of(), "keras:tensorflow"), run(chain(), x_of()), chain())
    assert found.verdict == "identical"
    assert found.first_fault is None
    assert "every bit" in found.headline


def test_a_difference_of_one_ulp_is_rounding_and_nobodys_fault() -> None:
    found = diagnose(run(chain(), x_of()), run(chain(), x_of(), faults={"d1": nudged}), chain())
    assert [str(entry.verdict) for entry in found.entries] == ["identical", "rounding", "rounding", "rounding"]
    assert found.headline.startswith("No bug")


@pytest.mark.parametrize("side", ["reference", "candidate"])
def test_a_planted_error_is_found_at_its_layer_and_on_its_side(side: str) -> None:
    spoilt, clean = run(chain(), x_of(), faults={"d2": off}), run(chain(), x_of(), "keras:tensorflow")
    pair = (spoilt, clean) if side == "reference" else (clean, spoilt)
    found = diagnose(*pair, chain())
    assert found.verdict == Verdict.BUG
    assert [(entry.name, entry.side) for entry in found.faults] == [("d2", side)]
    worst = (found.faults[0].own_error if side == "candidate" else found.faults[0].reference_error).worst  # type: ignore[union-attr]
    assert worst is not None
    assert worst.index == (0, 3)


def test_all_faults_of_one_run_are_found_and_the_layers_between_are_not_blamed() -> None:
    found = diagnose(run(chain(6), x_of()), run(chain(6), x_of(), faults={"d1": off, "d4": off}), chain(6))
    assert [entry.name for entry in found.faults] == ["d1", "d4"]
    assert found.first_fault is not None
    assert found.first_fault.name == "d1"
    assert "'d1'" in found.headline
    assert "'d4'" in found.headline


def test_what_is_inherited_is_not_the_layers_own() -> None:
    found = diagnose(run(chain(), x_of()), run(chain(), x_of(), faults={"d0": off}), chain())
    after = found.layers["d1"]
    assert after.inherited is not None
    assert after.own_error is not None
    assert after.inherited.max_abs > 1000 * after.own_error.max_abs
    assert after.own_error.verdict <= Verdict.ROUNDING


def test_the_parts_add_up_to_the_difference() -> None:
    found = diagnose(run(chain(), x_of()), run(chain(), x_of(), faults={"d0": off, "d2": nudged}), chain())
    for at in found.entries:
        for output in at.outputs:
            assert output.closure <= 4


def test_amplification_is_the_ratio_of_root_mean_squares() -> None:
    kernel = np.diag(np.full(SIZE, 3.0)).astype(np.float32)
    graph = model(
        [entry("x", SIZE)], [dense("a", kernel, call(X)), dense("b", kernel, call(TensorRef("a")))], TensorRef("b")
    )
    found = diagnose(run(graph, x_of()), run(graph, x_of(), faults={"a": off}), graph).layers["b"].amplification
    assert found is not None
    assert found.absolute == pytest.approx(3, rel=1e-6)
    assert found.growth == pytest.approx(3, rel=1e-6)
    assert found.relative == pytest.approx(1, rel=1e-6)


def test_a_nan_is_blamed_where_it_is_born() -> None:
    def broken(y: Array) -> Array:
        return np.where(np.arange(y.size).reshape(y.shape) == 5, np.float32(np.nan), y)

    found = diagnose(run(chain(), x_of()), run(chain(), x_of(), faults={"d1": broken}), chain())
    assert found.layers["d1"].verdict == "non-finite"
    assert [entry.name for entry in found.faults] == ["d1"]


def test_inputs_that_differ_are_a_fault_before_any_layer() -> None:
    found = diagnose(run(chain(), x_of(0)), run(chain(), x_of(1)), chain())
    assert found.first_fault is not None
    assert found.first_fault.key == Key("input", "x")
    assert [entry.name for entry in found.faults] == ["x"]


def test_a_layer_whose_input_was_not_captured_has_no_truth_and_says_which() -> None:
    found = diagnose(run(chain(), x_of()), run(chain(), x_of(), faults={"d2": nudged}, without=("d1",)), chain())
    assert found.layers["d2"].verdict == "no truth"
    assert "output:d1:0:0" in (found.layers["d2"].reason or "")
    assert found.layers["d3"].verdict == "rounding"


def test_a_layer_without_an_expansion_has_no_truth_and_those_after_it_do() -> None:
    def custom(weights: Array) -> Graph:
        last = dense("after", weights, call(TensorRef("own")))
        return model([entry("x", SIZE)], [layer("own", "MyLayer", call(X)), last], TensorRef("after"))

    eye = np.eye(SIZE, dtype=np.float32)
    values = x_of()["x"]

    def traced(own: Array, after: Array) -> Trace:
        keys = (Key("input", "x"), Key("output", "own"), Key("output", "after"))
        return Trace.of(
            provenance("node:cpu"), [Record.of(key, y) for key, y in zip(keys, (values, own, after), strict=True)]
        )

    found = diagnose(traced(values, values), traced(values * 2, values * 2), custom(eye))
    assert found.layers["own"].verdict == "no truth"
    assert "MyLayer" in (found.layers["own"].reason or "")
    assert found.layers["after"].verdict == "rounding"
    assert not found.faults


def test_shared_layers_and_nested_models_are_told_apart_by_call_and_path() -> None:
    eye = np.eye(SIZE, dtype=np.float32)
    inner = model([entry("y", SIZE)], [dense("d", eye, call(TensorRef("y")))], TensorRef("d"))
    twice = nested("inner", inner, call(X), call(TensorRef("inner")))
    graph = model([entry("x", SIZE)], [twice], TensorRef("inner", 1))
    good = run(graph, x_of())
    spoilt = dict(good.records)
    key = Key("output", "inner/d", 1)
    for changed in (key, Key("output", "inner", 1)):
        spoilt[changed] = Record.of(changed, off(good[key].load()))
    found = diagnose(good, Trace(provenance("node:cpu"), spoilt), graph)
    assert [entry.name for entry in found.faults] == ["inner/d#1"]


def test_integers_and_tensors_without_elements_have_defined_results() -> None:
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    graph = model(
        [entry("x", 2, dtype="int32")],
        [
            layer(
                "e",
                "Embedding",
                call(X),
                config={"input_dim": 4, "output_dim": 3, "mask_zero": False},
                embeddings=table,
            )
        ],
        TensorRef("e"),
    )
    for rows in (0, 2):
        inputs = {"x": np.ones((rows, 2), np.int32)}
        found = diagnose(run(graph, inputs), run(graph, inputs, faults={"e": lambda y: y + np.float32(0)}), graph)
        assert found.verdict == "identical"
    wrong = diagnose(run(graph, inputs), run(graph, inputs, faults={"e": lambda y: y + np.float32(1)}), graph)
    assert [entry.name for entry in wrong.faults] == ["e"]


def test_several_targets_are_judged_in_one_pass() -> None:
    traces: dict[str, Any] = {
        "node:cpu": run(chain(), x_of(), "node:cpu"),
        "node:wasm": run(chain(), x_of(), "node:wasm", faults={"d3": off}),
    }
    found = diagnose_all(run(chain(), x_of(), "keras:tensorflow"), traces, chain())
    assert (found["node:cpu"].verdict, found["node:wasm"].verdict) == ("identical", "bug")


def test_a_rejected_kernel_feeds_the_verdict() -> None:
    check = Check("device", False, "the graphics device rejected a kernel")
    found = diagnose(run(chain(), x_of()), run(chain(), x_of(), "chrome:webgpu", checks=(check,)), chain())
    assert found.verdict == Verdict.SUSPICIOUS
    assert "rejected a kernel" in found.headline


def test_the_experiment_in_one_paragraph() -> None:
    graph = chain(8)

    def drifted(y: Array) -> Array:
        y = y.copy()
        y[:, ::2] = np.nextafter(y[:, ::2], np.float32(np.inf))
        return y

    faults = {f"d{at}": drifted for at in range(8)}
    found = diagnose(run(graph, x_of(), "keras:tensorflow"), run(graph, x_of(), "chrome:webgl", faults), graph)
    for words in (
        "No bug",
        "float32 rounding",
        "8 of 8",
        "because the values do",
        "throughout",
        "identical bits",
        "software",
    ):
        assert words.lower() in found.headline.lower()


def test_what_nothing_explains_comes_before_a_known_format() -> None:
    def half(y: Array) -> Array:
        return y.astype(np.float16).astype(np.float32)

    found = diagnose(run(chain(), x_of()), run(chain(), x_of(), faults={"d0": half, "d2": off}), chain())
    assert [entry.name for entry in found.faults] == ["d0", "d2"]
    assert found.first_fault is not None
    assert found.first_fault.name == "d2"


def test_a_fault_on_the_other_side_is_named_with_its_side() -> None:
    pair = run(chain(), x_of(), "keras:tensorflow", faults={"d3": off}), run(chain(), x_of(), faults={"d1": off})
    found = diagnose(*pair, chain())
    assert [(entry.name, entry.side) for entry in found.faults] == [("d1", "candidate"), ("d3", "reference")]
    assert "'d3' (bug in keras:tensorflow)" in found.headline
