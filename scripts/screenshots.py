"""Pictures of real runs for the documentation, into build/screenshots: ``python scripts/screenshots.py [NAME …]``.

    terminal  what ``bittrue check`` prints           report-*  the parts of the report of ``bittrue demo``
    pytest    a test that fails                       device    the page that a phone opens, before it is started

Needs Chrome with its driver. A run whose results lie in build/screenshots/runs already is not repeated; ``--fresh``
repeats all. ``home`` is a picture of the finished site and is made only if it is named.
"""

from __future__ import annotations

import io
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import setup

PICTURES = setup.ROOT / "build" / "screenshots"
RUNS = PICTURES / "runs"
WIDE, TALL, DESK, PHONE = (1180, 900), (1180, 1500), (1400, 900), (390, 844)  # CSS pixels
COLUMNS = 110
TARGETS = "chrome:webgl,chrome:cpu,chrome:wasm,firefox:wasm,node:wasm,keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0"
PARTS = {"verdict": "#verdict", "layers": "#layers", "growth": "#depth", "one-layer": "#layer-section"}
"""The parts of the report that are shown alone, and where they are in the page."""
MODEL = "bittrue-demo/keras_model.keras"
TEST = f'''def test_parity(bittrue):
    bittrue.assert_parity("{MODEL}", targets=["chrome:webgl+WEBGL_FORCE_F16_TEXTURES=true"])
'''
TERMINAL = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #16181d }} pre {{ margin: 0; padding: 20px 24px; color: #d7dae0; width: max-content;
font: 13px/1.45 ui-monospace, "DejaVu Sans Mono", monospace }}</style><pre>{text}</pre>"""


class NoPicture(Exception):
    """A picture cannot be made here; the message is one sentence."""


# --- Runs -----------------------------------------------------------------------------------------------------


def _words(*words: str) -> list[str]:
    return [str(setup.PYTHON), "-m", *words]


def _coloured() -> dict[str, str]:
    return {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "PY_COLORS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def run(name: str, command: str, *words: str, fails: bool = False) -> str:
    """What a command prints, under a prompt with ``command``; kept in RUNS, so that it is run once."""
    kept = RUNS / f"{name}.txt"
    if not kept.exists():
        RUNS.mkdir(parents=True, exist_ok=True)
        print(f"pictures: {command}", flush=True)
        done = subprocess.run(
            _words(*words), cwd=RUNS, env=_coloured(), stdin=subprocess.DEVNULL, capture_output=True, timeout=900
        )
        if (done.returncode != 0) is not fails:
            said = done.stderr.decode("utf-8", "replace")[-500:]
            raise NoPicture(f"'{command}' ended with {done.returncode}: {said}")
        text = done.stdout.decode("utf-8").replace(str(RUNS) + os.sep, "")
        kept.write_text(f"$ {command}\n{text}", encoding="utf-8")
    return kept.read_text(encoding="utf-8")


def demo() -> Path:
    """The report of the experiment."""
    run("demo", f"bittrue demo --in {TARGETS}", "bittrue", "demo", "--in", TARGETS)
    return RUNS / "bittrue-demo" / "report.html"


# --- Pictures -------------------------------------------------------------------------------------------------


@contextmanager
def chrome(size: tuple[int, int]) -> Iterator[Any]:
    """A headless Chrome whose page is ``size`` large."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    from bittrue.runtimes.discovery import find_browser, find_driver

    browser, driver = find_browser("chrome"), find_driver("chrome")
    if browser is None or driver is None:
        raise NoPicture("no Chrome with a chromedriver is found here: 'bittrue doctor' says what to install")
    options = webdriver.ChromeOptions()
    options.binary_location = str(browser.path)
    for switch in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--force-device-scale-factor=1"):
        options.add_argument(switch)
    with webdriver.Chrome(options=options, service=Service(str(driver.path))) as window:
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        yield window


