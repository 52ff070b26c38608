"""A model kept in Node: the same bits as a trace, and what happens when the process does not."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
from leftovers import survivors
from small import dense_chain

from bittrue.errors import InputError, TargetDied, UsageError
from bittrue.runtimes.base import TraceOptions
from bittrue.runtimes.node import NodeRuntime
from bittrue.runtimes.target import Target
from bittrue.runtimes.twin import Twin
from bittrue.traces import Key

pytestmark = [pytest.mark.browser, pytest.mark.needs("node")]
X = np.arange(28, dtype=np.float32).reshape(7, 4) / 4  # sums with whole numbers are exact


@pytest.fixture
def twin(tmp_path: Path, temporary: Path):
    artifact, graph = dense_chain(tmp_path / "artifact", 3, 4)
    with Twin(Target.parse("node:cpu"), artifact, graph) as made:
        yield made


def process(twin: Twin) -> psutil.Process:
    assert twin._worker is not None
    return psutil.Process(twin._worker._link._tree.process.pid)


def test_it_answers_what_a_trace_has(tmp_path: Path, twin: Twin):
    artifact, graph = dense_chain(tmp_path / "again", 3, 4)
    with NodeRuntime(Target.parse("node:cpu"), artifact, graph) as runtime:
        trace = runtime.trace({"x": X}, TraceOptions())
    expected = trace[Key("output", "d2")].load()
    assert twin.predict(X).tobytes() == expected.tobytes()


@pytest.mark.parametrize("batch_size", [1, 3, 7, 8, None])
def test_any_split_of_a_batch_gives_the_same_bits(twin: Twin, batch_size: int | None):
    assert np.array_equal(twin.predict(X, batch_size=batch_size), X + 3)


def test_inputs_by_name_in_a_list_or_alone(twin: Twin):
    for given in (X, {"x": X}, (X,)):
        assert np.array_equal(twin(given), X + 3)


def test_nan_and_infinities_are_passed_on(twin: Twin):
    x = np.array([[np.nan, np.inf, -np.inf, -0.0]], np.float32)
    assert np.isnan(twin.predict(x)).any()


def test_an_input_that_does_not_fit_leaves_it_alive(twin: Twin):
    before = process(twin).pid
    with pytest.raises(InputError, match=r"\(batch, 4\).*\(2, 5\)"):
        twin.predict(np.ones((2, 5), np.float32))
    with pytest.raises(UsageError, match="batch_size is 0"):
        twin.predict(X, batch_size=0)
    assert np.array_equal(twin.predict(X), X + 3)
    assert process(twin).pid == before


def test_a_crash_is_mended_by_a_fresh_process(twin: Twin):
    killed = process(twin)
    killed.kill()
    assert np.array_equal(twin.predict(X), X + 3)
    assert process(twin).pid != killed.pid


def test_a_second_crash_is_an_error_that_says_so(twin: Twin, monkeypatch: pytest.MonkeyPatch):
    start = twin._start

    def started_dead() -> object:
        worker = start()
        process(twin).kill()
        return worker

    monkeypatch.setattr(twin, "_start", started_dead)
    process(twin).kill()
    with pytest.raises(TargetDied, match="again in a fresh process"):
        twin.predict(X)


def test_a_silent_process_is_ended_and_replaced(twin: Twin):
    stuck = process(twin)
    stuck.suspend()
    with pytest.raises(TargetDied, match=r"no answer for 0\.5 s"):
        twin.predict(X, timeout=0.5)
    assert not stuck.is_running() or stuck.status() == psutil.STATUS_ZOMBIE
    assert np.array_equal(twin.predict(X), X + 3)


def test_threads_take_turns(twin: Twin):
    found: dict[int, np.ndarray] = {}

    def ask(number: int) -> None:
        for _ in range(5):
            found[number] = twin.predict(X + number, batch_size=2)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[number], X + number + 3) for number in range(4))


def test_nothing_is_left_after_close(twin: Twin, temporary: Path):
    twin.close()
    twin.close()
    assert survivors(temporary) == []
    with pytest.raises(UsageError, match="closed"):
        twin.predict(X)


@pytest.mark.parametrize(
    ("target", "said"), [("chrome:webgl", "no twin in Python"), ("keras:tensorflow", "wasm or cpu")]
)
def test_only_node_can_be_a_twin(target: str, said: str, tmp_path: Path):
    artifact, graph = dense_chain(tmp_path / "artifact", 1, 4)
    with pytest.raises(UsageError, match=said):
        Twin(Target.parse(target), artifact, graph)
