"""Real browsers: what comes back is right, and nothing of them is left whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from leftovers import survivors
from small import dense_chain, write

from bittrue.errors import ArtifactError, BittrueError, TargetDied, TargetUnavailable
from bittrue.runtimes import host as host_module
from bittrue.runtimes.base import NullProgress, Progress, TraceOptions
from bittrue.runtimes.host import Host
from bittrue.runtimes.target import Target
from bittrue.tracefile import read_trace
from bittrue.traces import Key, Trace

pytestmark = [pytest.mark.browser, pytest.mark.needs("chrome")]
X = np.array([[0.0, 1.0, -2.0, 3.0]], np.float32)
MANY = np.zeros((2**19, 4), np.float32)  # 8 MiB a layer, twelve of which no queue on the way can hold


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """One host for all tests that do not break it."""
    with Host() as host:
        yield host


def run(host: Host, target: str, folder: Path, x: np.ndarray = X, depth: int = 3, **options: object) -> Trace:
    artifact, graph = dense_chain(folder / "artifact", depth, x.shape[1])
    with host.runtime(Target.parse(target), artifact, graph) as runtime:
        return runtime.trace({"x": x}, TraceOptions(**options))  # type: ignore[arg-type]


def assert_right(trace: Trace, x: np.ndarray, depth: int = 3) -> None:
    """d<n> is x + n + 1, whatever the order of additions."""
    assert trace.complete
    for number in range(depth):
        assert np.array_equal(trace[Key("output", f"d{number}")].load(), x + number + 1)
        assert np.array_equal(trace[Key("weight", f"d{number}", 0, 1)].load(), np.ones(x.shape[1], np.float32))
    assert np.array_equal(trace[Key("prediction", f"d{depth - 1}")].load(), x + depth)
    assert np.array_equal(trace[Key("input", "x")].load(), x)


@pytest.mark.parametrize("backend", ["cpu", "wasm", "webgl", "webgpu"])
def test_every_backend_of_chrome(host: Host, tmp_path: Path, backend: str):
    trace = run(host, f"chrome:{backend}", tmp_path)
    assert_right(trace, X)
    made = trace.provenance
    assert (made.target, made.backend, made.version) == (f"chrome:{backend}", backend, "4.22.0")
    assert made.details["browser_version"].split(".")[0] in made.details["user_agent"]
    assert (made.adapter is not None) == backend.startswith("web")
    assert all(check.passed for check in trace.checks), trace.checks


@pytest.mark.needs("firefox")
@pytest.mark.parametrize("backend", ["cpu", "wasm", "webgl"])
def test_every_backend_of_firefox(host: Host, tmp_path: Path, backend: str):
    try:
        trace = run(host, f"firefox:{backend}", tmp_path)
    except TargetUnavailable as error:
        assert backend == "webgl"
        pytest.skip(f"declared absent: {error}")
    assert_right(trace, X)
    assert trace.provenance.backend == backend


def test_targets_of_one_engine_share_one_browser(host: Host, tmp_path: Path):
    before = host.tab(Target.parse("chrome:cpu"))
    run(host, "chrome:wasm", tmp_path)
    assert host.tab(Target.parse("chrome:webgl")) is before


def test_wasm_runs_with_threads_where_the_page_is_isolated(host: Host, tmp_path: Path):
    details = run(host, "chrome:wasm", tmp_path).provenance.details
    assert details["cross_origin_isolated"] is True


def test_flags_reach_the_runtime(host: Host, tmp_path: Path):
    made = run(host, "chrome:webgl+WEBGL_FORCE_F16_TEXTURES=true", tmp_path, depth=1).provenance
    assert made.details["flags"]["WEBGL_FORCE_F16_TEXTURES"] is True


def test_an_artifact_that_changed_on_the_way_is_refused(host: Host, tmp_path: Path):
    artifact, graph = dense_chain(tmp_path / "artifact")
    (tmp_path / "artifact" / "w.bin").write_bytes(bytes((tmp_path / "artifact" / "w.bin").stat().st_size))
    with (
        pytest.raises(ArtifactError, match=r"chrome:cpu.*w\.bin"),
        host.runtime(Target.parse("chrome:cpu"), artifact, graph) as runtime,
    ):
        runtime.trace({"x": X})


def test_a_model_that_does_not_load_says_why_and_the_page_is_used_again(host: Host, tmp_path: Path):
    _, graph = dense_chain(tmp_path / "good")
    broken = write(tmp_path / "bad", {"model.json": b'{"modelTopology": {}, "weightsManifest": []}'})
    before = host.tab(Target.parse("chrome:cpu"))
    with (
        pytest.raises(BittrueError, match="chrome:cpu"),
        host.runtime(Target.parse("chrome:cpu"), broken, graph) as runtime,
    ):
        runtime.trace({"x": X})
    assert_right(run(host, "chrome:cpu", tmp_path), X)
    assert host.tab(Target.parse("chrome:cpu")) is before


@pytest.mark.parametrize("engine", ["chrome", pytest.param("firefox", marks=pytest.mark.needs("firefox"))])
def test_without_a_driver_a_plain_command_line_serves_target_after_target(
    engine: str, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(host_module, "find_driver", lambda engine: None)
    with Host() as host:
        first = run(host, f"{engine}:cpu", tmp_path)
        assert first.provenance.details["opened_by"] == "command line"
        assert_right(run(host, f"{engine}:wasm", tmp_path), X)
    assert survivors(temporary) == []


def browser_processes(words: str = "") -> list[psutil.Process]:
    """The processes of browsers below this one, whose command line has ``words`` in it."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it may have just ended
            line = " ".join(process.cmdline())
            if ("chromium" in line or "chrome" in line) and "driver" not in process.name() and words in line:
                found.append(process)
    return found


