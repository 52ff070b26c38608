"""Folders of exact models in Node, in Deno and in browsers, by the npm package and nothing else of Bittrue."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

from golden_models import Built, hashes
from npm_package import assemble
from safetensors.numpy import save_file
from setup import find_deno

from bittrue.exact.engine import ExactModel
from bittrue.exact.file import ExactFile, digest, write
from bittrue.runtimes.discovery import find_browser, find_node
from bittrue.runtimes.launch import CommandLineBrowser, Display

__all__ = ["PLACES", "computed_in", "computed_in_python", "written"]

PLACES = ("node", "deno", "chrome", "firefox")
_HERE = Path(__file__).parent


def written(folder: Path, models: Mapping[str, Built]) -> Path:
    """Each model with its inputs, and the package beside them."""
    assemble(folder / "package")
    (folder / "models").mkdir()
    for name, (plan, constants, inputs) in models.items():
        write(folder / "models" / f"{name}.safetensors", plan, constants)
        save_file(inputs, folder / "models" / f"{name}.inputs.safetensors")
    (folder / "models" / "names.json").write_text(json.dumps(list(models)), encoding="utf-8")
    return folder


def computed_in_python(models: Mapping[str, Built]) -> dict[str, list[str]]:
    """Hashes of the outputs of each model, by the module in wasmtime."""
    found = {}
    for name, (plan, constants, inputs) in models.items():
        made = ExactModel(ExactFile(plan, constants, digest(plan, constants))).predict(inputs)
        found[name] = hashes(made if isinstance(made, list) else [made])
    return found


def computed_in(place: str, folder: Path) -> dict[str, Any]:
    """Hashes by model: ``whole``, ``split`` (the batch in parts), ``worker`` (of the first model), ``threads``."""
    found = _in_a_process(place, folder) if place in ("node", "deno") else _in_browser(place, folder)
    assert "error" not in found, found["error"]
    return found


def _in_a_process(place: str, folder: Path) -> Any:
    names = json.loads((folder / "models" / "names.json").read_text(encoding="utf-8"))
    package, models = folder / "package" / "dist" / "exact", folder / "models"
    node = find_node()
    engine = [str(find_deno()), "run", "--allow-read"] if place == "deno" else [str(node.path if node else "node")]
    command = [*engine, str(_HERE / "everywhere.mjs"), str(package), str(models), *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class _Pages(SimpleHTTPRequestHandler):
    """The page, the package and the models; the answer is put into ``answers``."""

    extensions_map = {".mjs": "text/javascript", ".js": "text/javascript", ".html": "text/html"}  # noqa: RUF012

    def __init__(self, *args: Any, pages: Mapping[str, Path], answers: Queue[Any], **kwargs: Any) -> None:
        self.pages, self.answers = pages, answers
        super().__init__(*args, **kwargs)

    def translate_path(self, path: str) -> str:
        first, _, rest = path.partition("?")[0].lstrip("/").partition("/")
        return str(self.pages.get(first, Path("absent")) / rest)

    def do_POST(self) -> None:  # the name is http.server's
        self.answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def end_headers(self) -> None:
        """Isolated from other origins, as memory that threads share demands it."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

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


def _in_browser(engine: str, folder: Path) -> Any:
    answers: Queue[Any] = Queue()
    program = find_browser(engine)
    assert program is not None
    pages = {"test": _HERE, "package": folder / "package" / "dist", "models": folder / "models"}
    with (
        _served(pages, answers) as address,
        closing(CommandLineBrowser(engine, program, Display.open("headless"))) as browser,
    ):
        browser.goto(f"{address}/test/everywhere.html")
        return answers.get(timeout=300)
