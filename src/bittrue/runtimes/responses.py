"""What every answer of the server of pages says, and the files that it hands out."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

__all__ = ["SECURITY", "policy", "policy_of_style", "send_file"]

_PIECE = 2**20  # bytes read from a file at once
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
}
"""By name and not by the system's table, which on Windows anybody may have changed."""

SECURITY = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Server": "bittrue",
}
"""COOP and COEP make the page cross-origin isolated, which threads in WebAssembly need."""


def policy(hosts: Iterable[str]) -> str:
    """What the page may load: ourselves alone. Threaded wasm starts its workers from blobs."""
    sockets = " ".join(f"ws://{host}" for host in hosts)
    return (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; "
        f"connect-src 'self' {sockets} blob:; style-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def policy_of_style(page: bytes) -> str:
    """A page that loads nothing and has one style of its own: it stands where no address leads anywhere."""
    style = page.partition(b"<style>")[2].partition(b"</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; frame-ancestors 'none'"


async def send_file(request: web.Request, path: Path | None) -> web.StreamResponse:
    """The whole of one file, in pieces; neither ranges nor compressed siblings, so that a name is one content."""
    loop = asyncio.get_running_loop()
    try:
        if path is None:
            raise web.HTTPNotFound()
        file = await loop.run_in_executor(None, open, path, "rb")
    except OSError as error:
        raise web.HTTPNotFound() from error
    with file:
        response = web.StreamResponse(headers={"Content-Type": _TYPES.get(path.suffix, "application/octet-stream")})
        response.content_length = path.stat().st_size
        await response.prepare(request)
        while request.method != "HEAD" and (piece := await loop.run_in_executor(None, file.read, _PIECE)):
            await response.write(piece)
        await response.write_eof()
        return response
