"""Devices as targets: a page on a phone, a tablet or another computer, which a person opens and starts there.

The page is the agent, as in every browser; nobody opens it for us. It is served on one address of this machine, under a
token that nobody can guess and that ends with the run, and does nothing before its button is pressed.
"""

from __future__ import annotations

import ipaddress
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bittrue.errors import ProtocolError, TargetCancelled, TargetFailure, TargetUnavailable, UsageError
from bittrue.graph.model import Graph
from bittrue.traces import Trace

from . import wire
from .base import Inputs, Progress, TraceOptions
from .browser import BrowserRuntime
from .inbox import LinkClosedError, SilenceError
from .job import Job
from .link import Link
from .server import LOOPBACK, PageLink, Server
from .target import Target

__all__ = ["DeviceRuntime", "DeviceTab", "Invitation", "Limited", "described", "listening_address", "own_addresses"]

_TICK = 0.05
_NEXT = 30.0  # seconds for a page to go on to the next session by itself
_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # none that is taken for another when it is copied by hand
_GROUPS, _GROUP = 4, 4  # 16 of 31 letters: 79 bits
_MOST = 16 * 2**30  # bytes that one session may send, where the disk has as many to spare


@dataclass(frozen=True)
class Invitation:
    """Where a person is asked to open the page of ``target``. ``again`` where a device was there and has left."""

    url: str
    target: str
    again: bool = False

    @property
    def sentences(self) -> tuple[str, ...]:
        """What to say of it: what to do, and who can."""
        begin = "The device has left. To go on, open" if self.again else "Open"
        where = ipaddress.ip_address(self.url.split("/")[2].rsplit(":", 1)[0])
        reach = "this machine alone" if where.is_loopback else f"the network of {where}"
        who = "anyone there who has this address can open it, until the run ends; it is not encrypted"
        return (
            f"{begin} {self.url} on the device, and press Start there.",
            f"Bittrue listens to {reach}: {who}." if not where.is_loopback else f"Bittrue listens to {reach}.",
        )


def own_addresses() -> dict[str, str]:
    """The IPv4 addresses of this machine in private networks, each with its interface; loopback is left out."""
    import psutil

    states = psutil.net_if_stats()
    found = {}
    for name, addresses in psutil.net_if_addrs().items():
        if name in states and not states[name].isup:
            continue
        for one in addresses:
            if one.family == socket.AF_INET and _is_local(one.address):
                found[one.address] = name
    return found


