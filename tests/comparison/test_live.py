"""Measuring while records arrive says exactly what measuring afterwards does."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bittrue.comparison import Alignment, Comparison, LiveComparison, Pair, compare
from bittrue.errors import ComparisonError
from bittrue.traces import Array, Key, Record, Trace

from .traces import output, trace, watched

KEYS = st.builds(Key, st.sampled_from(["weight", "output"]), st.just("a"), st.integers(0, 1))
KINDS = st.sampled_from([((3,), "f4")] * 6 + [((3,), "f8"), ((3,), "i4"), ((3,), "?"), ((), "f4"), ((0,), "f4")])
TENSORS: st.SearchStrategy[Array] = KINDS.flatmap(lambda found: arrays.arrays(found[1], found[0]))
TRACES = st.dictionaries(KEYS, TENSORS, min_size=1).map(
    lambda table: Trace.of(trace().provenance, [Record.of(key, array) for key, array in table.items()])
)


def said(comparison: Comparison) -> str:
    """Everything that a comparison says; as text, in which NaN equals NaN."""
    facts = [_facts(pair) for pair in comparison.pairs]
    return repr((facts, comparison.unmatched_reference, comparison.unmatched_candidate, comparison.complete))


def _facts(pair: Pair) -> Any:
    names = ("average_difference", "mean_abs", "max_rel", "cosine", "snr_db", "median_ulp", "mean_ulp", "ulp_histogram")
    found = pair.metrics
    if found is None:
        return pair.key, pair.problem
    elements = [asdict(element) if element else None for element in (found.worst, found.worst_ulp)]
    return pair.key, found.counts, found.method, [getattr(found, name) for name in names], elements


@given(TRACES, TRACES, st.data())
def test_any_records_taken_in_any_order_change_nothing(reference: Trace, candidate: Trace, data: st.DataObject) -> None:
    live = LiveComparison(reference)
    for record in data.draw(st.lists(st.sampled_from(list(candidate)))):
        live.take(record)
    if not reference.records.keys() & candidate.records.keys():
        with pytest.raises(ComparisonError, match="nothing to compare"):
            live.finish(candidate)
    else:
        assert said(live.finish(candidate)) == said(compare(reference, candidate))


@pytest.mark.parametrize("size", [65536, 70_001, 300_000])
def test_large_tensors_with_special_values(size: int) -> None:
    random = np.random.default_rng(size)
    values = random.standard_normal((2, size)).astype(np.float32)
    values[0, random.integers(0, size, 50)] = random.choice(np.float32([np.nan, np.inf, -np.inf, -0.0]), 50)
    values[1, ::3] = values[0, ::3]
    reference, candidate = (trace((output("a"), row)) for row in values)
    live = LiveComparison(reference)
    live.take(candidate[output("a")])
    assert said(live.finish(candidate)) == said(compare(reference, candidate))


def test_what_was_taken_is_not_loaded_again() -> None:
    log: list[str] = []
    key = output("a")
    reference = trace((key, [1.0]))
    candidate = Trace.of(reference.provenance, [watched(key, np.float32([2.0]), log, "again")])
    live = LiveComparison(reference)
    live.take(Record.of(key, np.float32([2.0])))
    found = live.finish(candidate)
    assert log == []
    assert found.pairs[0].candidate is candidate[key]
    assert found.pairs[0].metrics is not None
    assert found.pairs[0].metrics.max_abs == 1.0


def test_a_renamed_partner_is_measured_for_itself() -> None:
    a, b = output("a"), output("b")
    reference, candidate = trace((a, [1.0]), (b, [2.0])), trace((a, [1.0]), (b, [5.0]))
    live = LiveComparison(reference)
    for record in candidate:
        live.take(record)
    crossed = Alignment(((reference[a], candidate[b]), (reference[b], candidate[a])), (), ())
    found = compare(reference, candidate, crossed, live.known)
    assert [pair.metrics and pair.metrics.max_abs for pair in found.pairs] == [4.0, 1.0]
