"""Opening a browser through WebDriver: a program found on this machine, or any remote address.

Selenium speaks the protocol; the driver program is started here and not by Selenium, so that it stands under
the same promise as every other process, and Selenium Manager is never asked to look for, or download, anything.
"""

from __future__ import annotations

import atexit
import http.client
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bittrue.errors import TargetDied, TargetUnavailable, UsageError

from .discovery import Installed, has_gpu
from .launch import Display, browser_environment, make_scratch
from .processes import ProgramTree, Scratch
from .switches import chromium_switches, firefox_preferences

if TYPE_CHECKING:
    from selenium.webdriver.common.options import ArgOptions
    from selenium.webdriver.remote.webdriver import WebDriver

__all__ = ["DrivenBrowser", "open_local", "open_remote"]

_START = 20.0  # seconds for a driver program to listen
_COMMAND = 60  # seconds for one WebDriver command, starting a browser included
_QUEUE = 300  # seconds for a remote grid to find a free browser
_QUIT = 10.0  # seconds for a remote browser to end
_ROOM = 64 * 2**20  # bytes that a browser's profile may take
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class DrivenBrowser:
    """A browser under WebDriver, local or remote."""

    navigates = True

    def __init__(
        self,
        driver: WebDriver,
        facts: Mapping[str, Any],
        tree: ProgramTree | None = None,
        scratch: Scratch | None = None,
        display: Display | None = None,
    ) -> None:
        self._driver: WebDriver | None = driver
        self._tree = tree
        self._scratch = scratch
        self._display = display
        names = driver.capabilities
        self.facts: Mapping[str, Any] = {
            "browser": names.get("browserName"),
            "browser_version": names.get("browserVersion"),
            "platform": names.get("platformName"),
            **facts,
        }
        atexit.register(self.close)

    @property
    def ended(self) -> str | None:
        """How the driver program ended; of the browser the page's socket tells."""
        return self._tree.ended if self._tree else None

    def goto(self, url: str) -> bool:
        """Open ``url``; returns before the page has loaded."""
        if self._driver is None:
            return False
        try:
            self._driver.get(url)
        except _driver_errors() as error:
            raise TargetDied(f"the browser did not open its page: {_sentence(error)}; run it again") from error
        return True

    def note_children(self) -> None:
        """Remember its processes now."""
        if self._tree:
            self._tree.note_children()

    def close(self) -> None:
        """End the browser, and the driver where it is ours."""
        atexit.unregister(self.close)
        driver, self._driver = self._driver, None
        if self._tree is None and driver is not None:
            _quit(driver)
        _end(self._tree, self._scratch, self._display)


def open_local(engine: str, browser: Installed, program: Installed, display: Display) -> DrivenBrowser:
    """Start ``program`` and the browser under it. Raises TargetUnavailable if either does not start."""
    scratch, tree = make_scratch(browser), None
    try:
        tree, address = _start(engine, program, scratch, browser_environment(browser, scratch, display))
        options = _options(engine, headless=display.headless, software=not has_gpu())
        options.binary_location = str(browser.path)  # type: ignore[attr-defined]
        if engine != "firefox":
            options.add_argument(f"--user-data-dir={scratch.folder('p')}")
        driver = _connect(address, options, engine, direct=True, timeout=_COMMAND)
        facts = {
            "browser": browser.name,
            "opened_by": f"{program.name} {program.version}",
            "display": display.name,
            "switches": [word for word in options.arguments if str(scratch.path) not in word],
        }
        return DrivenBrowser(driver, facts, tree, scratch, display)
    except BaseException:
        _end(tree, scratch, display)
        raise


