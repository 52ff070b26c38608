"""What pages post is taken whole or not at all, from whoever holds the address, and compared with Python's tensors."""

from __future__ import annotations

import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copy
from urllib.parse import quote

import numpy as np
import pytest
from click.testing import CliRunner

from bittrue.cli.app import main
from bittrue.errors import UsageError
from bittrue.runtimes.listening import Listener
from bittrue.tracefile import read_trace, write_trace
from bittrue.traces import Key, Provenance, Record, Trace

ROOT = Path(__file__).parents[2]


@pytest.fixture
def taken() -> queue.Queue[Path]:
    return queue.Queue()


@pytest.fixture
def listener(tmp_path: Path, taken: queue.Queue[Path]) -> Iterator[Listener]:
    with Listener(tmp_path / "recorded", taken.put, largest=4096) as listening:
        yield listening


def recording(path: Path, kind: str = "input", size: int = 3) -> bytes:
    array = np.arange(size, dtype=np.float32)
    record = Record.of(Key(kind, "x"), array)  # type: ignore[arg-type]
    write_trace(Trace.of(Provenance("app:cpu", "tfjs", "cpu", "4.22.0"), [record]), path)
    return path.read_bytes()


def post(url: str, body: bytes, method: str = "POST", **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_recording_is_kept_under_a_new_name_each_time(listener: Listener, taken: queue.Queue[Path], tmp_path: Path):
    body = recording(tmp_path / "made.safetensors")
    assert [post(listener.url, body)[0] for _ in range(2)] == [200, 200]
    first, second = taken.get(timeout=5), taken.get(timeout=5)
    assert first != second
    assert first.read_bytes() == second.read_bytes() == body


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"", "what was posted"), (b"\x00" * 100, "what was posted"), (b"x" * 5000, "larger than 4,096 bytes")],
)
def test_garbage_leaves_nothing_behind(listener: Listener, tmp_path: Path, body: bytes, said: str):
    status, text = post(listener.url, body)
    assert status == 400
    assert said in text
    assert list((tmp_path / "recorded").iterdir()) == []


def test_a_recording_without_inputs_is_refused(listener: Listener, tmp_path: Path):
    status, text = post(listener.url, recording(tmp_path / "made.safetensors", kind="prediction"))
    assert (status, "no input" in text) == (400, True)


def test_only_the_token_opens_it(listener: Listener):
    wrong = listener.url[:-1] + ("a" if listener.url[-1] != "a" else "b")
    assert post(wrong, b"")[0] == 404
    assert post(listener.url, b"", Host="evil.example")[0] == 421
    assert post(listener.url, b"", method="PUT")[0] == 405


def test_a_port_in_use_is_said(listener: Listener, tmp_path: Path, taken: queue.Queue[Path]):
    port = int(listener.url.split(":")[2].split("/")[0])
    with (
        pytest.raises(UsageError, match=f"port {port} cannot be listened on"),
        Listener(tmp_path, taken.put, port=port),
    ):
        pass


@pytest.mark.browser
@pytest.mark.needs("chrome")
def test_a_page_in_chrome_records_posts_and_its_mistake_is_named(tmp_path: Path, taken: queue.Queue[Path]):
    from bittrue.runtimes.discovery import find_browser
    from bittrue.runtimes.launch import CommandLineBrowser, Display
    from bittrue.runtimes.tfjs import tfjs_files

    site = tmp_path / "site"
    site.mkdir()
    for file in (
        ROOT / "js" / "recorder.js",
        tfjs_files().folder / "tf.min.js",
        Path(__file__).with_name("recording.html"),
    ):
        copy(file, site)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = find_browser("chrome")
    assert browser is not None
    with Listener(tmp_path / "recorded", taken.put) as listening:
        opened = CommandLineBrowser("chrome", browser, Display.open("headless"))
        try:
            opened.goto(f"http://127.0.0.1:{server.server_address[1]}/recording.html?to={quote(listening.url)}")
            path = taken.get(timeout=60)
        finally:
            opened.close()
            server.shutdown()
            server.server_close()
    trace = read_trace(path)
    (fed,) = trace.of_kind("input")
    pixels = (np.arange(18, dtype=np.float32) ** 2 * 7 % 256).reshape(1, 2, 3, 3)
    np.savez(tmp_path / "python.npz", **{fed.key.layer: pixels})
    done = CliRunner().invoke(main, ["compare", str(tmp_path / "python.npz"), str(path)], terminal_width=200)
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "channels reversed (BGR for RGB), then divided by 127.5, then plus -1: 18 of 18 values" in said
