"""Repros of defects in a page of Chromium: plain TensorFlow.js, and what the device says of it."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bittrue.runtimes.discovery import find_browser, find_driver, has_gpu
from bittrue.runtimes.switches import chromium_switches
from bittrue.runtimes.tfjs import BUNDLED, tfjs_files

__all__ = ["Page", "opened_page"]

_PAGE = b"""<!doctype html><meta charset="utf-8"><title>repro</title>
<script src="/tfjs/tf.min.js"></script><script src="/tfjs/tf-backend-webgpu.min.js"></script>"""

_COMPUTE = """
const [file, backend, name, done] = arguments;
(async () => {
  if (backend !== "cpu") tf.env().set(`${backend.toUpperCase()}_CPU_FORWARD`, false);
  await tf.setBackend(backend);
  if (tf.getBackend() !== backend) throw new Error(`${backend} did not start`);
  const said = [];
  const device = tf.backend().device;
  if (device) device.onuncapturederror = (event) => said.push(event.error.message);
  const repro = await import(file);
  const result = repro[name](tf);
  const values = Array.from(await result.data(), Number);
  return { shape: result.shape, dtype: result.dtype, values, said };
})().then(done, (error) => done({ error: String(error) }));
"""


class Page:
    """A page in which repros are computed, one after the other."""

    def __init__(self, driver: Any, address: str) -> None:
        self._driver = driver
        self._address = address

    def compute(self, name: str, backend: str, export: str = "compute") -> Any:
        """What the repro called ``name`` computes; ``said`` are the errors of the device."""
        self._driver.get(f"{self._address}/page.html")
        found = self._driver.execute_async_script(_COMPUTE, f"{self._address}/{name}.mjs", backend, export)
        assert "error" not in found, found["error"]  # what TensorFlow.js itself says
        return found


class _Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/page.html":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(_PAGE)
            return
        super().do_GET()

    def translate_path(self, path: str) -> str:
        if path.startswith("/tfjs/"):
            return str(tfjs_files(BUNDLED).folder / path.removeprefix("/tfjs/"))
        return super().translate_path(path)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


_Handler.extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}


@contextmanager
def opened_page(folder: Path) -> Iterator[Page]:
    """A page of Chromium that finds the repros of ``folder``."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    browser, program = find_browser("chrome"), find_driver("chrome")
    assert browser is not None
    assert program is not None
    options = ChromeOptions()
    options.binary_location = str(browser.path)
    for switch in chromium_switches(headless=True, software=not has_gpu(), local=True):
        options.add_argument(switch)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    driver = Chrome(options, Service(str(program.path)))
    try:
        driver.set_script_timeout(120)
        yield Page(driver, f"http://127.0.0.1:{server.server_port}")
    finally:
        driver.quit()
        server.shutdown()
