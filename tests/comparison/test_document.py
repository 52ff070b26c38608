"""The lines against the document's own Python, run on the same numbers as they come out of JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from bittrue.comparison import (
    Published,
    compare,
    document_lines,
    match_published,
    printed_lines,
    published_lines,
    published_table,
)
from bittrue.traces import Array, Key, Trace

from .traces import output, trace


def compare_vals(key: str, a: Any, b: Any) -> list[str]:
    """As the document prints it."""
    return [
        "{}[{}]: different values = {}, average difference = {}".format(  # noqa: UP032
            key, i, np.sum(a[i] != b[i]), np.sum(np.abs(a[i] - b[i])) / np.size(a[i])
        )
        for i in range(len(a))
    ]


def model(seed: int, batch: int = 1) -> dict[str, Any]:
    random = np.random.default_rng(seed)

    def tensor(*shape: int) -> Array:
        return (np.round(random.standard_normal(shape) * 64) / 64 * np.float32(1.1)).astype(np.float32)

    return {
        f"dense_{i}{what}": value
        for i in range(3)
        for what, value in (("_weights", [tensor(5, 30), tensor(30)]), ("_output", tensor(batch, 30)))
    }


def as_trace(values: dict[str, Any]) -> Trace:
    """Outputs first, as runtimes may send them."""
    outputs = [(output(key[:-7]), value) for key, value in values.items() if key.endswith("_output")]
    weights = [
        (Key("weight", key[:-8], 0, i), value)
        for key, values_ in values.items()
        if key.endswith("_weights")
        for i, value in reversed(list(enumerate(values_)))
    ]
    return trace((Key("input", "input"), np.ones((1, 5))), (output("input"), np.ones((1, 5))), *outputs, *weights)


def check(batch: int) -> None:
    keras, other = model(1, batch), model(2, batch)
    plain = {key: [a.tolist() for a in value] for key, value in other.items()}
    tfjs = json.loads(json.dumps(plain))
    expected = [line for key in keras for line in compare_vals(key, keras[key], tfjs[key])]
    assert list(document_lines(compare(as_trace(keras), as_trace(other)))) == expected


def test_the_lines_are_the_document_s() -> None:
    check(batch=1)


def test_a_batch_has_a_line_for_each_example() -> None:
    check(batch=3)


def test_special_values_print_as_numpy_prints_them() -> None:
    found = compare(
        trace((output("a"), [[np.nan]]), (output("b"), [[1]])), trace((output("a"), [[1]]), (output("b"), [[np.inf]]))
    )
    assert list(document_lines(found)) == [
        "a_output[0]: different values = 1, average difference = nan",
        "b_output[0]: different values = 1, average difference = inf",
    ]


def test_further_calls_and_outputs_have_names_of_their_own() -> None:
    same = trace(*((output("a", call, index), [[1.0]]) for call in (0, 1) for index in (0, 1)))
    names = [line.partition("[")[0] for line in document_lines(compare(same, same))]
    assert names == ["a_output", "a:0.1_output", "a:1.0_output", "a:1.1_output"]


def test_what_cannot_be_compared_has_no_line() -> None:
    found = compare(trace((output("a"), [[1.0]])), trace((output("a"), [1.0])))
    assert list(document_lines(found)) == []


def test_the_published_table() -> None:
    lines = printed_lines()
    assert len(lines) == 30
    assert lines[11] == "dense_3_output[0]: different values = 38, average difference = 5.3539276123046876e-05"
    for line in published_table()["lines"]:
        assert repr(line["average_difference"]) == line["printed"]


def test_lines_match_only_character_by_character() -> None:
    lines = list(printed_lines())
    assert match_published(lines) == 30
    lines[29] = lines[29].replace("0.42203125", "0.422031250")
    assert match_published(reversed(lines)) == 29
    assert match_published([]) == 0


def test_published_lines_of_a_comparison() -> None:
    weights = [(Key("weight", f"dense_{layer}", 0, i), [1.0]) for layer in range(10) for i in (0, 1)]
    same = trace(*weights)
    assert published_lines(compare(same, same)) == Published(lines=30, matched=20)
