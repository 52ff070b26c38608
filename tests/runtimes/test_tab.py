"""A tab of a browser that is only pretended: who opens which address, and what happens when no page comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
import pytest
from scripted import HELLO, ScriptedPage, frame

from bittrue.errors import TargetDied
from bittrue.runtimes import wire
from bittrue.runtimes.browser import Tab
from bittrue.runtimes.inbox import LinkClosedError
from bittrue.runtimes.server import PageLink, Server
from bittrue.runtimes.target import Target

TARGET = Target.parse("chrome:cpu")


class PretendedBrowser:
    """Opens its first address, follows `goto` frames, and opens nothing else unless it is ``driven``."""

    facts: Mapping[str, Any] = {}

    def __init__(self, *, driven: bool = False, dead: str | None = None, opens: bool = True) -> None:
        self.opened: list[str] = []
        self.pages: list[ScriptedPage] = []
        self.ended = dead
        self.closed = False
        self.stopped = False
        self._driven = self.navigates = driven
        self._opens = opens

    def goto(self, url: str) -> bool:
        if self.opened and not self._driven:
            return False
        self.open(url)
        return True

    def open(self, url: str) -> None:
        self.opened.append(url)
        if self._opens:
            self.pages.append(ScriptedPage(url, self._page))

    async def _page(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.send_bytes(frame(HELLO))
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            header, _ = wire.decode(message.data)
            self.stopped = header["type"] == "stop"
            if header["type"] == "goto":
                self.open(header["url"])

    def note_children(self) -> None: ...

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def leave(page: PageLink) -> None:
    """Have the page leave, and wait until the server has noticed."""
    page.send(wire.encode({"type": "stop"}), 10)
    page.receive(10)
    with pytest.raises(LinkClosedError):
        page.receive(10)


def test_the_page_goes_on_to_the_next_session_by_itself(server: Server):
    browser = PretendedBrowser()
    tab = Tab(server, browser)
    first, second = tab.visit(TARGET, 10), tab.visit(TARGET, 10)
    assert browser.opened == [first.url, second.url]
    assert not tab.broken
    tab.close()
    for page in browser.pages:
        page.join()
    assert browser.closed
    assert browser.stopped


def test_a_page_that_left_is_opened_again_by_a_driver(server: Server):
    browser = PretendedBrowser(driven=True)
    tab = Tab(server, browser)
    leave(tab.visit(TARGET, 10))
    assert tab.usable
    assert tab.visit(TARGET, 10).connected
    assert len(browser.opened) == 2
    tab.close()


def test_a_page_that_left_a_browser_without_driver_is_a_death(server: Server):
    browser = PretendedBrowser()
    tab = Tab(server, browser)
    leave(tab.visit(TARGET, 10))
    assert not tab.usable
    with pytest.raises(TargetDied, match="lost its page"):
        tab.visit(TARGET, 10)
    assert tab.broken


def test_a_page_that_never_connects_is_a_death_that_says_what_to_check(server: Server):
    tab = Tab(server, PretendedBrowser(opens=False))
    with pytest.raises(TargetDied, match=r"chrome:cpu did not start: no page connected within 0\.1 s; check") as caught:
        tab.visit(TARGET, 0.1)
    assert caught.value.after is None
    assert tab.broken


def test_a_browser_that_ends_before_its_page_connects_is_noticed_at_once(server: Server):
    tab = Tab(server, PretendedBrowser(opens=False, dead="its process ended with status 1"))
    with pytest.raises(TargetDied, match="did not start: its process ended with status 1"):
        tab.visit(TARGET, 600)
