"""A sample of the campaign's cases against Keras in float64; the whole is `scripts/conformance.py --float64`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.conformance import in_float64
from tests.conformance.cases import Case, Feed
from tests.conformance.generation import campaign
from tests.conformance.in_float64 import EPSILON, compared, keras_in_float64

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]

_EVERY = 9  # of the classes and functions in the order of their names
DENSE = Case("layer", "Dense", (Feed((7,)),), {}, {}, {"units": 6})


def test_the_exact_answer_is_what_keras_computes_where_it_computes_in_float64() -> None:
    first: dict[tuple[str, str], Case] = {}
    for case in campaign().cases:
        first.setdefault((case.kind, case.subject), case)
    found = [compared(case) for case in list(first.values())[::_EVERY]]
    assert [item.case.name for item in found if item.state == "wrong"] == []
    assert sum(item.state == "float64" for item in found) >= 0.8 * len(found)


def test_layers_of_every_family_agree_to_the_rounding_of_float64() -> None:
    image, steps = (Feed((6, 6, 3)),), (Feed((5, 4)),)
    for case in (
        DENSE,
        Case("layer", "Conv2D", image, {}, {}, {"filters": 4, "kernel_size": 3}),
        Case("layer", "BatchNormalization", image),
        Case("layer", "LayerNormalization", image),
        Case("layer", "LSTM", steps, {}, {}, {"units": 3}),
        Case("layer", "GRU", steps, {}, {}, {"units": 3}),
    ):
        found = compared(case)
        assert found.state == "float64", case.name
        assert found.relative < 100 * EPSILON


def test_a_formula_that_is_slightly_another_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = in_float64.bounded

    def other(*given: object) -> object:
        return [(exact * (1 + 1e-9), bound) for exact, bound in right(*given)]  # type: ignore[arg-type]

    monkeypatch.setattr(in_float64, "bounded", other)
    assert compared(DENSE).state == "float32"  # a millionth part of what float32 could tell
    monkeypatch.setattr(in_float64, "bounded", lambda *given: [(e * 1.001, b) for e, b in right(*given)])
    assert compared(DENSE).state == "wrong"


def test_a_number_of_the_configuration_is_rounded_to_float32_by_keras() -> None:
    found = compared(Case("layer", "Rescaling", (Feed((3,)),), {"scale": 0.1}))
    assert found.state == "float32"
    assert 2.0**-30 < found.relative < 2.0**-23


def test_what_keras_refuses_and_what_has_no_exact_answer_is_said() -> None:
    assert compared(replace(DENSE, options={"activation": "no such thing"})).state == "illegal"


def test_keras_is_left_as_it_was() -> None:
    import keras

    before = keras.config.floatx(), keras.config.dtype_policy().name
    with keras_in_float64():
        assert keras.layers.Dense(2).compute_dtype == "float64"
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == before
    assert np.asarray(keras.layers.Dense(2)(np.ones((1, 3), np.float32))).dtype == np.float32