def _is_local(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return address.is_private and not address.is_loopback and not address.is_link_local


def listening_address(asked: str | None) -> str:
    """The address to listen on for devices: the one ``asked`` for, else the only one of this machine in its network.

    Raises UsageError for what is no IPv4 address, and where there is none or more than one to choose from.
    """
    if asked is not None:
        try:
            address = ipaddress.IPv4Address(asked)
        except ValueError as error:
            raise UsageError(f"{asked!r} is no IPv4 address: --listen takes one of this machine's own") from error
        if address.is_unspecified or address.is_multicast:
            raise UsageError(f"--listen takes one address of this machine, not {asked}, which stands for many")
        return str(address)
    found = own_addresses()
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise UsageError(
            "this machine has no address in a private network that a device could open: "
            f"connect it to one, or name an address with --listen ({LOOPBACK} for this machine alone)"
        )
    listed = ", ".join(f"{address} ({name})" for address, name in sorted(found.items()))
    raise UsageError(
        f"this machine has several addresses: name the one of the device's network with --listen: {listed}"
    )


def described(graph: Graph, job: Job, inputs: Inputs, files: Mapping[str, int]) -> dict[str, Any]:
    """What a person is told before the run, as JSON values. ``files`` are what is downloaded, with their bytes."""
    weights = {id(weight.value): weight.value for _, layer in graph.walk() for weight in layer.weights}
    return {
        "target": str(job.target),
        "backend": job.target.backend,
        "half": job.target.is_half,
        "model": graph.name,
        "layers": sum(1 for _ in graph.walk()) if job.layers is None else len(job.layers),
        "parameters": sum(value.size for value in weights.values()),
        "inputs": [
            {"name": name, "shape": list(array.shape), "dtype": str(array.dtype)} for name, array in inputs.items()
        ],
        "download": sum(files.values()) + sum(array.nbytes for array in inputs.values()),
        "runs": job.runs,
        "version": job.version,
    }


class Limited:
    """A link whose other side may send so many bytes and no more."""

    def __init__(self, link: Link, most: int) -> None:
        self._link = link
        self._most = most
        self._left = most

    def send(self, frame: bytes, timeout: float) -> None:
        self._link.send(frame, timeout)

    def receive(self, timeout: float) -> bytes:
        frame = self._link.receive(timeout)
        self._left -= len(frame)
        if self._left < 0:
            raise ProtocolError(f"the device sent more than the {self._most:,} bytes that it may send")
        return frame

    def answers(self) -> bool | None:
        return self._link.answers()

    @property
    def open(self) -> bool:
        return bool(getattr(self._link, "open", False))


class DeviceTab:
    """The page that a person has opened, or will open. One for all targets of a run, on a server of its own.

    ``invite`` is called when somebody has to do something; ``wait`` is how many seconds they have.
    """

    navigates = False

    def __init__(
        self, address: str, port: int, web: Path, invite: Callable[[Invitation], None], wait: float, progress: Progress
    ) -> None:
        self._invite = invite
        self._wait = wait
        self._progress = progress
        self._offer: Mapping[str, Any] = {}
        self._page: PageLink | None = None
        self._seen = self._absent = self._cancelled = False
        self.broken = False
        self.server = Server(port, address=address, token=_token(), offer=self._offered)
        names = [path.relative_to(web).as_posix() for path in web.rglob("*") if path.is_file()]
        self.server.mount("agent", web, (name for name in names if name != "index.html"))  # it would start by itself

    def _offered(self) -> Mapping[str, Any]:
        page = self._page
        if page is None or not self._offer:
            return {"state": "idle"}
        state = "waiting" if not page.connected else "taken" if page.open else "idle"
        return {**self._offer, "state": state, "session": _session(page), "host": socket.gethostname()}

    @property
    def facts(self) -> Mapping[str, Any]:
        """How it was opened; what it is, its page says."""
        return {"opened_by": "a person", "network_address": self._page.remote if self._page else None}

    usable = True

    def propose(self, offer: Mapping[str, Any]) -> None:
        """What is to be run next, as `described`."""
        self._offer = offer

    def visit(self, target: Target) -> Limited:
        """Open a session and wait for a person to start it, or for the page of the last one to go on to it.

        Raises TargetUnavailable if nobody comes, TargetCancelled where somebody said no before.
        """
        if self._cancelled:
            raise TargetCancelled(f"{target} was not run: it was cancelled on the device", target=str(target))
        if self._absent:
            raise self._nobody(target)
        before, self._page = self._page, self.server.open_page()
        try:
            if not self._goes_on(before, self._page):
                self._ask(target, self._page)
        except BaseException:
            self._end(self._page)
            raise
        finally:
            if before is not None:
                self.server.close_page(before)
        self._seen, self.broken = True, False
        return Limited(self._page, min(_MOST, shutil.disk_usage(tempfile.gettempdir()).free // 2))

    def _goes_on(self, before: PageLink | None, page: PageLink) -> bool:
        if before is None or not before.open or self.broken:
            return False
        with suppress(LinkClosedError, SilenceError):
            before.send(wire.encode({"type": "goto", "url": f"{self.server.base}?go={_session(page)}"}), 5.0)
            return self._comes(page, _NEXT)
        return False

    def _ask(self, target: Target, page: PageLink) -> None:
        self._progress.phase(str(target), "waiting for the device")
        self._invite(Invitation(self.server.base, str(target), self._seen))
        if not self._comes(page, self._wait):
            self._absent = True
            raise self._nobody(target)

    def _comes(self, page: PageLink, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while not page.connected:
            if time.monotonic() > deadline:
                return False
            time.sleep(_TICK)
        return True

    def _nobody(self, target: Target) -> TargetFailure:
        remedy = "open the printed address on it, in the same network, or wait longer with --wait"
        said = f"{target}: no device came within {self._wait:g} s; {remedy}"
        return TargetUnavailable(said, target=str(target), remedy=remedy)

    def cancelled(self) -> None:
        """The person has said no; nothing more is run on the device."""
        self._cancelled = True

    def _end(self, page: PageLink | None) -> None:
        self._page = None
        self._offer = {}
        if page is not None:
            self.server.close_page(page)

    def close(self) -> None:
        """End the session that went wrong; the next target waits for the device once more."""
        self._end(self._page)
        self.broken = False

    def end(self) -> None:
        """Tell the page that nothing more will come, and stop serving."""
        with suppress(LinkClosedError, SilenceError):
            if self._page is not None and self._page.open and not self.broken:
                self._page.send(wire.encode({"type": "stop"}), 1.0)
        self.server.close()


def _session(page: PageLink) -> str:
    return page.url.rstrip("/").rpartition("/")[2]


def _token() -> str:
    """Unguessable, and short enough to be copied by hand."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


class DeviceRuntime(BrowserRuntime):
    """Runs one artifact in the page of a device."""

    def __enter__(self) -> DeviceRuntime:
        self._tab = self._named(lambda: self._host.device)
        return self

    def trace(self, inputs: Inputs, options: TraceOptions = TraceOptions()) -> Trace:  # noqa: B008
        """Run the model on ``inputs``; see `Runtime`."""
        try:
            return super().trace(inputs, options)
        except TargetCancelled:
            self._host.device.cancelled()
            raise

    @property
    def _server(self) -> Server:
        return self._host.device.server

    def _prepare(self, job: Job, inputs: Inputs) -> None:
        self._host.device.propose(described(self._graph, job, inputs, self._files(job)))

    def _files(self, job: Job) -> dict[str, int]:
        """What the page downloads, in bytes."""
        scripts = [job.runtime_base + name for name in job.scripts]
        if job.target.backend == "wasm":
            scripts.append(f"{job.runtime_base}tfjs-backend-wasm-simd.wasm")  # of three that are much alike
        own = [job.artifact_base + name for name in job.artifact.files]
        return {url: self._server.size(url) for url in (*scripts, *own)}
