"""The server of pages: the page, TensorFlow.js, artifacts, and one WebSocket a session.

It listens on 127.0.0.1 alone unless another address of this machine is asked for, behind a token that nobody can guess,
and serves only files that were mounted by name. With an ``offer`` it has a door as well: a page that says what is to be
run, for people who open it themselves. aiohttp runs in a thread with an event loop of its own; everything public here
may be called from any other thread.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import ipaddress
import secrets
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web
from aiohttp.typedefs import Handler, Middleware

from bittrue.errors import ProtocolError, UsageError

from .inbox import Inbox, LinkClosedError, SilenceError
from .responses import SECURITY, policy, policy_of_style, send_file
from .wire import MAX_FRAME

__all__ = ["LOOPBACK", "PageLink", "Server"]

LOOPBACK = "127.0.0.1"
_TICK = 0.25  # seconds between chances for Ctrl-C
_PATIENCE = 2.0  # seconds for a browser to answer a ping, or a closing handshake


class PageLink:
    """The one socket of one session in a browser."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self.remote: str | None = None  # the network address of whoever opened it
        self._loop = loop
        self._room = asyncio.Event()
        self._pong = threading.Event()
        self._connected = threading.Event()
        self._socket: web.WebSocketResponse | None = None
        self._inbox = Inbox(on_room=lambda: _soon(loop, self._room.set))

    @property
    def connected(self) -> bool:
        """Whether a page has opened the socket (it may have left since)."""
        return self._connected.is_set()

    @property
    def open(self) -> bool:
        """Whether a page is connected now."""
        return self.connected and not self._inbox.closed

    def send(self, frame: bytes, timeout: float) -> None:
        """Send one frame; waits while the page is slow to take it."""
        if self._socket is None or self._inbox.closed:
            raise LinkClosedError("the page closed its connection")
        _result(asyncio.run_coroutine_threadsafe(self._socket.send_bytes(frame), self._loop), timeout)

    def receive(self, timeout: float) -> bytes:
        """The next frame."""
        return self._inbox.get(timeout)

    def answers(self) -> bool:
        """Whether the browser answers a ping; it does so even while its page is busy."""
        self._pong.clear()
        with suppress(LinkClosedError, SilenceError):
            if self._socket is not None:
                _result(asyncio.run_coroutine_threadsafe(self._socket.ping(), self._loop), _PATIENCE)
                return self._pong.wait(_PATIENCE)
        return False

    async def serve(self, socket: web.WebSocketResponse) -> None:
        """Pass on what arrives until the page leaves. Runs in the server's loop."""
        self._socket = socket
        self._connected.set()
        reason: str | Exception = "the page closed its connection"
        try:
            reason = await self._receive_all(socket) or reason
        finally:
            self._inbox.close(reason)

    async def _receive_all(self, socket: web.WebSocketResponse) -> Exception | None:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                self._room.clear()
                if not self._inbox.put(message.data):
                    await self._room.wait()
            elif message.type is WSMsgType.PONG:
                self._pong.set()
            elif message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                await socket.close(code=WSCloseCode.UNSUPPORTED_DATA)
                return ProtocolError("the agent broke the wire protocol: it sent text where frames are binary")
            elif message.type is WSMsgType.ERROR:
                return _broken(message.data)
        return None

    async def shut(self) -> None:
        """Close the socket. Runs in the server's loop."""
        self._inbox.close("the session is over")
        if self._socket is not None:
            await self._socket.close(code=WSCloseCode.GOING_AWAY)


