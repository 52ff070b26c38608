from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from bittrue.comparison import Summary, accuracy, align, compare, compare_pairs
from bittrue.errors import ComparisonError
from bittrue.traces import Key, Kind, Record, Trace

from .traces import output, trace, watched

KINDS: tuple[Kind, ...] = ("input", "weight", "output", "mask", "state", "prediction")


def test_records_are_matched_by_key_and_not_by_position() -> None:
    found = compare(
        trace((output("a"), [1.0]), (output("b"), [2.0])), trace((output("b"), [2.0]), (output("a"), [1.5]))
    )
    assert [pair.key.layer for pair in found.pairs] == ["a", "b"]
    assert [pair.identical for pair in found.pairs] == [False, True]


def test_unmatched_records_are_reported_on_either_side() -> None:
    shared, second, other = output("a"), output("a", call=1), output("c")
    found = compare(trace((shared, [1.0]), (second, [1.0])), trace((other, [1.0]), (shared, [1.0])))
    assert (found.unmatched_reference, found.unmatched_candidate) == ((second,), (other,))
    assert not found.identical


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_compared(kind: Kind) -> None:
    key = Key(kind, "a", index=1)
    found = compare(trace((key, [1.0])), trace((key, [2.0])))
    assert [pair.key for pair in found.of_kind(kind)] == [key]
    assert found.summary(kind) == Summary(1, 0, 0, 1, 1, 1)


def test_shapes_and_types_that_do_not_match_are_the_pair_s_problem() -> None:
    reference = trace((output("a"), [[1.0]]), (output("b"), [1.0]), (output("c"), [1.0]))
    candidate = trace((output("a"), [1.0]), (output("b"), np.array([1])), (output("c"), [1.0]))
    found = compare(reference, candidate)
    assert [pair.problem for pair in found.pairs] == [
        "the reference has shape (1, 1), the candidate (1,)",
        "the reference is float32, the candidate int64",
        None,
    ]
    assert [pair.metrics is None for pair in found.pairs] == [True, True, False]
    assert found.problems == found.pairs[:2]
    assert found.summary() == Summary(pairs=3, identical=1, problems=2, elements=1)


def test_a_pair_that_cannot_be_compared_is_not_loaded() -> None:
    log: list[str] = []
    records = [watched(output("a"), np.zeros(n, np.float32), log, "a") for n in (1, 2)]
    provenance = trace().provenance
    compare(Trace.of(provenance, [records[0]]), Trace.of(provenance, [records[1]]))
    assert log == []


def test_one_pair_is_loaded_at_a_time() -> None:
    log: list[str] = []
    provenance = trace().provenance
    sides = [
        Trace.of(provenance, [watched(output(layer), np.zeros(1, np.float32), log, side + layer) for layer in "ab"])
        for side in "rc"
    ]
    pairs = compare_pairs(align(*sides))
    next(pairs)
    assert log == ["ra", "ca"]
    next(pairs)
    assert log == ["ra", "ca", "rb", "cb"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_mapped_tensors_are_read_by_blocks(tmp_path: Path, dtype: type) -> None:
    paths = [tmp_path / "reference.npy", tmp_path / "candidate.npy"]
    for path in paths:
        np.save(path, np.ones(4_000_000, dtype))
    sides = [Trace.of(trace().provenance, [_mapped(path, np.dtype(dtype))]) for path in paths]
    compare(*sides)  # compiles the kernel
    tracemalloc.start()
    try:
        compare(*sides)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8e6  # a tensor has 16 or 32 MB


def _mapped(path: Path, dtype: np.dtype[np.generic]) -> Record:
    return Record(output("a"), dtype, (4_000_000,), lambda: np.load(path, mmap_mode="r"))


def test_identical_needs_complete_runs() -> None:
    whole, cut = trace((output("a"), [1.0])), trace((output("a"), [1.0]), complete=False)
    assert compare(whole, whole).identical
    assert not compare(whole, cut).identical


def test_pairs_are_found_by_key() -> None:
    found = compare(trace((output("a"), [1.0])), trace((output("a"), [1.0])))
    assert found.by_key[output("a")] is found.pairs[0]


def test_comparing_nothing_is_an_error() -> None:
    with pytest.raises(ComparisonError, match="the reference and the candidate has no records"):
        compare(trace(), trace())
    with pytest.raises(ComparisonError, match="the candidate has no records"):
        compare(trace((output("a"), [1.0])), trace())


def test_having_nothing_in_common_is_an_error_that_names_both() -> None:
    with pytest.raises(ComparisonError, match=r"output:a:0:0.*output:b:0:0"):
        compare(trace((output("a"), [1.0])), trace((output("b"), [1.0])))


def test_accuracy_is_the_distance_from_the_truth_in_the_candidate_s_ulps() -> None:
    truth = trace((output("a"), np.array([1 + 2.0**-25])))
    found = accuracy(truth, trace((Key("input", "x"), [1.0]), (output("a"), [1.0])))
    (pair,) = found.pairs
    assert pair.metrics is not None
    assert (pair.metrics.max_ulp, pair.metrics.ulp_unit) == (0.25, "float32")
    assert found.unmatched_candidate == ()


def test_a_truth_is_float64() -> None:
    with pytest.raises(ComparisonError, match="output:a:0:0 of the truth is float32"):
        accuracy(trace((output("a"), [1.0])), trace((output("a"), [1.0])))
