"""The benchmark of clean tensors: a batch is judged as its tensors are one by one, and counts are what was seen."""

from __future__ import annotations

from dataclasses import replace
from math import exp, isclose
from pathlib import Path

import numpy as np
import pytest
from benchmarks.clean_tensors import counting
from benchmarks.clean_tensors.arithmetic import FUNCTIONS, ORDERS, added, product
from benchmarks.clean_tensors.counting import Count, counted, run, upper_limit, write
from benchmarks.clean_tensors.judged import drawn, judged, one_by_one
from benchmarks.clean_tensors.kinds import KINDS
from benchmarks.clean_tensors.values import REPEATING

from bittrue.diagnosis import Verdict


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_judged_as_its_tensors_are_by_themselves(kind: str) -> None:
    seeds = ((7, seed) for seed in range(100))
    batch = next(b for seed in seeds if (b := drawn(seed, kind, at_most=12)).drawing.inputs not in REPEATING)
    assert batch.computed.output.dtype == np.float32
    together, alone = list(judged(batch)), list(one_by_one(batch))
    assert len(together) == len(batch)
    for found, wanted in zip(together, alone, strict=True):
        assert (found.verdict, found.size, found.outside) == (wanted.verdict, wanted.size, wanted.outside)
        assert isclose(found.expectation or 0, wanted.expectation or 0, rel_tol=1e-3, abs_tol=1e-6)
        assert isclose(found.limit, wanted.limit, rel_tol=1e-3)


def test_a_tensor_that_is_off_is_accused() -> None:
    batch = next(b for seed in range(100) if (b := drawn((7, seed), "dense", at_most=12)).drawing.inputs == "normal")
    off = replace(batch.computed, output=batch.computed.output * np.float32(1.001))
    verdicts = {found.verdict for found in judged(replace(batch, computed=off))}
    assert Verdict.BUG in verdicts


@pytest.mark.parametrize("order", [*ORDERS, "blas", "fused"])
def test_every_order_adds_up_everything_once(order: str) -> None:
    draw = np.random.default_rng(1)
    a, b = draw.integers(-50, 50, (3, 37)).astype(np.float32), draw.integers(-50, 50, (37, 5)).astype(np.float32)
    start = draw.integers(-50, 50, 5).astype(np.float32)
    np.testing.assert_array_equal(product(a, b, order, draw, start), a @ b + start)
    np.testing.assert_array_equal(added(a, order, draw), a.sum(axis=1))


def test_the_forms_of_a_function_agree() -> None:
    x = np.linspace(-4, 4, 33, dtype=np.float32)
    for name, forms in FUNCTIONS.items():
        for form in forms:
            np.testing.assert_allclose(form(x), forms[0](x), rtol=2e-5, atol=1e-6, err_msg=name)
            assert form(x).dtype == np.float32


@pytest.mark.parametrize("positives", [0, 1, 5])
def test_the_upper_limit_is_where_so_few_are_seen_once_in_twenty_times(positives: int) -> None:
    mean, below, term = upper_limit(positives, 1), 0.0, 1.0
    for at in range(positives + 1):
        below, term = below + term, term * mean / (at + 1)
    assert below * exp(-mean) == pytest.approx(0.05, rel=1e-6)
    assert upper_limit(0, 3_000_000) == pytest.approx(1e-6, rel=2e-3)


def test_a_campaign_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_BATCHES", 1)
    run(tmp_path, 3, 1, (1, 2))
    first = (tmp_path / "shard-1-of-2.jsonl").read_text(encoding="utf-8")
    run(tmp_path, 3, 1, (1, 2))
    assert (tmp_path / "shard-1-of-2.jsonl").read_text(encoding="utf-8") == first
    counts, days = counted(tmp_path, 3)
    assert not any(count.tensors for count in counted(tmp_path, 4)[0].values())
    assert sum(count.tensors for count in counts.values()) >= 1
    write((counts, days), tmp_path / "page.md")
    assert "the rule of three" in (tmp_path / "page.md").read_text(encoding="utf-8")


def test_counts_of_several_lines_add_up_and_keep_the_nearest() -> None:
    total = Count(10, 100, 0, 0, 5.0, 10.0, 0.3, "here")
    total.join(Count(5, 50, 1, 2, 1.0, 10.0, 0.5, "there", ["suspicious: there"]))
    assert (total.tensors, total.elements, total.suspicious, total.outside) == (15, 150, 1, 2)
    assert (total.where, total.share, total.bound_share, total.accused) == ("here", 0.5, 0.5, ["suspicious: there"])
