"""Opening a browser by a plain command line, in a profile of its own that ends with it."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from bittrue.errors import TargetDied, TargetUnavailable

from .discovery import Installed, find_xvfb, has_gpu
from .processes import ProgramTree, Scratch
from .switches import chromium_switches, firefox_preferences, write_preferences

__all__ = [
    "CommandLineBrowser",
    "Display",
    "DisplayKind",
    "OpenBrowser",
    "browser_environment",
    "display_kind",
    "make_scratch",
]

_DISPLAY_PATIENCE = 15.0  # seconds for the virtual display to start


class OpenBrowser(Protocol):
    """A browser that was opened for us.

    ``facts`` go into the provenance of what runs in it; ``navigates`` says whether it can be sent to a second
    address when its page is gone.
    """

    facts: Mapping[str, Any]
    navigates: bool

    @property
    def ended(self) -> str | None:
        """How it ended, None while it runs or where that cannot be known."""

    def goto(self, url: str) -> bool:
        """Open ``url`` in it. Returns False if it can open nothing but its first address."""

    def note_children(self) -> None:
        """Remember its processes now, in case the first of them dies before the others."""

    def close(self) -> None:
        """End it and everything it left; may be called again."""


DisplayKind = Literal["headless", "screen", "virtual"]


def display_kind(engine: str, backend: str, *, headless: bool) -> DisplayKind:
    """Which display a backend needs.

    A headless Firefox has no WebGL on Linux without a graphics card: it gets a screen, virtual if need be.
    """
    if not headless:
        return "screen"
    if engine != "firefox" or backend not in ("webgl", "webgpu") or not sys.platform.startswith("linux"):
        return "headless"
    if not has_gpu() and find_xvfb() is not None:
        return "virtual"
    return "screen" if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") else "headless"


class Display:
    """Where a browser shows its window: nowhere (headless), on the user's screen, or on a virtual one."""

    def __init__(self, *, headless: bool, variables: Mapping[str, str] | None = None, name: str = "headless") -> None:
        self.headless = headless
        self.name = name
        self.variables = dict(variables or {})
        self._tree: ProgramTree | None = None
        self._scratch: Scratch | None = None

    @classmethod
    def open(cls, kind: DisplayKind) -> Display:
        """Open a display; it is closed with the browser that uses it."""
        xvfb = find_xvfb()
        if kind == "virtual" and xvfb is not None:
            return cls._virtual(xvfb)
        return cls(headless=kind == "headless", name=kind)

    @classmethod
    def _virtual(cls, xvfb: Path) -> Display:
        scratch = Scratch()
        reading, writing = os.pipe()
        command = [str(xvfb), "-displayfd", str(writing), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
        tree = ProgramTree(command, scratch, pass_fds=(writing,))
        os.close(writing)
        display = cls(headless=False, name="virtual (Xvfb)")
        display._tree, display._scratch = tree, scratch
        try:
            number = _read_number(reading)
        except TargetUnavailable:
            display.close()
            raise
        finally:
            os.close(reading)
        display.variables = {"DISPLAY": f":{number}", "MOZ_ENABLE_WAYLAND": "0"}
        return display

    def close(self) -> None:
        """End the virtual screen."""
        if self._tree is not None and self._scratch is not None:
            self._tree.end()
            self._scratch.remove()


def _read_number(reading: int) -> int:
    """The number of the display that Xvfb found free; it writes it when it is ready."""
    os.set_blocking(reading, False)
    deadline, text = time.monotonic() + _DISPLAY_PATIENCE, b""
    while time.monotonic() < deadline:
        try:
            piece = os.read(reading, 16)
        except BlockingIOError:
            time.sleep(0.02)
            continue
        text += piece
        if text.endswith(b"\n"):
            return int(text)
        if not piece:
            break
    remedy = "check that Xvfb starts by itself"
    raise TargetUnavailable(f"the virtual display Xvfb did not start: {remedy}", target="firefox", remedy=remedy)


def make_scratch(browser: Installed) -> Scratch:
    """A temporary folder that the browser can reach: one from a snap sees only its own part of the home folder."""
    snap = _snap(browser)
    common = Path.home() / "snap" / snap / "common" if snap else None
    return Scratch(common if common and common.is_dir() else None)


def _snap(browser: Installed) -> str | None:
    found = re.match(r"/snap/(?:bin/)?([^/]+)", str(browser.path))
    return found[1] if found else None


def browser_environment(browser: Installed, scratch: Scratch, display: Display) -> dict[str, str]:
    """Our environment, with the display, and with the browser's temporary files in our folder.

    On Linux its home is there too, for the caches and crash databases that it keeps beside its profile. On
    macOS temporary files stay where they are: sockets lie among them, whose paths may have 104 bytes.
    """
    env = {**os.environ, **display.variables, "MOZ_CRASHREPORTER_DISABLE": "1", "MOZ_DATA_REPORTING": "0"}
    if display.variables:
        env.pop("WAYLAND_DISPLAY", None)
    if sys.platform != "darwin":
        env.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch.folder("t"))))
    if sys.platform.startswith("linux") and not _snap(browser):
        env.setdefault("XAUTHORITY", str(Path.home() / ".Xauthority"))
        for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            env.pop(name, None)
        env["HOME"] = str(scratch.folder("h"))
    return env


class CommandLineBrowser:
    """A browser that was given its first address on the command line."""

    navigates = False

    def __init__(self, engine: str, browser: Installed, display: Display) -> None:
        self._engine = engine
        self._browser = browser
        self._display = display
        self._scratch = make_scratch(browser)
        self._tree: ProgramTree | None = None
        self._switches = self._prepare(self._scratch.folder("p"))
        self.facts: Mapping[str, Any] = {
            "browser": browser.name,
            "browser_version": browser.version,
            "opened_by": "command line",
            "display": display.name,
            "switches": [switch for switch in self._switches if str(self._scratch.path) not in switch],
        }

    def _prepare(self, profile: Path) -> list[str]:
        if self._engine == "firefox":
            write_preferences(profile, firefox_preferences())
            headless = ["--headless"] if self._display.headless else []
            return [*headless, "--no-remote", "--profile", str(profile)]
        switches = chromium_switches(headless=self._display.headless, software=not has_gpu())
        return [*switches, f"--user-data-dir={profile}"]

    @property
    def ended(self) -> str | None:
        """How its first process ended."""
        return self._tree.ended if self._tree else None

    def goto(self, url: str) -> bool:
        """Start the browser at ``url``; a second address is the page's own business."""
        if self._tree is not None:
            return False
        env = browser_environment(self._browser, self._scratch, self._display)
        try:
            self._tree = ProgramTree([str(self._browser.path), *self._switches, url], self._scratch, env)
        except OSError as error:
            self.close()
            raise TargetDied(f"{self._browser.path} could not be started: {error}", target=self._engine) from error
        return True

    def note_children(self) -> None:
        """Remember its processes now."""
        if self._tree:
            self._tree.note_children()

    def close(self) -> None:
        """End it, its profile and its display."""
        if self._tree is not None:
            self._tree.end()
        self._display.close()
        self._scratch.remove()
