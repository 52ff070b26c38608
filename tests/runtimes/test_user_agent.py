"""Browsers as they introduce themselves."""

from __future__ import annotations

import pytest

from bittrue.runtimes.user_agent import described_by

IPHONE = "iPhone; CPU iPhone OS 17_5 like Mac OS X"
PIXEL = "Linux; Android 14; Pixel 8"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("system", "rest", "browser", "version"),
    [
        (IPHONE, f"{WEBKIT} Version/17.5 Mobile/15E148 Safari/604.1", "Safari", "17.5"),
        (IPHONE, f"{WEBKIT} CriOS/126.0.6478.35 Mobile/15E148 Safari/604.1", "CriOS", "126.0.6478.35"),
        (PIXEL, f"{BLINK} Chrome/126.0.0.0 Mobile Safari/537.36", "Chrome", "126.0.0.0"),
        (PIXEL, f"{BLINK} SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36", "SamsungBrowser", "25.0"),
        ("Windows NT 10.0; Win64; x64", f"{BLINK} Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0", "Edg", "126.0.0.0"),
        ("Android 14; Mobile; rv:127.0", "Gecko/127.0 Firefox/127.0", "Firefox", "127.0"),
        ("X11; Linux x86_64", f"{BLINK} HeadlessChrome/156.0.0.0 Safari/537.36", "HeadlessChrome", "156.0.0.0"),
    ],
)
def test_the_browser_and_the_system_are_found(system: str, rest: str, browser: str, version: str) -> None:
    found = described_by(f"Mozilla/5.0 ({system}) {rest}")
    assert found == {"os": system, "browser": browser, "browser_version": version}


@pytest.mark.parametrize("words", ["", "nonsense", "(((", "a/", "/1"])
def test_nothing_is_made_up(words: str) -> None:
    assert "browser" not in described_by(words)
