"""The order in which Keras keeps the operations of a model, worked out from its connections alone."""

from __future__ import annotations

import pytest

from bittrue.graph.model import TensorRef
from bittrue.model.keras_facts import NeedsKeras
from bittrue.model.ordering import ordered


def test_operations_come_by_depth_and_then_as_they_are_met_from_the_outputs() -> None:
    parents = {
        ("in", 0): [],
        ("late", 0): [("in", 0)],
        ("early", 0): [("in", 0)],
        ("join", 0): [("early", 0), ("late", 0)],
    }
    assert ordered(parents, [TensorRef("in")], [TensorRef("join")]) == ["in", "early", "late", "join"]


def test_an_operation_called_twice_stands_at_its_farthest_call() -> None:
    parents = {("in", 0): [], ("a", 0): [("in", 0)], ("b", 0): [("a", 0)], ("a", 1): [("b", 0)]}
    assert ordered(parents, [TensorRef("in")], [TensorRef("a", 1)]) == ["in", "a", "b"]


def test_an_input_that_nothing_reads_is_kept_at_the_end() -> None:
    parents = {("in", 0): [], ("spare", 0): [], ("out", 0): [("in", 0)]}
    inputs = [TensorRef("spare"), TensorRef("in")]
    assert ordered(parents, inputs, [TensorRef("out")]) == ["in", "spare", "out"]


def test_ten_thousand_layers_in_a_row_need_no_recursion() -> None:
    parents = {("0", 0): []} | {(str(at), 0): [(str(at - 1), 0)] for at in range(1, 10_000)}
    assert ordered(parents, [TensorRef("0")], [TensorRef("9999")]) == [str(at) for at in range(10_000)]


@pytest.mark.parametrize(
    "parents",
    [
        {("in", 0): [], ("a", 0): [("b", 0)], ("b", 0): [("a", 0)]},  # a circle
        {("in", 0): [], ("a", 0): [("gone", 0)]},  # a layer that is not there
        {("in", 0): [], ("a", 0): [("in", 0)], ("b", 0): [("in", 0)]},  # a call that no output needs
    ],
)
def test_what_keras_would_refuse_or_drop_is_left_to_it(parents: dict[tuple[str, int], list[tuple[str, int]]]) -> None:
    with pytest.raises(NeedsKeras):
        ordered(parents, [TensorRef("in")], [TensorRef("a")])
