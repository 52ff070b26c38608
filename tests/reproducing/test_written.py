"""The files of a minimal case, run without Bittrue."""

from __future__ import annotations

import functools
import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bittrue.cli.app import main
from bittrue.pipeline import check, trace

pytestmark = [pytest.mark.browser, pytest.mark.needs("node", "tensorflow")]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was kept, and beside it one of an artifact whose second layer forgot its activation."""
    import keras

    keras.utils.set_random_seed(2)
    folder = tmp_path_factory.mktemp("saved")
    entry = keras.Input((9,), name="x")
    hidden = keras.layers.Dense(8, activation="relu", name="first")(entry)
    model: Any = keras.Model(entry, keras.layers.Dense(7, activation="tanh", name="second")(hidden))
    from bittrue.pipeline import Run

    inputs = {"x": np.random.default_rng(0).normal(size=(3, 9)).astype(np.float32)}
    check(model, inputs, ["node:wasm"], run=Run(save=folder))
    document = json.loads((folder / "keras_converted" / "model.json").read_text())
    document["userDefinedMetadata"]["bittrue"].pop("sha256")
    document["modelTopology"]["model_config"]["config"]["layers"][2]["config"]["activation"] = "linear"
    (folder / "keras_converted" / "model.json").write_text(json.dumps(document))
    trace(folder / "keras_converted", "node:wasm", folder / "spoilt.safetensors", inputs)
    return folder


def repro(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["repro", *arguments])
    return int(ended.value.code or 0)


@pytest.mark.parametrize("redact", [False, True])
def test_the_script_shows_the_fault_without_bittrue(saved: Path, tmp_path: Path, redact: bool) -> None:
    options = ["--redact"] if redact else []
    assert repro(str(saved / "spoilt.safetensors"), "second", "-o", str(tmp_path / "case"), *options) == 0
    assert {"index.html", "repro.py", "case.js", "case.npz", "layer.json", "README.md", "tf.min.js"} <= {
        path.name for path in (tmp_path / "case").iterdir()
    }
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "case" / "repro.py")], capture_output=True, text=True, check=True
    )
    browser, python = (line for line in done.stdout.splitlines() if "outside" in line)
    assert browser.startswith("  node:wasm: ")
    assert not browser.startswith("  node:wasm: 0 of")
    assert python.startswith("  Keras: 0 of 21 values outside")
    held = np.load(tmp_path / "case" / "case.npz")
    recorded = np.load(tmp_path / "case" / "case.npz")["input_0"]
    assert held["weight_0"].shape == (8, 7)
    assert recorded.shape == (3, 8)
    assert "returns 21 of 21 values as recorded" in (tmp_path / "case" / "README.md").read_text()


def test_random_data_of_a_layer_that_is_right_shows_nothing(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert repro(str(saved / "spoilt.safetensors"), "first", "-o", str(tmp_path / "case"), "--redact") == 2
    assert "none of 4" in capsys.readouterr().err


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a plain web server over ``folder``, as ``python -m http.server`` is one."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def shown(chrome: Any, address: str) -> tuple[str, int, int, int]:
    """What the page says when it is done: its first line, values as recorded, values in all, values outside."""
    from selenium.webdriver.support.ui import WebDriverWait

    chrome.get(address)
    state = "return document.getElementById('result').dataset.state"
    WebDriverWait(chrome, 60).until(lambda page: page.execute_script(state))
    text = chrome.find_element("id", "result").text
    found = re.search(r"output 0: (\d+) of (\d+) values as recorded, (\d+) outside", text)
    assert found, text
    return text.partition("\n")[0], *map(int, found.groups())


@pytest.mark.needs("chrome")
def test_the_page_shows_the_fault_in_chrome_without_bittrue(saved: Path, tmp_path: Path) -> None:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    from bittrue.runtimes.discovery import find_browser, find_driver

    browser, driver = find_browser("chrome"), find_driver("chrome")
    if browser is None or driver is None:
        pytest.skip("there is no chromedriver here")
    for layer in ("first", "second"):
        assert repro(str(saved / "spoilt.safetensors"), layer, "-o", str(tmp_path / layer)) == 0
    options = webdriver.ChromeOptions()
    options.binary_location = str(browser.path)
    for switch in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(switch)
    with webdriver.Chrome(options=options, service=Service(str(driver.path))) as chrome, served(tmp_path) as address:
        title, same, size, outside = shown(chrome, f"{address}second/index.html")
        assert title == "second (Dense), recorded on node:wasm, now on wasm"
        assert (same, size) == (21, 21)  # WebAssembly rounds alike in Node and in Chrome
        assert outside > 0
        assert shown(chrome, f"{address}first/index.html")[1:] == (24, 24, 0)
        # Another backend, from the disk: an artifact that is wrong is wrong on every backend.
        title, _, size, outside = shown(chrome, (tmp_path / "second" / "index.html").as_uri() + "?backend=cpu")
        assert title.endswith("now on cpu")
        assert (size, outside > 0) == (21, True)
        assert chrome.get_log("browser") == []
