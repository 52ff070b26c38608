"""Bittrue's socket, from the page into a trace file, against a bare WebSocket that carries the same bytes."""

from __future__ import annotations

import json
import sys
import time
from urllib.parse import urlencode, urlsplit

import numpy as np
from browsing import Browser, PageServer
from harness import HERE, MIB, median, processor_seconds, spent, table, verdict

from bittrue.graph.model import Call, Graph, LayerNode
from bittrue.runtimes import wire
from bittrue.runtimes.base import NullProgress
from bittrue.runtimes.collect import Collector
from bittrue.runtimes.server import PageLink, Server
from bittrue.runtimes.target import Target
from bittrue.tracefile import TraceWriter

RUNS = 5
TENSORS, FLOATS = 64, MIB  # 256 MiB in tensors of 4 MiB
TOTAL = TENSORS * FLOATS * 4
WEB = HERE.parent / "src" / "bittrue" / "web"
PATIENCE = 60.0


def main() -> None:
    """Print the section."""
    ours, bare = [], []
    for _ in range(RUNS):  # turn by turn, so that whatever else the machine does strikes both
        ours.append(TOTAL / through_bittrue())
        bare.append(TOTAL / through_bare_socket(TENSORS, FLOATS)[0])
    share = median(ours) / median(bare)
    rows = [
        [name, *(f"{rate / MIB:,.0f} MiB/s" for rate in (median(rates), min(rates), max(rates)))]
        for name, rates in (("bare WebSocket, bytes dropped", bare), ("Bittrue, checked and written to a trace", ours))
    ]
    print("## The socket\n")
    print(
        f"{TOTAL // MIB} MiB in {TENSORS} tensors from a page in Chrome to Python (aiohttp), "
        f"median of {RUNS} runs each, turn by turn.\n"
    )
    print(table(["", "median", "least", "most"], rows))
    print(verdict("at least 60 % of a bare WebSocket's rate", share >= 0.6, f"{share:.0%}"))


def through_bare_socket(tensors: int, floats: int) -> tuple[float, dict[str, float]]:
    """Seconds from the first byte asked for to the last one taken, and of processor time by role."""
    with PageServer({"agent": WEB}) as server:
        query = urlencode(
            {"bare": 1, "tensors": tensors, "floats": floats, "socket": f"ws://127.0.0.1:{server.port}/bare"}
        )
        with Browser(f"{server.url('socket.html')}?{query}"):
            server.hear("ready")
            time.sleep(0.2)
            before, begun = processor_seconds(), time.perf_counter()
            server.tell(type="go")
            taken = server.hear("taken")["bytes"]
            took = time.perf_counter() - begun
            processors = spent(before, processor_seconds())
    assert taken == tensors * floats * 4
    return took, processors


def through_bittrue() -> float:
    """Seconds until every frame is checked and the trace is on disk, as a session does it."""
    with Server() as server:
        server.mount("agent", WEB, [path.relative_to(WEB).as_posix() for path in WEB.rglob("*.js")])
        pages = HERE / "pages"
        base = server.mount("bench", pages, [path.name for path in pages.iterdir()])
        link = server.open_page()
        socket = urlsplit(link.url)._replace(scheme="ws").geturl() + "socket"
        query = urlencode({"tensors": TENSORS, "floats": FLOATS, "socket": socket})
        with Browser(f"{base}socket.html?{query}"):
            return _receive(link)


def _receive(link: PageLink) -> float:
    with TraceWriter(None) as writer:
        collector = Collector(Target.parse("chrome:cpu"), _graph(), writer, NullProgress(), {})
        while collector.phase != "sending":
            collector.take(wire.parse(_next(link)))
        time.sleep(0.2)
        begun = time.perf_counter()
        link.send(wire.encode({"type": "run"}), PATIENCE)
        while not collector.finished:
            collector.take(wire.parse(_next(link)))
        trace = writer.finish(collector.provenance)
        took = time.perf_counter() - begun
    assert trace.nbytes == TOTAL
    assert np.array_equal(trace.records[writer.keys[-1]].load(), trace.records[writer.keys[0]].load())
    return took


def _next(link: PageLink) -> bytes:
    while not link.connected:
        time.sleep(0.01)
    return link.receive(PATIENCE)


def _graph() -> Graph:
    layers = [LayerNode(f"layer_{index}", "Dense", "keras.layers", {}, (), (Call(()),)) for index in range(TENSORS)]
    return Graph("socket", "Functional", tuple(layers), (), ())


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:  # how many tensors of how many floats, for another benchmark
        seconds, taken_by = through_bare_socket(*(int(word) for word in sys.argv[1:]))
        print(json.dumps({"seconds": seconds, "processors": taken_by}))
