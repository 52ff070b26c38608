"""What the benchmark against the document's method counts, and what it says of its limits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import bench_document_method as bench

TIMINGS = {"loading": 9.0, "sending_weights": 5.0, "predicting": 2.0, "capturing": 1.0, "sending": 4.0}


@pytest.mark.parametrize(("heard", "send"), [(103.0, 5.0), (104.5, 4.0)])
def test_the_count_begins_at_the_earlier_of_what_was_heard_and_the_page_s_own_clock(heard: float, send: float) -> None:
    steps = bench._steps_of(TIMINGS, heard, arrived=111.0, end=111.5)
    assert steps == {"predict": 2.0, "capture": 1.0, "send": send, "finish": 0.5}


def result(total: float, **more: Any) -> dict[str, Any]:
    memory = {role: [2**30, 2**30] for role in ("page", "python", "browser")}
    return {"total": total, "predict": 1.0, "steps": {"predict": 1.0}, "memory": memory} | more


def test_the_section_says_what_a_bare_socket_of_the_same_run_took() -> None:
    processors = {"page": 0.25, "browser": 0.5, "python": 0.75}
    theirs, ours = result(21.0, characters=10), result(1.5, processors=processors)
    text = bench.section({"floats": 8}, theirs, ours, {"seconds": 0.4, "processors": processors})
    assert "a message a layer, took 0.40 s in the same runs" in text
    assert "page 0.25 s, browser's others 0.50 s, Python 0.75 s" in text
    assert "met: at least 40 times in everything that is not the prediction — measured 40.0" in text
