"""One layer cut out of two runs: what is in the case, and random data in its place."""

from __future__ import annotations

import numpy as np
import pytest
from tests.diagnosis.runs import SIZE, chain, run, x_of
from tests.graph.graphs import call, entry, model

from bittrue.errors import UsageError
from bittrue.graph.evaluate import layer_truth
from bittrue.graph.model import LayerNode, TensorRef
from bittrue.reproducing import Case, case_of, redacted


def spoilt(name: str = "d2") -> Case:
    graph = chain()
    candidate = run(graph, x_of(), faults={"d2": lambda y: y * np.float32(1.1)})
    return case_of(run(graph, x_of()), candidate, graph, name)


def test_a_case_holds_what_the_candidate_was_given_and_returned() -> None:
    graph = chain()
    candidate = run(graph, x_of(), faults={"d2": lambda y: y * np.float32(1.1)})
    case = case_of(run(graph, x_of()), candidate, graph, "d2")
    outputs = {record.key.layer: record.load() for record in candidate.of_kind("output")}
    np.testing.assert_array_equal(case.inputs["input_0"], outputs["d1"])
    np.testing.assert_array_equal(case.outputs[0], outputs["d2"])
    assert case.outside(case.outputs) > SIZE


def test_the_layer_alone_computes_the_same() -> None:
    case = spoilt()
    alone = case.graph()
    (made,) = layer_truth(alone.layer("d2"), tuple(case.inputs.values()))
    np.testing.assert_array_equal(made, case.exact[0][0])
    assert [layer.name for layer in alone.layers] == ["input_0", "d2"]
    assert alone.inputs[0].shape == (None, SIZE)


def test_a_layer_that_is_right_has_nothing_outside() -> None:
    case = spoilt("d1")
    assert case.outside(case.outputs) == 0


def test_one_tensor_given_twice_is_one_input() -> None:
    both = LayerNode("l", "Add", "keras.layers", {"name": "l"}, (), (call([TensorRef("x"), TensorRef("x")]),))
    graph = model([entry("x", SIZE)], [both], TensorRef("l"))
    case = case_of(run(graph, x_of()), run(graph, x_of()), graph, "l")
    assert list(case.inputs) == ["input_0"]
    assert case.outside(case.outputs) == 0


@pytest.mark.parametrize("name", ["nobody", "d1#3"])
def test_a_layer_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no layer"):
        spoilt(name)


def test_redaction_keeps_shapes_and_magnitudes_and_nothing_else() -> None:
    case = spoilt()
    made = redacted(case, 1)
    for mine, theirs in zip(case.layer.weights, made.layer.weights, strict=True):
        assert mine.value.shape == theirs.value.shape
        assert not np.any(mine.value == theirs.value)
        assert 0.3 < theirs.value.std() / mine.value.std() < 3
    assert not np.any(made.inputs["input_0"] == case.inputs["input_0"])
