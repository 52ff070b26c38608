"""Exact models in Node, in Deno and in browsers, by the npm package and nothing else of Bittrue."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from npm_package import assemble
from safetensors.numpy import save_file
from setup import find_deno
from subjects import Subject, Ways, every_value

from bittrue.exact.file import write
from bittrue.runtimes.discovery import find_browser, find_node
from bittrue.runtimes.launch import CommandLineBrowser, Display

__all__ = ["PLACES", "computed_in", "expected_ways", "written"]

PLACES = ("node", "deno", "chrome", "firefox")
_HERE = Path(__file__).parent


def written(folder: Path, subjects: Mapping[str, Subject]) -> Path:
    """Each subject with its inputs, what is to be done with them, and the package beside them."""
    assemble(folder / "package")
    (folder / "models").mkdir()
    jobs = []
    for at, (name, one) in enumerate(subjects.items()):
        write(folder / "models" / f"{at}.safetensors", one.plan, one.constants)
        save_file(one.inputs, folder / "models" / f"{at}.inputs.safetensors")
        job = {"name": name, "file": str(at), "every": every_value(one.plan)}
        jobs.append(job | {"splits": one.splits, "worker": one.worker, "threads": list(one.threads)})
    (folder / "models" / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    return folder


def expected_ways(subject: Subject, place: str) -> list[str]:
    """In how many ways ``place`` has to compute it; ``python`` has no workers."""
    ways = ["every", "whole", *(["parts", "alone"] if subject.splits else [])]
    ways += ["worker"] if subject.worker and place != "python" else []
    return [*ways, *(f"{count} threads" for count in subject.threads)]


def computed_in(place: str, folder: Path, patience: float = 300.0) -> dict[str, Ways]:
    """Every way of every subject in ``folder``, by its name. ``patience``: seconds for all of them.

    A subject that could not be computed has the one way ``error``, with one line. Raises AssertionError where the
    place itself failed.
    """
    run = _in_a_process if place in ("node", "deno") else _in_browser
    answer = run(place, folder, patience)
    assert isinstance(answer, list), f"{place}: {answer}"
    jobs = json.loads((folder / "models" / "jobs.json").read_text(encoding="utf-8"))
    found = (one if "error" not in one else {"error": [one["error"]]} for one in answer)
    return {job["name"]: ways for job, ways in zip(jobs, found, strict=True)}


def _in_a_process(place: str, folder: Path, patience: float) -> Any:
    package, models = folder / "package" / "dist" / "exact", folder / "models"
    node = find_node()
    engine = [str(find_deno()), "run", "--allow-read"] if place == "deno" else [str(node.path if node else "node")]
    command = [*engine, str(_HERE / "everywhere.mjs"), str(package), str(models)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
    assert done.returncode == 0, f"{place} ended with {done.returncode}: {done.stderr[-2000:]}"
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
        """Isolated from other origins, as memory that threads share demands it; kept nowhere, as models are large."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-store")
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


def _in_browser(engine: str, folder: Path, patience: float) -> Any:
    answers: Queue[Any] = Queue()
    program = find_browser(engine)
    assert program is not None
    pages = {"test": _HERE, "package": folder / "package" / "dist", "models": folder / "models"}
    with (
        _served(pages, answers) as address,
        closing(CommandLineBrowser(engine, program, Display.open("headless"))) as browser,
    ):
        browser.goto(f"{address}/test/everywhere.html")
        try:
            return answers.get(timeout=patience)
        except Empty:
            return f"no answer within {patience:.0f} s (the browser {browser.ended or 'is still there'})"
