"""How browsers are started: what must be there, and what must not be forced."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bittrue.runtimes import launch
from bittrue.runtimes.launch import display_kind
from bittrue.runtimes.switches import chromium_switches, firefox_preferences, write_preferences


def test_a_real_graphics_card_is_never_replaced_by_emulation():
    switches = chromium_switches(headless=True, software=False)
    assert not [switch for switch in switches if "swiftshader" in switch.lower() and "=" in switch]


def test_emulation_is_forced_where_there_is_no_card():
    switches = chromium_switches(headless=True, software=True)
    assert {"--use-angle=swiftshader", "--use-webgpu-adapter=swiftshader"} <= set(switches)


def test_windows_are_shown_only_on_request():
    assert "--headless=new" in chromium_switches(headless=True, software=False)
    assert "--headless=new" not in chromium_switches(headless=False, software=False)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")
def test_the_sandbox_is_given_up_for_root_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "--no-sandbox" in chromium_switches(headless=True, software=False)
    assert "--no-sandbox" not in chromium_switches(headless=True, software=False, local=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "--no-sandbox" not in chromium_switches(headless=True, software=False)


def test_no_switch_is_given_twice():
    names = [switch.split("=")[0] for switch in chromium_switches(headless=True, software=True)]
    assert len(names) == len(set(names))


def test_ones_own_switches_are_added(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BITTRUE_CHROME_ARGS", "--a --b='c d'")
    assert chromium_switches(headless=True, software=False)[-2:] == ["--a", "--b=c d"]


def test_preferences_are_written_as_javascript(tmp_path: Path):
    write_preferences(tmp_path, {"a.b": True, "c": 5, "d": 'say "\\"'})
    expected = 'user_pref("a.b", true);\nuser_pref("c", 5);\nuser_pref("d", "say \\"\\\\\\"");\n'
    assert (tmp_path / "user.js").read_text() == expected


def test_firefox_reaches_nobody_but_loopback():
    preferences = firefox_preferences()
    assert preferences["network.proxy.type"] == 1
    assert preferences["network.proxy.failover_direct"] is preferences["network.proxy.allow_bypass"] is False
    assert preferences["network.proxy.no_proxies_on"] == "127.0.0.1, localhost"
    assert preferences["toolkit.telemetry.enabled"] is False
    assert preferences["webgl.disabled"] is False


@pytest.fixture
def linux(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A Linux machine without card, screen and Xvfb."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(launch, "has_gpu", lambda: False)
    monkeypatch.setattr(launch, "find_xvfb", lambda: None)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return monkeypatch


def test_firefox_gets_a_virtual_screen_for_its_graphics_alone(linux: pytest.MonkeyPatch):
    linux.setattr(launch, "find_xvfb", lambda: Path("Xvfb"))
    assert display_kind("firefox", "webgl", headless=True) == "virtual"
    assert display_kind("firefox", "wasm", headless=True) == "headless"
    assert display_kind("chrome", "webgl", headless=True) == "headless"


def test_a_graphics_card_is_not_given_up_for_a_virtual_screen(linux: pytest.MonkeyPatch):
    linux.setattr(launch, "find_xvfb", lambda: Path("Xvfb"))
    linux.setattr(launch, "has_gpu", lambda: True)
    assert display_kind("firefox", "webgl", headless=True) == "headless"
    linux.setenv("DISPLAY", ":0")
    assert display_kind("firefox", "webgl", headless=True) == "screen"


def test_without_xvfb_the_users_screen_serves(linux: pytest.MonkeyPatch):
    linux.setenv("DISPLAY", ":0")
    assert display_kind("firefox", "webgl", headless=True) == "screen"


def test_elsewhere_than_on_linux_no_screen_is_needed(linux: pytest.MonkeyPatch):
    linux.setattr(sys, "platform", "darwin")
    assert display_kind("firefox", "webgl", headless=True) == "headless"


def test_a_window_that_was_asked_for_is_on_the_users_screen(linux: pytest.MonkeyPatch):
    assert display_kind("chrome", "cpu", headless=False) == "screen"
