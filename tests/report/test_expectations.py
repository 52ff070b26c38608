"""What is allowed and what is not: limits on verdicts, bounds, known deviations and their end."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from tests.report.results import absent, doubled, one_up, result

from bittrue.diagnosis import Verdict
from bittrue.report.expectations import Deviation, Expectations, Tolerance, calls_of, judge

TODAY = date(2030, 6, 15)
ROUNDED = result({"node:wasm": {"d1": one_up}})
WRONG = result({"node:wasm": {"d1": doubled}, "chrome:webgl": {}})


def layers(data, expected):
    return [(found.target, found.layer) for found in judge(data, expected, TODAY).violations]


def known(day: date, at_most: Verdict = Verdict.BUG, layer: str = "d1") -> Deviation:
    return Deviation(Tolerance((layer,), at_most=at_most), "we know", day)


def test_the_verdict_of_every_call_is_there_in_order():
    calls = calls_of(WRONG, WRONG.targets[0])
    assert [call.name for call in calls] == ["d0", "d1", "d2", "d3"]
    assert calls[1].verdict == Verdict.BUG
    assert calls[0].verdict == Verdict.IDENTICAL


def test_a_limit_lets_pass_what_is_at_most_it():
    assert layers(ROUNDED, Expectations(Verdict.ROUNDING)) == []
    assert ("node:wasm", "d1") in layers(ROUNDED, Expectations(Verdict.IDENTICAL))
    assert layers(WRONG, Expectations(Verdict.SUSPICIOUS)) == [("node:wasm", "d1")]
    assert layers(WRONG, Expectations(Verdict.BUG)) == []


def test_nothing_known_is_more_than_rounding():
    data = result({"node:wasm": {"d1": one_up}}, explain=False)
    assert ("node:wasm", "d1") in layers(data, Expectations(Verdict.ROUNDING))
    assert layers(data, Expectations(Verdict.NO_TRUTH)) == []


def test_the_last_tolerance_that_fits_holds_and_others_are_left_alone():
    lenient = Tolerance(("d*",), at_most=Verdict.BUG)
    strict = Tolerance(("d1",), ("node:*",), at_most=Verdict.ROUNDING)
    assert layers(WRONG, Expectations(Verdict.ROUNDING, (lenient, strict))) == [("node:wasm", "d1")]
    assert layers(WRONG, Expectations(Verdict.ROUNDING, (strict, lenient))) == []


@pytest.mark.parametrize("name", ["absolute", "relative", "ulp"])
def test_a_bound_is_held_to_the_largest_difference(name: str):
    metrics = ROUNDED.rows(ROUNDED.targets[0])[1].pair.metrics
    assert metrics is not None
    largest = {"absolute": metrics.max_abs, "relative": metrics.max_abs_to_scale, "ulp": metrics.max_ulp}[name]
    inside, outside = (Tolerance(("d1",), **{name: largest * factor}) for factor in (1.0, 0.99))
    assert layers(ROUNDED, Expectations(Verdict.ROUNDING, (inside,))) == []
    assert layers(ROUNDED, Expectations(Verdict.ROUNDING, (outside,))) == [("node:wasm", "d1")]


def test_a_bound_without_a_verdict_replaces_the_verdict():
    bound = Tolerance(("d*",), relative=10.0)
    assert layers(WRONG, Expectations(Verdict.ROUNDING, (bound,))) == []


def test_a_nan_on_one_side_is_outside_of_every_bound():
    data = result({"node:wasm": {"d3": lambda y: np.full_like(y, np.nan)}})
    assert layers(data, Expectations(Verdict.ROUNDING, (Tolerance(("d3",), absolute=1e9),))) == [("node:wasm", "d3")]


def test_a_known_deviation_excuses_until_its_day_is_over():
    judged = judge(WRONG, Expectations(Verdict.ROUNDING, (), (known(TODAY),)), TODAY)
    assert judged.passed
    assert [found.layer for found, _ in judged.excused] == ["d1"]


def test_an_expired_deviation_fails_and_says_so():
    judged = judge(WRONG, Expectations(Verdict.ROUNDING, (), (known(date(2030, 6, 14)),)), TODAY)
    assert [found.layer for found in judged.violations] == ["d1", None]
    assert "expired on 2030-06-14" in str(judged.violations[1])
    assert "we know" in str(judged.violations[1])


def test_an_expired_deviation_of_what_is_fixed_fails_too_and_one_of_another_model_does_not():
    gone, other = known(date(2030, 1, 1), layer="d0"), known(date(2030, 1, 1), layer="gelu")
    judged = judge(ROUNDED, Expectations(Verdict.ROUNDING, (), (gone, other)), TODAY)
    assert [str(found) for found in judged.violations] == [
        "settings: the known deviation of d0 expired on 2030-01-01 and the layer no longer deviates: remove it; "
        "its reason was: we know"
    ]


def test_a_deviation_does_not_excuse_what_is_worse_than_it():
    expected = Expectations(Verdict.ROUNDING, (), (known(TODAY, Verdict.SUSPICIOUS),))
    assert layers(WRONG, expected) == [("node:wasm", "d1")]


def test_a_deviation_that_is_gone_is_noted():
    (note,) = judge(ROUNDED, Expectations(Verdict.ROUNDING, (), (known(TODAY),)), TODAY).notes
    assert "d1 (we know) is no longer there" in note


def test_every_bit_may_be_asked_for():
    assert layers(ROUNDED, Expectations(Verdict.BUG, bits=True)) == [("node:wasm", None)]
    assert layers(result(), Expectations(Verdict.BUG, bits=True)) == []


def test_targets_that_did_not_run_are_left_to_the_caller():
    assert layers(result(others=(absent("firefox:cpu"),)), Expectations(Verdict.IDENTICAL)) == []
