"""Agents that say what a test tells them to: over a link in memory, or over a real WebSocket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import aiohttp
import numpy as np

from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef, Weight
from bittrue.runtimes import wire
from bittrue.runtimes.inbox import Inbox

HELLO = {"type": "hello", "protocol": 1, "agent": "page", "userAgent": "Mozilla/5.0 (scripted)"}
ENVIRONMENT = {
    "type": "environment",
    "backend": "wasm",
    "asked": "wasm",
    "version": "4.22.0",
    "adapter": None,
    "software": None,
    "details": {"threads": 2},
}
DONE = {"type": "done", "timings": {"predicting": 1500}, "memory": 1024}


def frame(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """A frame as an agent writes it."""
    return wire.encode(header, payload)


def record(layer: list[str], array: np.ndarray, nodes: list[int] | None = None, **fields: Any) -> list[bytes]:
    """The frames of one record, in pieces of at most 4 MiB."""
    data, pieces = array.tobytes(), []
    for offset in range(0, max(len(data), 1), wire.MAX_PAYLOAD):
        header = {"type": "record", "kind": "output", "path": layer, "nodes": nodes or [0] * len(layer), "index": 0}
        header |= {"dtype": array.dtype.name, "shape": list(array.shape), "offset": offset, "total": len(data)}
        pieces.append(frame(header | fields, data[offset : offset + wire.MAX_PAYLOAD]))
    return pieces


def chain(*names: str, size: int = 2) -> Graph:
    """x → Dense → Dense …, each with a kernel."""
    layers = [LayerNode("x", "InputLayer", "keras.layers", {}, (), (Call(()),))]
    for name in names:
        call = Call((TensorRef(layers[-1].name),))
        kernel = Weight("kernel", np.eye(size, dtype=np.float32))
        layers.append(LayerNode(name, "Dense", "keras.layers", {}, (kernel,), (call,)))
    spec = InputSpec("x", (None, size), np.dtype(np.float32), TensorRef("x"))
    return Graph("chain", "Functional", tuple(layers), (spec,), (TensorRef(layers[-1].name),))


class ScriptedLink:
    """A link whose agent says ``frames`` and then ends with ``end``, an exception of the link's."""

    def __init__(self, frames: Iterable[bytes], end: Exception | None = None, answers: bool | None = True) -> None:
        self.sent: list[bytes] = []
        self._answers = answers
        self._inbox = Inbox(2**40)
        for item in frames:
            self._inbox.put(item)
        if end is not None:
            self._inbox.close(end)

    def send(self, frame: bytes, timeout: float) -> None:
        self.sent.append(frame)

    def receive(self, timeout: float) -> bytes:
        return self._inbox.get(timeout)

    def answers(self) -> bool | None:
        return self._answers


class ScriptedPage:
    """A page without a browser: opens the socket of ``url`` in a thread and does what ``script`` says."""

    def __init__(
        self,
        url: str,
        script: Callable[[aiohttp.ClientWebSocketResponse], Awaitable[None]],
        headers: dict[str, str] | None = None,
    ) -> None:
        self.error: Exception | None = None
        origin = "/".join(url.split("/")[:3])
        arguments = (f"{url}socket", script, {"Origin": origin} | (headers or {}))
        self._thread = threading.Thread(target=self._run, args=arguments)
        self._thread.start()

    def _run(self, *arguments: Any) -> None:
        try:
            asyncio.run(self._visit(*arguments))
        except Exception as error:
            self.error = error

    async def _visit(self, url: str, script: Any, headers: dict[str, str]) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, headers=headers, max_msg_size=0) as socket,
        ):
            await script(socket)

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()


def saying(*frames: bytes) -> Callable[[aiohttp.ClientWebSocketResponse], Awaitable[None]]:
    """A script: say these frames, then leave."""

    async def script(socket: aiohttp.ClientWebSocketResponse) -> None:
        for item in frames:
            await socket.send_bytes(item)

    return script
