"""`evaluate`: the float64 answer for whole models."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import call, dense, entry, layer, model, nested

from bittrue.errors import InputError, ModelError
from bittrue.graph.model import Graph, LayerCall, TensorRef
from bittrue.graph.specs import infer_specs
from bittrue.graph.traversal import traverse
from bittrue.graph.truth import evaluate
from bittrue.tracefile import read_trace
from bittrue.traces import Array, Key, Trace

X = TensorRef("x")
KERNEL = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
ONES = np.ones((1, 2), np.float32)


def output(trace: Trace, name: str, call: int = 0) -> Array:
    return trace[Key("output", name, call)].load()


def test_a_chain_is_evaluated_in_float64() -> None:
    third = np.array([[1 / 3], [1 / 3]], np.float32)
    graph = model([entry("x", 2)], [dense("d", third, call(X))], TensorRef("d"))
    trace = evaluate(graph, {"x": np.array([[1.0, 1e-8]], np.float32)})
    exact = float(np.float32(1 / 3)) * (1.0 + float(np.float32(1e-8)))
    assert output(trace, "d").dtype == np.float64
    assert output(trace, "d")[0, 0] == pytest.approx(exact, rel=1e-16)


def test_the_trace_says_where_it_comes_from_and_holds_inputs_as_fed() -> None:
    graph = model([entry("x", 2)], [dense("d", KERNEL, call(X))], TensorRef("d"))
    trace = evaluate(graph, {"x": ONES})
    provenance = trace.provenance
    assert (provenance.target, provenance.runtime, provenance.backend) == ("truth", "bittrue", "float64")
    assert [str(record.key) for record in trace] == ["input:x:0:0", "output:x:0:0", "output:d:0:0"]
    assert trace[Key("input", "x")].dtype == np.float32


def test_a_shared_layer_is_recorded_once_a_call() -> None:
    shared = dense("d", KERNEL, call(X), call(TensorRef("d")))
    trace = evaluate(model([entry("x", 2)], [shared], TensorRef("d", 1)), {"x": ONES})
    np.testing.assert_array_equal(output(trace, "d", 0), [[4, 6]])
    np.testing.assert_array_equal(output(trace, "d", 1), [[22, 32]])


def test_calls_of_shared_layers_may_wait_for_later_layers() -> None:
    first = dense("a", KERNEL, call(X), call(TensorRef("b")))
    graph = model([entry("x", 2)], [first, layer("b", "Identity", call(TensorRef("a")))], TensorRef("a", 1))
    np.testing.assert_array_equal(output(evaluate(graph, {"x": ONES}), "a", 1), [[22, 32]])


def test_a_tensor_stays_until_its_last_reader() -> None:
    layers = [
        dense("a", KERNEL, call(X)),
        dense("b", KERNEL, call(TensorRef("a"))),
        layer("sum", "Add", call([TensorRef("a"), TensorRef("b"), X])),
    ]
    trace = evaluate(model([entry("x", 2)], layers, TensorRef("sum")), {"x": ONES})
    np.testing.assert_array_equal(output(trace, "sum"), [[4 + 22 + 1, 6 + 32 + 1]])


class Counting:
    """A visitor that counts how many tensors are alive, each a list of one number."""

    def __init__(self) -> None:
        self.made_so_far: list[weakref.ref[Any]] = []
        self.most = 0

    def visit(self, call: LayerCall, operands: Sequence[Any]) -> list[Any]:
        return [np.zeros(1)]

    def entered(self, call: LayerCall, operands: Sequence[Any], masks: Sequence[Any]) -> Sequence[Any]:
        return operands

    def missing(self, call: LayerCall, operands: Sequence[Any]) -> Any:
        raise AssertionError("nothing is missing here")

    def made(self, call: LayerCall, results: Sequence[Any]) -> None:
        self.made_so_far += [weakref.ref(result) for result in results]
        self.most = max(self.most, sum(ref() is not None for ref in self.made_so_far))


def test_a_chain_of_any_length_keeps_few_tensors() -> None:
    names = ["x", *(f"d{at}" for at in range(50))]
    chain = [dense(name, KERNEL, call(TensorRef(before))) for before, name in itertools.pairwise(names)]
    visitor = Counting()
    traverse(model([entry("x", 2)], chain, TensorRef("d49")), [np.zeros(1)], visitor)
    assert len(visitor.made_so_far) == 51
    assert visitor.most <= 4


def two_calls_of_a_nested_model() -> Graph:
    inner = model([entry("i", 2)], [dense("d", KERNEL, call(TensorRef("i")))], TensorRef("d"))
    return model([entry("x", 2)], [nested("n", inner, call(X), call(TensorRef("n")))], TensorRef("n", 1))


def test_nested_models_are_entered_once_a_call() -> None:
    graph = two_calls_of_a_nested_model()
    trace = evaluate(graph, {"x": ONES})
    np.testing.assert_array_equal(output(trace, "n/d", 1), [[22, 32]])
    np.testing.assert_array_equal(output(trace, "n", 1), [[22, 32]])
    expected = {Key("output", found.name, found.call) for found in graph.calls()}
    assert {record.key for record in trace.of_kind("output")} == expected


def test_layers_that_cannot_be_expressed_and_what_hangs_on_them_have_no_truth() -> None:
    layers = [
        dense("before", KERNEL, call(X)),
        layer("odd", "Mystery", call(TensorRef("before"))),
        dense("after", KERNEL, call(TensorRef("odd"))),
        layer("last", "Identity", call(TensorRef("after"))),
    ]
    trace = evaluate(model([entry("x", 2)], layers, TensorRef("last")), {"x": ONES})
    assert [record.key.layer for record in trace.of_kind("output")] == ["x", "before"]
    reasons = trace.provenance.details["no_truth"]
    assert list(reasons) == ["odd", "after", "last"]
    assert "Mystery" in reasons["odd"]
    assert reasons["last"] == reasons["after"] == "it depends on 'odd', which has none"


@pytest.mark.parametrize("masked", [True, False])
def test_a_layer_that_computes_with_the_mask_of_the_model_around_it_has_no_truth(masked: bool) -> None:
    pool = layer("p", "GlobalAveragePooling1D", call(TensorRef("i")))
    inner = model([entry("h", 3, 1)], [layer("i", "Identity", call(TensorRef("h"))), pool], TensorRef("p"))
    named = {"mask": TensorRef("m")} if masked else {}
    graph = model(
        [entry("x", 3, 1), entry("m", 3, dtype="bool")], [nested("n", inner, call(X, **named))], TensorRef("n")
    )
    feeds = {"x": np.ones((1, 3, 1), np.float32), "m": np.array([[True, True, False]])}
    trace = evaluate(graph, feeds)
    assert (Key("output", "n/p") in trace.records) is not masked
    assert ("n/p" in trace.provenance.details["no_truth"]) is masked


def test_a_mask_that_a_call_names_is_computed_with() -> None:
    pool = layer("p", "GlobalAveragePooling1D", call(X, mask=TensorRef("m")))
    graph = model([entry("x", 3, 1), entry("m", 3, dtype="bool")], [pool], TensorRef("p"))
    feeds = {"x": np.array([[[1.0], [3.0], [100.0]]], np.float32), "m": np.array([[True, True, False]])}
    np.testing.assert_array_equal(output(evaluate(graph, feeds), "p"), [[2.0]])


def test_it_is_saved_as_it_goes(tmp_path: Path) -> None:
    graph = model([entry("x", 2)], [dense("d", KERNEL, call(X))], TensorRef("d"))
    trace = evaluate(graph, {"x": ONES}, save=tmp_path / "truth.safetensors")
    again = read_trace(tmp_path / "truth.safetensors")
    np.testing.assert_array_equal(output(again, "d"), output(trace, "d"))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [({}, "inputs are 'x'"), ({"y": ONES}, "but 'y' were"), ({"x": np.ones((1, 3), np.float32)}, r"shape \(1, 3\)")],
)
def test_inputs_that_do_not_fit_are_refused(inputs: dict[str, Array], message: str) -> None:
    graph = model([entry("x", 2)], [dense("d", KERNEL, call(X))], TensorRef("d"))
    with pytest.raises(InputError, match=message):
        evaluate(graph, inputs)


def test_inputs_are_cast_to_what_the_model_takes() -> None:
    graph = model([entry("x", 2)], [layer("i", "Identity", call(X))], TensorRef("i"))
    trace = evaluate(graph, {"x": np.array([[0.1, 1.0]])})
    assert output(trace, "i")[0, 0] == float(np.float32(0.1))


def test_a_model_that_is_not_connected_is_an_error() -> None:
    graph = model([entry("x", 2)], [dense("d", KERNEL, call(TensorRef("nobody")))], TensorRef("d"))
    with pytest.raises(ModelError, match="waits for what nobody makes"):
        evaluate(graph, {"x": ONES})


def test_specs_agree_with_what_is_evaluated() -> None:
    graph = two_calls_of_a_nested_model()
    specs = infer_specs(graph)
    trace = evaluate(graph, {"x": np.ones((5, 2), np.float32)})
    assert set(specs) == {record.key for record in trace.of_kind("output")}
    assert {spec.shape for spec in specs.values()} == {(None, 2)}
    assert {spec.dtype for spec in specs.values()} == {np.dtype(np.float32)}


def test_specs_leave_out_what_is_not_known() -> None:
    layers = [layer("odd", "Mystery", call(X)), dense("d", KERNEL, call(TensorRef("odd")))]
    assert set(infer_specs(model([entry("x", 2)], layers, TensorRef("d")), batch=1)) == {Key("output", "x")}