def _part(window: Any, selector: str, name: str) -> None:
    """One element of the page as a picture."""
    window.execute_script("document.querySelector('nav.bar')?.remove()")  # it would lie over what is scrolled to
    element = window.find_element("css selector", selector)
    (PICTURES / f"{name}.png").write_bytes(element.screenshot_as_png)


def _typed(text: str, name: str) -> None:
    """Text with a terminal's colours as a picture."""
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(text), overflow="fold")
    page = RUNS / f"{name}.html"
    inner = console.export_html(theme=MONOKAI, inline_styles=True, code_format="{code}")
    page.write_text(TERMINAL.format(text=inner), encoding="utf-8")
    with chrome(WIDE) as window:
        window.get(page.as_uri())
        _part(window, "pre", name)


def terminal() -> None:
    """What a check prints."""
    demo()
    where = "chrome:wasm,node:cpu"
    text = run("check", f"bittrue check model.keras --in {where}", "bittrue", "check", MODEL, "--in", where)
    _typed(text, "terminal")


def report() -> None:
    """The report's first screen, its parts, and what a phone shows."""
    page = demo().as_uri()
    with chrome(WIDE) as window:
        window.get(page)
        window.save_screenshot(str(PICTURES / "report.png"))
    with chrome(TALL) as window:
        window.get(page)
        for name, selector in PARTS.items():
            _part(window, selector, f"report-{name}")
    with chrome(PHONE) as window:
        window.get(page)
        window.save_screenshot(str(PICTURES / "report-phone.png"))


def pytest_failure() -> None:
    """A test that asks for more than there is."""
    demo()
    (RUNS / "test_parity.py").write_text(TEST, encoding="utf-8")
    words = ("pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", "test_parity.py")
    text = run("pytest", "pytest test_parity.py", *words, fails=True)
    _typed(re.sub(r"\n.*(DeprecationWarning|warnings? summary).*", "", text), "pytest")


def device() -> None:
    """The page that a phone opens; nobody presses its button here."""
    demo()
    words = _words("bittrue", "check", MODEL, "--in", "device", "--listen", "127.0.0.1", "--wait", "60")
    process = subprocess.Popen(words, cwd=RUNS, env=_coloured(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        with chrome(PHONE) as window:
            window.get(_address(process))
            window.implicitly_wait(20)
            window.find_element("css selector", "button:not([hidden]):not([disabled])")
            window.save_screenshot(str(PICTURES / "device.png"))
    finally:
        process.terminate()
        process.wait(30)


def _address(process: subprocess.Popen[bytes]) -> str:
    """The address that a command says on its standard error, which is read to its end meanwhile."""
    lines: queue.Queue[str] = queue.Queue()
    stream = process.stderr
    assert stream is not None

    def read() -> None:
        for line in stream:
            lines.put(line.decode("utf-8", "replace"))

    threading.Thread(target=read, daemon=True).start()
    said = ""
    while not (found := re.search(r"https?://\S+", said)):
        try:
            said += lines.get(timeout=120)
        except queue.Empty:
            raise NoPicture(f"no address was printed to open on a device: {said[-300:]}") from None
    return found[0].rstrip(".,;")


def home() -> None:
    """The site's first page, once it is built."""
    page = setup.ROOT / "build" / "site" / "index.html"
    if not page.exists():
        raise NoPicture("the site is not built: make docs")
    with chrome(DESK) as window:
        window.get(page.as_uri())
        window.save_screenshot(str(PICTURES / "home.png"))


MAKERS: dict[str, Callable[[], None]] = {
    "terminal": terminal,
    "report": report,
    "pytest": pytest_failure,
    "device": device,
    "home": home,
}


def main(arguments: list[str]) -> None:
    """Make the pictures named, or all that the site shows."""
    if "--fresh" in arguments and RUNS.exists():
        shutil.rmtree(RUNS)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in [word for word in arguments if word != "--fresh"] or [name for name in MAKERS if name != "home"]:
        MAKERS[name]()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except NoPicture as error:
        sys.exit(f"pictures: {error}")
