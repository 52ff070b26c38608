"""What all tests share: which programs are here, said aloud at both ends of a session.

A test that needs a browser, Node or TensorFlow says so with ``@pytest.mark.needs("chrome")``. Where one is missing the
test is skipped with a reason, the summary declares it absent, and ``BITTRUE_TEST_REQUIRE=chrome,node`` makes the
whole session fail at once instead: a machine that should have it must not pass by skipping.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from setup import find_deno

from bittrue.errors import TargetUnavailable
from bittrue.runtimes.discovery import Installed, find_browser, find_node


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds pyproject.toml."""
    return Path(__file__).resolve().parent.parent


def _program(find: Callable[[], Installed | None]) -> str | None:
    try:
        found = find()
    except TargetUnavailable:
        return None
    return f"{found.name} {found.version or ''}".strip() if found else None


def _deno() -> str | None:
    path = find_deno()
    if path is None:
        return None
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.splitlines()[0] if done.returncode == 0 else None


def _package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


_SEARCHES: dict[str, Callable[[], str | None]] = {
    "chrome": lambda: _program(lambda: find_browser("chrome")),
    "deno": _deno,
    "edge": lambda: _program(lambda: find_browser("edge")),
    "firefox": lambda: _program(lambda: find_browser("firefox")),
    "node": lambda: _program(find_node),
    "npm": lambda: shutil.which("npm"),
    "tensorflow": lambda: _package("tensorflow"),
}


@functools.cache
def found(name: str) -> str | None:
    """What is here under that name of the list above: its version, None if it is absent."""
    return _SEARCHES[name]()


def declared_states() -> str:
    """One line: what is here, and what is declared absent."""
    return ", ".join(f"{name}: {'present' if found(name) else 'ABSENT'}" for name in _SEARCHES)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Stop at once where something that must be here is not."""
    required = [name.strip() for name in os.environ.get("BITTRUE_TEST_REQUIRE", "").split(",") if name.strip()]
    unknown = [name for name in required if name not in _SEARCHES]
    missing = [name for name in required if name not in unknown and found(name) is None]
    if unknown or missing:
        what = f"unknown: {', '.join(unknown)}" if unknown else f"absent: {', '.join(missing)}"
        pytest.exit(f"BITTRUE_TEST_REQUIRE={','.join(required)}, but {what}", returncode=4)


def pytest_report_header() -> list[str]:
    """At the start: with versions."""
    return [f"bittrue: {name} {found(name) or 'ABSENT, its tests are skipped'}" for name in _SEARCHES]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """At the end once more, beside the count of skipped tests."""
    terminalreporter.write_line(f"bittrue: {declared_states()}")


_LONGEST = (
    "runtimes/test_browser.py",
    "test_readme.py",
    "faults/test_cli_deaths.py",
    "exact/test_everywhere.py",
    "faults/test_cli_signals.py",
    "test_demo.py",
    "packaging/test_no_network.py",
    "faults/test_cli_bad_use.py",
    "packaging/test_wheel.py",
    "runtimes/test_keras.py",
    "runtimes/test_device.py",
    "conformance/test_sample.py",
    "docs/test_commands.py",
    "reproducing/test_written.py",
    "runtimes/test_webdriver.py",
    "cli/test_certifying.py",
    "examples/test_mtcnn.py",
    "model/test_without_keras.py",
    "conversion/test_random_models.py",
    "report/test_html.py",
    "docs/test_tfjs_errors.py",
    "runtimes/test_exact_agents.py",
)
"""Files with few tests that take long: they begin first, so that none is left to one worker alone at the end."""


def _turn(item: pytest.Item) -> int:
    name = item.path.as_posix()
    return next((turn for turn, ending in enumerate(_LONGEST) if name.endswith(f"/tests/{ending}")), len(_LONGEST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; skip what cannot run here."""
    items.sort(key=_turn)
    for item in items:
        for marker in item.iter_markers("needs"):
            absent = [name for name in marker.args if found(name) is None]
            if absent:
                item.add_marker(pytest.mark.skip(reason=f"absent here: {', '.join(absent)}"))
