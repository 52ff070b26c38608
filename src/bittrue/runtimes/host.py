"""The host of a whole check: one server, and one browser of each kind, shared by all targets."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bittrue.errors import UsageError
from bittrue.graph.model import Graph

from .base import NullProgress, Progress, Runtime
from .browser import BrowserRuntime, Tab
from .device import DeviceRuntime, DeviceTab, Invitation, listening_address
from .discovery import find_browser, find_driver, missing_browser
from .launch import CommandLineBrowser, Display, DisplayKind, OpenBrowser, display_kind
from .node import NodeRuntime
from .server import Server
from .target import Target
from .webdriver import open_local, open_remote

if TYPE_CHECKING:
    from bittrue.conversion.tfjs.artifact import Artifact

__all__ = ["WAIT", "Host"]

WAIT = 900.0
"""Seconds that somebody has to open a page on a device."""

_WEB = Path(__file__).parent.parent / "web"


class Host(AbstractContextManager["Host"]):
    """Opens what targets need when they need it, and ends all of it when it is left.

    ``port`` is the one to listen on, 0 for any free one; ``webdriver`` the address of a remote WebDriver to
    open browsers with instead of those of this machine; ``headless`` False shows their windows. ``listen`` is the
    address that devices open (None: the only one of this machine in a private network), ``wait`` how many seconds
    somebody has to do so when ``invite`` is called. Raises UsageError if the port or the address cannot be had, when
    the first browser or device is needed.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        webdriver: str | None = None,
        progress: Progress | None = None,
        headless: bool = True,
        listen: str | None = None,
        wait: float = WAIT,
        invite: Callable[[Invitation], None] = lambda invitation: None,
    ) -> None:
        self._port = port
        self._webdriver = webdriver
        self._progress = progress or NullProgress()
        self._headless = headless
        self._listen = listen
        self._wait = wait
        self._invite = invite
        self._running: Server | None = None
        self._device: DeviceTab | None = None
        self._tabs: dict[tuple[str, DisplayKind], Tab] = {}
        self._artifacts: dict[Path, str] = {}
        atexit.register(self.close)

    def runtime(self, target: Target, artifact: Artifact, graph: Graph) -> Runtime:
        """What runs ``artifact`` (the model ``graph``, converted) on ``target``. Raises UsageError for keras."""
        if target.is_device:
            return DeviceRuntime(target, artifact, graph, self, self._progress)
        if target.is_browser:
            return BrowserRuntime(target, artifact, graph, self, self._progress)
        if target.engine == "node":
            return NodeRuntime(target, artifact, graph, self._progress)
        raise UsageError(f"{target} does not run in a browser or in Node: use the runtime for Keras")

    def tab(self, target: Target) -> Tab:
        """The tab of the browser that ``target`` runs in, opened if it is not; for runtimes alone."""
        kind = display_kind(target.engine, target.backend, headless=self._headless)
        key = target.engine, kind
        tab = self._tabs.get(key)
        if tab is None or not tab.usable:
            if tab is not None:
                tab.close()
            tab = self._tabs[key] = Tab(self.server, self._open(target, kind))
        return tab

    def _open(self, target: Target, kind: DisplayKind) -> OpenBrowser:
        if self._webdriver:
            return open_remote(target.engine, self._webdriver, headless=self._headless)
        browser = find_browser(target.engine)
        if browser is None:
            raise missing_browser(target.engine)
        driver = find_driver(target.engine)
        display = Display.open(kind)
        if driver is not None:
            return open_local(target.engine, browser, driver, display)
        return CommandLineBrowser(target.engine, browser, display)

    @property
    def device(self) -> DeviceTab:
        """The page that a person opens, served from the first time that it is asked for; for runtimes alone."""
        if self._device is None:
            address = listening_address(self._listen)
            self._device = DeviceTab(address, self._port, _WEB, self._invite, self._wait, self._progress)
        return self._device

    @property
    def server(self) -> Server:
        """The loopback server, started when first needed."""
        if self._running is None:
            self._running = Server(0 if self._device is not None else self._port)  # which is the device's then
            names = [path.relative_to(_WEB).as_posix() for path in _WEB.rglob("*") if path.is_file()]
            self._running.mount("agent", _WEB, names)
        return self._running

    def artifact_base(self, artifact: Artifact, server: Server) -> str:
        """Where a page of ``server`` finds the artifact's files."""
        folder = artifact.folder.resolve()
        prefix = self._artifacts.setdefault(folder, f"artifact/{len(self._artifacts) + 1}")
        # Each time: another model may have been converted into the folder since.
        return server.mount(prefix, folder, artifact.files)

    def close(self) -> None:
        """End every browser and the server; may be called again."""
        atexit.unregister(self.close)
        try:
            while self._tabs:
                self._tabs.popitem()[1].close()
            if self._device is not None:
                self._device.end()
        finally:
            if self._running is not None:
                self._running.close()

    def __exit__(self, *error: object) -> None:
        with suppress(KeyboardInterrupt):  # a second Ctrl-C must not stop the ending
            self.close()
            return
        self.close()
