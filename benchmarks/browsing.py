"""A page of a benchmark: a plain server, a browser opened as Bittrue opens it, and JSON between the two."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import WSMsgType, web
from harness import HERE

from bittrue.runtimes.discovery import find_browser, has_gpu, missing_browser
from bittrue.runtimes.processes import ProgramTree, Scratch
from bittrue.runtimes.switches import chromium_switches

__all__ = ["Browser", "PageServer"]

_PATIENCE = 120.0  # seconds for a page to say something
_ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


class PageServer:
    """Serves ``folders`` by their prefixes, beside the benchmarks' own pages, and talks with the one page opened.

    ``/bare`` is a bare WebSocket: it counts the bytes of binary messages, drops them, and a text says that all is sent.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = {"pages": HERE / "pages", **folders}
        self._heard: queue.Queue[dict[str, Any]] = queue.Queue()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._control: web.WebSocketResponse | None = None

    def __enter__(self) -> PageServer:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    def url(self, page: str) -> str:
        """The address of one of the benchmarks' pages."""
        return f"http://127.0.0.1:{self.port}/pages/{page}"

    def tell(self, **message: Any) -> None:
        """Send the page a message."""
        assert self._control is not None
        asyncio.run_coroutine_threadsafe(self._control.send_str(json.dumps(message)), self._loop).result(_PATIENCE)

    def hear(self, kind: str, patience: float = _PATIENCE) -> dict[str, Any]:
        """The page's next message, within ``patience`` seconds. Raises RuntimeError if it is of another type."""
        message = self._heard.get(timeout=patience)
        if message["type"] != kind:
            raise RuntimeError(f"the page was to say {kind!r} and said {message}")
        return message

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        app = web.Application()
        app.router.add_get("/control", self._talk)
        app.router.add_get("/bare", self._bare)
        for prefix, folder in self._folders.items():
            app.router.add_static(f"/{prefix}", folder)
        app.on_response_prepare.append(self._isolate)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self._started.set()
        await self._over.wait()
        await runner.cleanup()

    @staticmethod
    async def _isolate(request: web.BaseRequest, response: web.StreamResponse) -> None:
        response.headers.update(_ISOLATED)

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        self._control = socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self._heard.put(json.loads(message.data))
        return socket

    async def _bare(self, request: web.Request) -> web.StreamResponse:
        self._control = socket = web.WebSocketResponse(compress=False, max_msg_size=0)
        await socket.prepare(request)
        self._heard.put({"type": "ready"})
        taken = 0
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                taken += len(message.data)
            else:
                self._heard.put({"type": "taken", "bytes": taken})
        return socket


class Browser:
    """Chrome as Bittrue opens it, at ``url``; what it downloads goes to `downloads`. Ended when it is left."""

    def __init__(self, url: str) -> None:
        installed = find_browser("chrome")
        if installed is None:
            raise missing_browser("chrome")
        self._scratch = Scratch()
        self.downloads = self._scratch.folder("d")
        profile = self._scratch.folder("p")
        (profile / "Default").mkdir()
        preferences = {"download": {"default_directory": str(self.downloads), "prompt_for_download": False}}
        (profile / "Default" / "Preferences").write_text(json.dumps(preferences), encoding="utf-8")
        switches = chromium_switches(headless=True, software=not has_gpu())
        self._tree = ProgramTree([str(installed.path), *switches, f"--user-data-dir={profile}", url], self._scratch)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tree.end()
        self._scratch.remove()

    def downloaded(self, name: str) -> Path:
        """The file of that name, as soon as it is whole. Raises RuntimeError if it does not come."""
        deadline = time.monotonic() + _PATIENCE
        while not (self.downloads / name).exists():  # Chrome gives it its name when it is whole
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} was not downloaded")
            time.sleep(0.005)
        return self.downloads / name
