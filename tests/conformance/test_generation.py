"""The cases: nothing of Keras is left out without being said, and what is said comes from its signatures."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import Any

import pytest
from tests.conformance.cases import Case, Feed
from tests.conformance.generation import Campaign, add_layer, campaign, chosen
from tests.conformance.signatures import layer_names, options_of_layer
from tests.conformance.subjects import Subject
from tests.conformance.values import conflicts

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]


@pytest.fixture(scope="module")
def found() -> Campaign:
    return campaign()


def test_every_class_of_keras_layers_is_tried_or_said_to_be_left_out(found: Campaign) -> None:
    import keras

    tried = {case.subject for case in found.cases if case.kind == "layer"}
    for name, item in vars(keras.layers).items():
        if inspect.isclass(item):
            assert name in tried or name in found.absent or found.aliases[name] in tried | found.absent.keys(), name


def test_every_activation_is_tried_in_layers_and_as_a_function(found: Campaign) -> None:
    import keras

    hosts = Counter(case.options["activation"] for case in found.cases if case.options.keys() == {"activation"})
    functions = {case.subject for case in found.cases if case.kind == "function"}
    for name, item in vars(keras.activations).items():
        if inspect.isfunction(item) and name not in ("get", "serialize", "deserialize"):
            assert name in functions
            assert hosts[name] >= 3 or "threshold" in name


def test_options_that_change_the_numbers_have_two_values_each(found: Campaign) -> None:
    silent = {owner for owner, _ in found.gaps}
    classes, _ = layer_names()
    values: dict[tuple[str, str], set[str]] = {}
    for case in found.cases:
        if case.kind == "layer":
            given = {**case.required, **case.options}
            for option in options_of_layer(classes[case.subject]):
                value = given.get(option.name, option.default)
                values.setdefault((case.subject, option.name), set()).add(repr(value))
    single = {key for key, seen in values.items() if len(seen) < 2 and key not in found.inert and key[0] not in silent}
    assert {name for _, name in single} <= _REQUIRED_ALONE


_REQUIRED_ALONE = {
    *("units", "filters", "input_dim", "output_dim", "cell", "equation", "key_dim", "head_dim", "num_query_heads"),
    *(
        "output_shape",
        "vocabulary",
        "num_tokens",
        "sampling_rate",
        "sequence_stride",
        "fft_length",
        "min_freq",
        "layers",
        "num_bins",
    ),
    *("height_factor", "width_factor", "rate", "factor", "width", "height", "mean", "variance", "n", "dims"),
}
"""Sizes: they change the shape of what is computed and not how."""


def test_there_are_no_gaps(found: Campaign) -> None:
    assert found.gaps == []
    assert found.unknown == []


def test_there_are_enough_cases_each_once(found: Campaign) -> None:
    assert len(found.cases) >= 400
    assert len({case.key for case in found.cases}) == len(found.cases)


def test_the_same_cases_are_made_every_time(found: Campaign) -> None:
    assert [case.key for case in campaign.__wrapped__().cases] == [case.key for case in found.cases]


class _Novel:
    """A class with options that nobody has heard of."""

    def __init__(self, strength: float = 1.0, use_bias: bool = True, seed: int | None = None) -> None: ...

    def call(self, inputs: Any, softly: bool = False) -> Any: ...


def test_an_option_without_values_is_reported_as_a_gap() -> None:
    found = Campaign()
    add_layer(found, "Novel", _Novel, Subject())
    assert ("Novel", "strength") in found.gaps
    assert ("Novel", "seed") in found.inert


def test_an_argument_of_the_call_without_values_is_reported_as_a_gap() -> None:
    found = Campaign()
    add_layer(found, "Novel", _Novel, Subject())
    assert ("Novel", "call softly") in found.gaps


def test_options_are_read_off_the_signature() -> None:
    found = Campaign()
    add_layer(found, "Novel", _Novel, Subject())
    assert [option.name for option in options_of_layer(_Novel)] == ["strength", "use_bias", "seed"]
    assert {"use_bias": False} in [dict(case.options) for case in found.cases]


def test_every_pair_of_values_stands_in_some_row() -> None:
    values = {"a": (1, 2), "b": (1,), "c": (1, 2)}
    rows = list(chosen("Nothing", values))
    for first, second in (("a", "b"), ("a", "c"), ("b", "c")):
        for left in values[first]:
            for right in values[second]:
                assert any(row.get(first) == left and row.get(second) == right for row in rows)


def test_no_row_has_options_that_conflict(found: Campaign) -> None:
    for case in found.cases:
        if case.kind == "layer":
            assert not conflicts(case.subject, {**case.options, **case.call}), case.name


def test_a_name_says_what_is_unusual() -> None:
    case = Case("layer", "Dense", (Feed((7,)),), {"use_bias": False}, {}, {"units": 5})
    assert case.name == "Dense(units=5, use_bias=False)"