def open_remote(engine: str, address: str, *, headless: bool) -> DrivenBrowser:
    """Ask a remote WebDriver for a browser. Raises UsageError for what is no address, TargetUnavailable for none."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{address!r} is no address of a WebDriver: write it as http://host:4444")
    here = parts.hostname in _LOOPBACK
    software = os.environ.get("BITTRUE_SOFTWARE_GPU") == "1" or (here and not has_gpu())
    options = _options(engine, headless=headless, software=software, local=here)
    driver = _connect(address, options, engine, direct=here, timeout=_QUEUE)
    facts = {"opened_by": "remote WebDriver", "switches": list(options.arguments)}
    return DrivenBrowser(driver, facts)


def _start(engine: str, program: Installed, scratch: Scratch, env: Mapping[str, str]) -> tuple[ProgramTree, str]:
    port = _free_port()
    command = [str(program.path), f"--port={port}"]
    if engine == "firefox":
        command += ["--host", "127.0.0.1", "--profile-root", str(scratch.folder("p"))]
    try:
        tree = ProgramTree(command, scratch, env)
    except OSError as error:
        raise _no_driver(engine, program) from error
    deadline = time.monotonic() + _START
    while not _listens(port):
        if tree.ended or time.monotonic() > deadline:
            tree.end()
            raise _no_driver(engine, program)
        time.sleep(0.02)
    return tree, f"http://127.0.0.1:{port}"


def _no_driver(engine: str, program: Installed) -> TargetUnavailable:
    advice = f"check that '{program.path} --version' works, or hide it to open the browser without a driver"
    return TargetUnavailable(f"{program.path} did not start: {advice}", target=engine, remedy=advice)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    """Whether a driver is ready; asked directly, whatever proxy the environment names."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/status")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _options(engine: str, *, headless: bool, software: bool, local: bool = True) -> ArgOptions:
    from selenium.webdriver import ChromeOptions, EdgeOptions, FirefoxOptions

    if engine == "firefox":
        firefox = FirefoxOptions()
        for name, value in firefox_preferences().items():
            firefox.set_preference(name, value)
        if headless:
            firefox.add_argument("-headless")
        firefox.page_load_strategy = "none"
        return firefox
    options = EdgeOptions() if engine == "edge" else ChromeOptions()
    for switch in chromium_switches(headless=headless, software=software, local=local):
        options.add_argument(switch)
    options.page_load_strategy = "none"
    return options


def _connect(address: str, options: ArgOptions, engine: str, *, direct: bool, timeout: int) -> WebDriver:
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver import Proxy, Remote
    from selenium.webdriver.common.proxy import ProxyType
    from selenium.webdriver.remote.client_config import ClientConfig

    proxy = Proxy(raw={"proxyType": ProxyType.DIRECT}) if direct else None
    config = ClientConfig(remote_server_addr=address, timeout=timeout, proxy=proxy)
    try:
        return Remote(command_executor=address, options=options, client_config=config)
    except _driver_errors() as error:
        advice = _crowded() or "check that browser and driver have the same version"
        if not direct or not isinstance(error, WebDriverException):
            advice = f"check that {address} answers"
        raise TargetUnavailable(
            f"WebDriver at {address} opened no {engine}: {_sentence(error)}; {advice}", target=engine, remedy=advice
        ) from error


def _crowded() -> str | None:
    """What to do where a browser finds no room for its profile, which it does not say."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    return None if free > _ROOM else f"free space in {folder}, where only {free >> 20} MiB are left"


def _driver_errors() -> tuple[type[Exception], ...]:
    from selenium.common.exceptions import WebDriverException
    from urllib3.exceptions import HTTPError

    return WebDriverException, HTTPError, OSError


def _sentence(error: Exception) -> str:
    """The first line of what a driver says; the rest is its own stack."""
    reason = getattr(error, "reason", None)  # why the last of several attempts to connect has failed
    text = getattr(error, "msg", None) or str(reason or "").rpartition(": ")[2] or str(error) or type(error).__name__
    first = str(text).strip().splitlines()[0].partition("; For documentation on this error")[0]
    return first.rstrip(".:; ")[:300]


def _quit(driver: WebDriver) -> None:
    """End a remote browser, without waiting for one that never answers."""

    def leave() -> None:
        with suppress(*_driver_errors()):
            driver.quit()

    thread = threading.Thread(target=leave, name="bittrue-quit", daemon=True)
    thread.start()
    thread.join(_QUIT)


def _end(tree: ProgramTree | None, scratch: Scratch | None, display: Display | None) -> None:
    for part in (tree, display):
        if isinstance(part, ProgramTree):
            part.end()
        elif part is not None:
            part.close()
    if scratch is not None:
        scratch.remove()