class Server(AbstractContextManager["Server"]):
    """Serves on ``address`` (IPv4) from the moment it is made until `close`.

    ``token`` stands first in every path, a long random one unless it is given. Where there is an ``offer``, the
    address `base` alone is a page for people, ``door.html`` of what is mounted as ``agent``, which asks ``offer`` for
    what there is to run; whoever comes with another address gets ``lost.html``. ``offer`` is called in the server's
    thread and returns JSON values. Raises UsageError if ``port`` cannot be had.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        address: str = LOOPBACK,
        token: str | None = None,
        offer: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self.address = address
        self._listener = _listen(address, port)
        self.port: int = self._listener.getsockname()[1]
        self._token = token or secrets.token_urlsafe(24)
        self._offer = offer
        self._files: dict[str, Path] = {}
        self._pages: dict[str, PageLink] = {}
        self._claimed: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="bittrue-server", daemon=True)
        self._thread.start()

    @property
    def base(self) -> str:
        """The address that everything lies under, token included, with a slash at its end."""
        return f"http://{self.address}:{self.port}/{self._token}/"

    def mount(self, prefix: str, folder: Path, names: Iterable[str]) -> str:
        """Serve the files ``names`` (POSIX paths under ``folder``) under ``prefix``. Returns their base address."""
        for name in names:
            self._files[f"{prefix}/{name}"] = folder / name
        return f"{self.base}{prefix}/"

    def size(self, url: str) -> int:
        """Bytes of the file that is served at ``url``; 0 for none."""
        path = self._files.get(url.removeprefix(self.base))
        return path.stat().st_size if path is not None and path.is_file() else 0

    def open_page(self) -> PageLink:
        """A new session, to be opened in a browser at the link's ``url``."""
        session = secrets.token_hex(8)
        page = PageLink(f"{self.base}session/{session}/", self._loop)
        self._pages[session] = page
        return page

    def close_page(self, page: PageLink) -> None:
        """End a session: its socket is closed and its address answers no more."""
        session = page.url.rstrip("/").rpartition("/")[2]
        if self._pages.pop(session, None) is not None and self._thread.is_alive():
            with suppress(LinkClosedError, SilenceError):
                _result(asyncio.run_coroutine_threadsafe(page.shut(), self._loop), _PATIENCE)

    def close(self) -> None:
        """End every session and stop serving; may be called again."""
        for page in list(self._pages.values()):
            self.close_page(page)
        _soon(self._loop, self._over.set)
        self._thread.join(2 * _PATIENCE)

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._listener.close()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(middlewares=[_middleware(self._guard, self._lost)])
        if self._offer is not None:
            app.router.add_get("/{token}/", self._door)
            app.router.add_get("/{token}/offer", self._offered)
        app.router.add_get("/{token}/session/{session}/", self._page)
        app.router.add_get("/{token}/session/{session}/socket", self._socket)
        # The agent's own files stand beside its page, so that its addresses are relative.
        app.router.add_get("/{token}/session/{session}/{name:.+}", self._page)
        app.router.add_get("/{token}/{name:.+}", self._file)
        app.on_response_prepare.append(self._headers)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await runner.setup()
        await web.SockSite(runner, self._listener).start()
        await self._over.wait()
        await runner.cleanup()

    async def _guard(self, request: web.Request) -> None:
        """Refuse whoever does not come from our own page: another Host (DNS rebinding), or no token."""
        if request.host not in self._hosts:
            raise web.HTTPMisdirectedRequest()
        token = request.match_info.get("token", "")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self._token.encode()):
            raise web.HTTPNotFound()

    @property
    def _hosts(self) -> tuple[str, ...]:
        own = f"{self.address}:{self.port}"
        return (own, f"localhost:{self.port}") if self.address == LOOPBACK else (own,)

    async def _headers(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        response.headers.update(SECURITY)
        if not ipaddress.ip_address(self.address).is_loopback:  # ignored there, with a complaint in the console
            del response.headers["Cross-Origin-Opener-Policy"]
        response.headers.setdefault("Content-Security-Policy", policy(self._hosts))

    async def _door(self, request: web.Request) -> web.StreamResponse:
        return await send_file(request, self._files.get("agent/door.html"))

    async def _offered(self, request: web.Request) -> web.StreamResponse:
        assert self._offer is not None
        return web.json_response(self._offer())

    async def _lost(self, request: web.Request) -> web.StreamResponse | None:
        """A page for a person whose address leads nowhere, or None where it is no person's."""
        if self._offer is None or "text/html" not in request.headers.get("Accept", ""):
            return None
        page = await asyncio.get_running_loop().run_in_executor(None, self._files["agent/lost.html"].read_bytes)
        own = {"Content-Security-Policy": policy_of_style(page)}
        return web.Response(status=404, body=page, content_type="text/html", charset="utf-8", headers=own)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["session"] not in self._pages:
            raise web.HTTPNotFound()
        name = request.match_info.get("name") or "index.html"
        return await send_file(request, self._files.get(f"agent/{name}"))

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return await send_file(request, self._files.get(request.match_info["name"]))

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        session = request.match_info["session"]
        if request.headers.get("Origin") != f"http://{request.host}":
            raise web.HTTPForbidden()
        if session not in self._pages:
            raise web.HTTPNotFound()
        if session in self._claimed:
            raise web.HTTPConflict()
        self._claimed.add(session)
        self._pages[session].remote = request.remote
        response = web.WebSocketResponse(
            compress=False, max_msg_size=MAX_FRAME, autoping=False, timeout=_PATIENCE, decode_text=False
        )
        await response.prepare(request)
        await self._pages[session].serve(response)
        return response


def _middleware(
    guard: Callable[[web.Request], Awaitable[None]],
    lost: Callable[[web.Request], Awaitable[web.StreamResponse | None]],
) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            await guard(request)
            return await handler(request)
        except web.HTTPNotFound:
            page = await lost(request)
            if page is None:
                raise
            return page

    return check


def _broken(error: object) -> Exception | None:
    """What a page did that no WebSocket may; a connection that just broke is none of that."""
    if isinstance(error, WebSocketError):
        what = f"a frame of more than {MAX_FRAME} bytes" if error.code == WSCloseCode.MESSAGE_TOO_BIG else str(error)
        return ProtocolError(f"the agent broke the wire protocol: it sent {what}")
    return None


def _listen(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(64)
    except (OSError, OverflowError) as error:
        listener.close()
        number = error.errno if isinstance(error, OSError) else None
        if number == errno.EADDRNOTAVAIL:
            raise UsageError(
                f"{address} is no address of this machine: name one with --listen, or leave it out"
            ) from error
        taken = number == errno.EADDRINUSE
        why = "is in use" if taken else f"cannot be listened on ({error})"
        raise UsageError(f"port {port} on {address} {why}: choose another one, or 0 for any that is free") from error
    return listener


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(call)


def _result(future: Future[None], timeout: float) -> None:
    """Wait for what runs in the loop, in steps short enough for Ctrl-C on Windows."""
    left = timeout
    while True:
        try:
            future.result(min(_TICK, left))
            return
        except TimeoutError:
            left -= _TICK
            if left <= 0:
                future.cancel()
                raise SilenceError(f"nothing was taken for {timeout:g} s") from None
        except (OSError, RuntimeError) as error:
            raise LinkClosedError("the page closed its connection") from error
