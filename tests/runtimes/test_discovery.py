"""Finding programs, on this system and on those that are only pretended."""

from __future__ import annotations

import plistlib
import sys
from pathlib import Path

import pytest

from bittrue.errors import TargetUnavailable
from bittrue.runtimes import discovery
from bittrue.runtimes.discovery import (
    Installed,
    default_targets,
    exact_targets,
    find_browser,
    find_driver,
    find_node,
    has_gpu,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts stand for programs")


def program(path: Path, says: str) -> Path:
    """A program that answers ``--version``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Linux machine on which nothing is installed but what a test puts on its PATH."""
    for variable in ("CHROME", "EDGE", "FIREFOX", "NODE", "CHROMEDRIVER", "MSEDGEDRIVER", "GECKODRIVER"):
        monkeypatch.delenv(f"BITTRUE_{variable}", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(discovery, "_beside", lambda engine, names: None)
    monkeypatch.setattr(discovery, "_node_wheel", lambda: iter(()))
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path / "bin"


def test_on_a_bare_machine_nothing_is_found_and_nothing_raises(bare: Path):
    assert [find_browser(engine) for engine in ("chrome", "edge", "firefox")] == [None] * 3
    assert find_driver("chrome") is None
    assert find_node() is None
    assert default_targets() == []


@posix
def test_a_browser_on_the_path_is_found_with_its_name_and_version(bare: Path):
    program(bare / "chromium", "Chromium 151.0.1.2 built on Debian")
    assert find_browser("chrome") == Installed("Chromium", bare / "chromium", "151.0.1.2")


@posix
def test_chrome_comes_before_chromium(bare: Path):
    program(bare / "chromium", "Chromium 151.0.1.2")
    program(bare / "google-chrome", "Google Chrome 152.0.1.2")
    found = find_browser("chrome")
    assert found is not None
    assert found.name == "Google Chrome"


@posix
def test_the_environment_overrules_what_is_installed(bare: Path, monkeypatch: pytest.MonkeyPatch):
    program(bare / "firefox", "Mozilla Firefox 140.1esr")
    monkeypatch.setenv("BITTRUE_FIREFOX", str(program(bare.parent / "nightly", "Mozilla Firefox 160.0a1")))
    found = find_browser("firefox")
    assert found is not None
    assert found.path == bare.parent / "nightly"


def test_a_variable_that_names_no_file_is_said_in_one_sentence(bare: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BITTRUE_CHROME", str(bare / "gone"))
    with pytest.raises(TargetUnavailable, match=r"BITTRUE_CHROME names .*gone, which is no file"):
        find_browser("chrome")


@posix
@pytest.mark.parametrize(("version", "taken"), [("151.0.9.9", True), ("149.0.1.2", False)])
def test_a_driver_is_taken_only_for_the_browser_it_was_made_for(bare: Path, version: str, taken: bool):
    program(bare / "chromium", "Chromium 151.0.1.2")
    program(bare / "chromedriver", f"ChromeDriver {version} (abc)")
    assert (find_driver("chrome") is not None) is taken


@posix
def test_geckodriver_has_version_numbers_of_its_own(bare: Path):
    program(bare / "firefox", "Mozilla Firefox 140.1esr")
    program(bare / "geckodriver", "geckodriver 0.36.0")
    assert find_driver("firefox") == Installed("geckodriver", bare / "geckodriver", "0.36.0")


@posix
@pytest.mark.parametrize(("says", "taken"), [("v18.0.0", True), ("v16.20.2", False), ("nonsense", False)])
def test_node_must_be_18_or_newer(bare: Path, says: str, taken: bool):
    program(bare / "node", says)
    assert (find_node() is not None) is taken


@posix
def test_an_old_node_of_the_system_is_passed_over_for_the_wheel(bare: Path, monkeypatch: pytest.MonkeyPatch):
    program(bare / "node", "v12.0.0")
    wheel = program(bare.parent / "wheel" / "node", "v22.1.0")
    monkeypatch.setattr(discovery, "_node_wheel", lambda: iter([wheel]))
    assert find_node() == Installed("Node", wheel, "22.1.0")


@posix
def test_default_targets_are_the_backends_of_what_is_here(bare: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BITTRUE_SOFTWARE_GPU", "1")
    monkeypatch.delenv("DISPLAY", raising=False)
    program(bare / "chromium", "Chromium 151.0.1.2")
    program(bare / "firefox", "Mozilla Firefox 140.1esr")
    program(bare / "node", "v20.1.0")
    assert [str(target) for target in default_targets()] == [
        *(f"chrome:{backend}" for backend in ("webgl", "cpu", "wasm", "webgpu")),
        *(f"firefox:{backend}" for backend in ("cpu", "wasm")),
        *(f"node:{backend}" for backend in ("cpu", "wasm")),
    ]


def test_a_remote_webdriver_stands_for_chrome(bare: Path):
    assert {target.engine for target in default_targets(webdriver=True)} == {"chrome"}
    assert [str(target) for target in exact_targets(webdriver=True)] == ["python:exact", "chrome:exact"]


@posix
def test_the_exact_runtime_is_in_python_and_in_what_is_here(bare: Path):
    assert [str(target) for target in exact_targets()] == ["python:exact"]
    program(bare / "firefox", "Mozilla Firefox 140.1esr")
    program(bare / "node", "v20.1.0")
    assert [str(target) for target in exact_targets()] == ["python:exact", "firefox:exact", "node:exact"]


def test_windows_versions_are_read_from_files_and_never_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(discovery, "_said", lambda path: pytest.fail("a window would open"))
    for version in ("99.0.1.1", "151.0.7.8"):
        (tmp_path / version).mkdir()
    assert discovery._version_text(tmp_path / "chrome.exe") == "Google Chrome 151.0.7.8"
    (tmp_path / "application.ini").write_text("[App]\nVendor=Mozilla\nName=Firefox\nVersion=140.0.2\n")
    assert discovery._version_text(tmp_path / "firefox.exe") == "Firefox 140.0.2"


def test_windows_looks_where_windows_installs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROGRAMFILES", str(tmp_path))
    assert tmp_path / "Google" / "Chrome" / "Application" / "chrome.exe" in list(discovery._windows_paths("chrome"))
    assert tmp_path / "Mozilla Firefox" / "firefox.exe" in list(discovery._windows_paths("firefox"))


def test_macos_versions_are_read_from_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    contents = tmp_path / "Google Chrome.app" / "Contents"
    (contents / "MacOS").mkdir(parents=True)
    facts = {"CFBundleName": "Chrome", "CFBundleShortVersionString": "151.0.7.8"}
    (contents / "Info.plist").write_bytes(plistlib.dumps(facts))
    assert discovery._version_text(contents / "MacOS" / "Google Chrome") == "Chrome 151.0.7.8"


def test_software_graphics_can_be_forced_and_forbidden(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BITTRUE_SOFTWARE_GPU", "1")
    assert not has_gpu()
    monkeypatch.setenv("BITTRUE_SOFTWARE_GPU", "0")
    assert has_gpu()


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_systems_than_linux_are_taken_to_have_a_card(platform: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("BITTRUE_SOFTWARE_GPU", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    assert has_gpu()


def test_what_is_missing_comes_with_what_to_install():
    error = discovery.missing_browser("edge")
    assert "Microsoft Edge was not found" in str(error)
    assert error.remedy is not None
    assert "BITTRUE_EDGE" in error.remedy
