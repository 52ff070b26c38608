"""Layers of two models are matched by name, then by order and shape."""

from __future__ import annotations

import numpy as np
import pytest

from bittrue.comparison import align, align_models, compare
from bittrue.traces import Key, Kind, Provenance, Record, Trace

Shape = tuple[int, ...]


def trace(*layers: tuple[str, Shape], kind: Kind = "output", value: float = 1.0) -> Trace:
    records = [Record.of(Key(kind, name), np.full(shape, value, np.float32)) for name, shape in layers]
    return Trace.of(Provenance("node:cpu", "tfjs", "cpu", "1"), records)


def together(*traces: Trace) -> Trace:
    return Trace.of(traces[0].provenance, [record for one in traces for record in one])


def names(left: Trace, right: Trace) -> list[tuple[str, str]]:
    return [(one.key.layer, other.key.layer) for one, other in align_models(left, right).matched]


A, B, C = (1, 4), (1, 5), (1, 6)

CASES = {
    "the same names": ([("a", A), ("b", B)], [("a", A), ("b", B)], [("a", "a"), ("b", "b")]),
    "the same names in another order": ([("a", A), ("b", A)], [("b", A), ("a", A)], [("a", "a"), ("b", "b")]),
    "other names": ([("a", A), ("b", B)], [("x", A), ("y", B)], [("a", "x"), ("b", "y")]),
    "some other names": (
        [("a", A), ("b", A), ("c", A)],
        [("a", A), ("x", A), ("c", A)],
        [("a", "a"), ("b", "x"), ("c", "c")],
    ),
    "numbered from another number": (
        [("d", A), ("d_1", A), ("d_2", B)],
        [("d_1", A), ("d_2", A), ("d_3", B)],
        [("d", "d_1"), ("d_1", "d_2"), ("d_2", "d_3")],
    ),
    "one layer more": ([("a", A), ("b", B)], [("x", A), ("drop", C), ("y", B)], [("a", "x"), ("b", "y")]),
    "one layer less": ([("a", A), ("n", A), ("b", B)], [("a", A), ("y", B)], [("a", "a"), ("b", "y")]),
    "one name, other shapes": ([("a", A), ("b", B)], [("b", A), ("x", B)], [("a", "b"), ("b", "x")]),
    "a name left over, other shapes": ([("a", A), ("b", B)], [("a", A), ("b", C)], [("a", "a"), ("b", "b")]),
}


@pytest.mark.parametrize(("left", "right", "expected"), CASES.values(), ids=CASES)
def test_outputs(left: list, right: list, expected: list[tuple[str, str]]) -> None:
    assert names(trace(*left), trace(*right)) == expected


def test_nothing_is_matched_twice_and_the_rest_is_told() -> None:
    found = align_models(trace(("a", A), ("b", A), ("c", B)), trace(("x", A), ("y", C)))
    assert [(left.key.layer, right.key.layer) for left, right in found.matched] == [("a", "x")]
    assert [key.layer for key in found.unmatched_reference] == ["b", "c"]
    assert [key.layer for key in found.unmatched_candidate] == ["y"]


def test_weights_go_with_their_layers() -> None:
    left = together(trace(("a", A), ("b", B), kind="weight"), trace(("a", (1, 2)), ("b", (1, 3))))
    right = together(trace(("x", A), ("a", B), kind="weight"), trace(("x", (1, 2)), ("a", (1, 3))))
    pairs = {(str(one.key), str(other.key)) for one, other in align_models(left, right).matched}
    assert {("weight:a:0:0", "weight:x:0:0"), ("weight:b:0:0", "weight:a:0:0")} < pairs


def test_inputs_are_matched_though_their_names_differ() -> None:
    left, right = together(trace(("i", A), kind="input"), trace(("a", B))), trace(("j", A), kind="input")
    assert names(left, together(right, trace(("a", B)))) == [("i", "j"), ("a", "a")]


def test_what_has_another_name_is_said() -> None:
    found = align_models(trace(("a", A), ("b", B)), trace(("a", A), ("y", B)))
    assert found.renamed == ((Key("output", "b"), Key("output", "y")),)
    assert align(trace(("a", A)), trace(("a", A))).renamed == ()


def test_a_comparison_follows_its_alignment() -> None:
    left, right = trace(("a", A), value=1.0), trace(("x", A), value=1.5)
    (pair,) = compare(left, right, align_models(left, right)).pairs
    assert (pair.key.layer, pair.candidate.key.layer) == ("a", "x")
    assert pair.metrics is not None
    assert pair.metrics.max_abs == 0.5