class At(NullProgress):
    """Does something once, when the first bytes of a layer's output arrive."""

    def __init__(self, layer: str, action: Callable[[], object]) -> None:
        self._layer = layer
        self._action: Callable[[], object] | None = action
        self._capturing = False

    def phase(self, target: str, what: str) -> None:
        self._capturing = self._capturing or what.startswith("capturing")

    def record(self, target: str, layer: str, nbytes: int, total: int | None) -> None:
        if layer == self._layer and self._capturing and self._action:
            action, self._action = self._action, None
            action()


def kill(words: str) -> None:
    for process in browser_processes(words):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def stop_all() -> None:
    for process in browser_processes():
        process.suspend()


@pytest.mark.parametrize(("words", "driven"), [("", True), ("--type=renderer", True), ("", False)])
def test_a_browser_killed_midway_is_a_death_that_loses_nothing_and_leaves_nothing(
    words: str, driven: bool, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if not driven:
        monkeypatch.setattr(host_module, "find_driver", lambda engine: None)
    path = tmp_path / "t.safetensors"
    progress: Progress = At("d3", lambda: kill(words))
    with Host(progress=progress) as host:
        with pytest.raises(TargetDied, match="chrome:wasm died while") as caught:
            run(host, "chrome:wasm", tmp_path, MANY, depth=12, save=str(path))
        kept = read_trace(path)
        assert caught.value.after == kept.of_kind("output")[-1].key.layer
        assert not kept.complete
        assert np.array_equal(kept[Key("output", "d2")].load(), MANY + 3)
        assert_right(run(host, "chrome:wasm", tmp_path), X)
    assert survivors(temporary) == []


def test_a_browser_that_hangs_is_given_up_after_the_timeout(temporary: Path, tmp_path: Path):
    with (
        Host(progress=At("d3", stop_all)) as host,
        pytest.raises(TargetDied, match=r"no answer for 9 s .* nor does the browser itself"),
    ):
        run(host, "chrome:wasm", tmp_path, MANY, depth=12, timeout=9.0)
    assert survivors(temporary) == []


def test_a_browser_that_cannot_start_says_what_to_do(temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    false = tmp_path / "chrome"
    false.write_text("#!/bin/sh\nexit 1\n")
    false.chmod(0o755)
    monkeypatch.setenv("BITTRUE_CHROME", str(false))
    with Host() as host, pytest.raises(BittrueError, match=r"chrome:cpu.*(status 1|check)"):
        run(host, "chrome:cpu", tmp_path)
    assert survivors(temporary) == []


@pytest.mark.parametrize("engine", ["chrome", pytest.param("firefox", marks=pytest.mark.needs("firefox"))])
def test_it_speaks_to_nobody_but_loopback(engine: str, temporary: Path, tmp_path: Path):
    peers = set()

    def look() -> None:
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                peers.update(connection.raddr.ip for connection in process.net_connections("inet") if connection.raddr)

    with Host(progress=At("d1", look)) as host:
        run(host, f"{engine}:wasm", tmp_path)
    assert peers == {"127.0.0.1"}


SCRIPT = """
import os, signal, sys, tempfile
from pathlib import Path
sys.path.insert(0, {tests!r})
tempfile.tempdir = {temporary!r}
import numpy as np
from small import dense_chain
from bittrue.runtimes.host import Host
from bittrue.runtimes.target import Target
artifact, graph = dense_chain(Path({artifact!r}))
host = Host()
runtime = host.runtime(Target.parse("chrome:cpu"), artifact, graph).__enter__()
runtime.trace({{"x": np.ones((1, 4), np.float32)}})
print("ready", flush=True)
{end}
"""
ENDS = {
    "exception": "raise RuntimeError('a bug')",
    "interrupt": "signal.pause()",
}


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_left_when_python_ends_without_closing(end: str, tmp_path: Path):
    folder = Path(tempfile.mkdtemp(prefix="b"))
    names = {"tests": str(Path(__file__).parent), "temporary": str(folder), "artifact": str(tmp_path / "a")}
    command = [sys.executable, "-c", SCRIPT.format(end=ENDS[end], **names)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert survivors(folder)
    if end == "interrupt":
        process.send_signal(signal.SIGINT)
    process.wait(90)
    deadline = time.monotonic() + 30
    while survivors(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert survivors(folder) == []
    folder.rmdir()
