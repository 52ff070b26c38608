"""A layers-model with shims in a page of its own, with nothing of Bittrue around it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest
from bounds import model_bounds
from in_node import BUNDLED
from test_models_in_tfjs import drawn, randomised

from bittrue.conversion.tfjs import convert
from bittrue.graph.model import Graph
from bittrue.model import open_model
from bittrue.runtimes.discovery import find_browser
from bittrue.runtimes.launch import CommandLineBrowser, Display

pytestmark = [pytest.mark.browser, pytest.mark.needs("chrome", "tensorflow")]

_PAGE = Path(__file__).with_name("shims.html")


def every_shim() -> Any:
    """Layers that TensorFlow.js lacks, of every kind, one after the other."""
    import keras

    layers = keras.layers
    entry = keras.Input((6, 4), name="entry")
    x = layers.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 3.0, 4.0])(entry)
    x = layers.Conv1D(4, 3, padding="causal")(x)
    x = layers.GroupNormalization(2)(layers.Subtract()([x, layers.Identity()(entry)]))
    x = layers.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d")(x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    return keras.Model(entry, layers.GRU(3)(keras.ops.tanh(x) * 2.0))


class _Pages(SimpleHTTPRequestHandler):
    """The page, TensorFlow.js, the artifact and the inputs; the answer is put into ``answers``."""

    def __init__(self, *args: Any, pages: Mapping[str, Path], answers: Queue[Any], **kwargs: Any) -> None:
        self.pages, self.answers = pages, answers
        super().__init__(*args, **kwargs)

    def translate_path(self, path: str) -> str:
        first, _, rest = path.partition("?")[0].lstrip("/").partition("/")
        return str(self.pages[first] / rest if rest else self.pages.get(first, Path("absent")))

    def do_POST(self) -> None:  # the name is http.server's
        self.answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def _served(pages: Mapping[str, Path], answers: Queue[Any]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, pages=pages, answers=answers))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _predicted(graph: Graph, inputs: Mapping[str, Any], folder: Path, backend: str) -> list[Any]:
    convert(graph, folder / "model", shims=True)
    sent = [{"shape": x.shape, "values": x.ravel().tolist()} for x in inputs.values()]
    (folder / "inputs.json").write_text(json.dumps(sent), encoding="utf-8")
    pages = {name: folder / name for name in ("model", "inputs.json")}
    pages |= {"page.html": _PAGE, "tfjs": BUNDLED.parent}
    answers: Queue[Any] = Queue()
    chrome = find_browser("chrome")
    assert chrome is not None
    with (
        _served(pages, answers) as address,
        closing(CommandLineBrowser("chrome", chrome, Display.open("headless"))) as browser,
    ):
        browser.goto(f"{address}/page.html?backend={backend}")
        answer = answers.get(timeout=120)
    assert isinstance(answer, list), answer
    return [np.asarray(output["values"], np.float32).reshape(output["shape"]) for output in answer]


def test_chrome_is_within_rounding(tmp_path: Path) -> None:
    graph = open_model(randomised(every_shim())).graph
    inputs = drawn(graph)
    outputs = _predicted(graph, inputs, tmp_path, "webgl")
    for output, (exact, bound) in zip(outputs, model_bounds(graph, inputs), strict=True):
        assert output.shape == exact.shape
        assert np.all(np.abs(output - exact) <= bound)
        assert np.max(bound) < np.max(np.abs(exact))  # or the bound says nothing
