"""A loopback server that takes one thing: recorded traces, posted by a page that holds its unguessable address."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Self

from aiohttp import web

from bittrue.errors import BittrueError, TraceError, UsageError
from bittrue.tracefile import read_trace

__all__ = ["LARGEST", "Listener"]

LARGEST = 512 * 2**20
"""Bytes of one recording that are taken unless another limit is given."""

_HOST = "127.0.0.1"
_FROM_ANY_PAGE = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "content-type",
    "Access-Control-Allow-Private-Network": "true",
}
"""The token in the address is the permission: whoever has it may come from any origin."""


class Listener(AbstractContextManager["Listener"]):
    """Listens on 127.0.0.1 while it is entered; every recording that is whole is put into ``folder``.

    ``taken`` is called with its path, in the server's thread. Raises UsageError if ``port`` cannot be had or the folder
    cannot be made.
    """

    def __init__(self, folder: Path, taken: Callable[[Path], None], *, port: int = 0, largest: int = LARGEST) -> None:
        self._folder = folder
        self._taken = taken
        self._port = port
        self._largest = largest
        self._token = secrets.token_urlsafe(24)
        self._count = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bittrue-listen", daemon=True)

    @property
    def url(self) -> str:
        """Where a page posts to."""
        return f"http://{_HOST}:{self._port}/{self._token}"

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"the folder {self._folder} cannot be made: {error.strerror}; name another") from error
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        except (OSError, OverflowError) as error:
            self._end()
            raise UsageError(f"port {self._port} cannot be listened on ({error}); choose another, or 0") from error
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=self._largest)
        app.router.add_route("*", "/{token}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, _HOST, self._port).start()
        self._port = self._runner.addresses[0][1]

    async def _answer(self, request: web.Request) -> web.Response:
        if request.host not in (f"{_HOST}:{self._port}", f"localhost:{self._port}"):
            raise web.HTTPMisdirectedRequest()
        if not hmac.compare_digest(request.match_info["token"].encode("utf-8", "replace"), self._token.encode()):
            raise web.HTTPNotFound()
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=_FROM_ANY_PAGE)
        if request.method != "POST":
            raise web.HTTPMethodNotAllowed(request.method, ["POST"])
        try:
            path = await self._receive(request)
        except BittrueError as error:
            return web.Response(status=400, text=str(error), headers=_FROM_ANY_PAGE)
        await asyncio.get_running_loop().run_in_executor(None, self._taken, path)
        return web.Response(text="taken", headers=_FROM_ANY_PAGE)

    async def _receive(self, request: web.Request) -> Path:
        """Store what is posted, whole and a trace, or not at all. Raises TraceError."""
        partial = self._folder / f".{secrets.token_hex(8)}.partial"
        try:
            with partial.open("xb") as file:
                size = 0
                async for piece in request.content.iter_chunked(2**20):
                    size += len(piece)
                    if size > self._largest:
                        raise TraceError(f"the recording is larger than {self._largest:,} bytes; record fewer calls")
                    file.write(piece)
            trace = read_trace(partial)
            if not trace.of_kind("input"):
                raise TraceError("the recording holds no input; predict before it is posted")
            del trace
            return partial.rename(self._free_name())
        except TraceError as error:
            raise TraceError(str(error).replace(str(partial), "what was posted")) from error
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def _free_name(self) -> Path:
        while True:
            self._count += 1
            path = self._folder / f"recorded-{self._count}.safetensors"
            if not path.exists():
                return path
