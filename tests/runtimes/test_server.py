"""The loopback server against pages that behave, and pages that do not."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import pytest
from scripted import HELLO, ScriptedPage, frame, record, saying

from bittrue.errors import ProtocolError, UsageError
from bittrue.runtimes import wire
from bittrue.runtimes.inbox import LinkClosedError, SilenceError
from bittrue.runtimes.server import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "index.html").write_text("<p>agent</p>")
    (tmp_path / "agent.js").write_text("export {};")
    (tmp_path / "secret.txt").write_text("secret")
    with Server() as server:
        server.mount("agent", tmp_path, ["index.html", "agent.js"])
        yield server


def get(server: Server, url: str, **headers: str) -> http.client.HTTPResponse:
    """A request whose path is sent as it is, dots and all."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    path = url if url.startswith("/") else url[len(f"http://127.0.0.1:{server.port}") :]
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def test_it_listens_on_loopback_alone(server: Server):
    with socket.socket() as outside:
        own = socket.gethostbyname(socket.gethostname())
        if own.startswith("127."):
            pytest.skip("this machine has no other address")
        assert outside.connect_ex((own, server.port)) != 0


def test_a_port_in_use_is_said_in_one_sentence(server: Server):
    with pytest.raises(UsageError, match=f"port {server.port} on 127.0.0.1 is in use: choose another"):
        Server(server.port)


def test_a_port_that_is_none_is_said_in_one_sentence():
    with pytest.raises(UsageError, match="port 70000"):
        Server(70000)


def test_the_port_is_free_again_after_the_end():
    with Server() as first:
        port = first.port
    with Server(port) as second:
        assert second.port == port


def test_the_page_is_isolated_and_may_load_nothing_from_elsewhere(server: Server):
    answer = get(server, server.open_page().url)
    assert (answer.status, answer.read()) == (200, b"<p>agent</p>")
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy
    assert "'unsafe-eval'" not in policy


def test_modules_have_the_type_that_browsers_insist_on(server: Server):
    assert get(server, f"{server.base}agent/agent.js").headers["Content-Type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize(
    "path",
    [
        "agent/secret.txt",
        "agent/../secret.txt",
        "agent/%2e%2e/secret.txt",
        "agent//agent.js",
        "session/0/",
        "",
        "agent/",
    ],
)
def test_only_what_was_mounted_is_served(server: Server, path: str):
    assert get(server, server.base + path).status == 404


def test_errors_carry_the_same_headers(server: Server):
    assert "Content-Security-Policy" in get(server, f"{server.base}nothing").headers


def test_a_wrong_token_finds_nothing(server: Server):
    assert get(server, f"/{'x' * 32}/agent/agent.js").status == 404
    assert get(server, "/").status == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "127.0.0.1", "[::1]:{port}"])
def test_another_host_is_refused(server: Server, host: str):
    assert get(server, f"{server.base}agent/agent.js", Host=host.format(port=server.port)).status == 421


def test_localhost_is_the_same_host(server: Server):
    assert get(server, f"{server.base}agent/agent.js", Host=f"localhost:{server.port}").status == 200


def test_frames_arrive_in_order_and_frames_are_sent(server: Server):
    page = server.open_page()
    heard = []

    async def script(ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_bytes(b"one")
        await ws.send_bytes(b"two")
        heard.append(await ws.receive_bytes())

    agent = ScriptedPage(page.url, script)
    assert [page.receive(10), page.receive(10)] == [b"one", b"two"]
    page.send(b"answer", 10)
    agent.join()
    assert heard == [b"answer"]


def test_a_page_that_leaves_is_noticed_at_once(server: Server):
    page = server.open_page()
    agent = ScriptedPage(page.url, saying(frame(HELLO), record(["a"], np.zeros(2, np.float32))[0]))
    page.receive(10)
    page.receive(10)
    with pytest.raises(LinkClosedError, match="closed its connection"):
        page.receive(10)
    with pytest.raises(LinkClosedError):
        page.send(b"anyone?", 10)
    agent.join()


def refused(url: str, **headers: str) -> int:
    """The status with which a socket is refused."""
    agent = ScriptedPage(url, saying(), headers)
    agent.join()
    assert isinstance(agent.error, aiohttp.WSServerHandshakeError), agent.error
    return agent.error.status


def test_a_session_has_one_socket_only(server: Server):
    page = server.open_page()

    async def stay(ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.receive()

    first = ScriptedPage(page.url, stay)
    while not page.connected:
        time.sleep(0.01)
    assert refused(page.url) == 409
    page.send(b"go", 10)
    first.join()
    assert refused(page.url) == 409


def test_a_socket_from_another_origin_is_refused(server: Server):
    url = server.open_page().url
    assert refused(url, Origin="http://evil.example") == 403
    assert refused(url, Origin="null") == 403
    assert refused(url, Host=f"evil.example:{server.port}") == 421


def test_a_socket_of_no_session_is_refused(server: Server):
    page = server.open_page()
    assert refused(f"{server.base}session/0000/") == 404
    assert refused(page.url.replace(urlsplit(page.url).path.split("/")[1], "x" * 32)) == 404
    server.close_page(page)
    assert refused(page.url) == 404


def test_text_is_no_frame(server: Server):
    page = server.open_page()

    async def talk(ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_str("hello")
        await ws.receive()

    agent = ScriptedPage(page.url, talk)
    with pytest.raises(ProtocolError, match="text"):
        page.receive(10)
    agent.join()


def test_a_frame_above_the_limit_is_refused_before_it_is_held(server: Server):
    page = server.open_page()

    async def shout(ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_bytes(bytes(wire.MAX_FRAME + 1))
        await ws.receive()

    agent = ScriptedPage(page.url, shout)
    with pytest.raises(ProtocolError, match="more than"):
        page.receive(10)
    agent.join()


def test_a_slow_consumer_makes_the_page_wait(server: Server):
    page = server.open_page()
    sent = []

    async def flood(ws: aiohttp.ClientWebSocketResponse) -> None:
        for _ in range(100):
            await ws.send_bytes(bytes(2**20))
            sent.append(1)

    agent = ScriptedPage(page.url, flood)
    page.receive(10)
    before = -1
    while before != len(sent):
        before = len(sent)
        time.sleep(0.3)
    assert before < 60
    for _ in range(99):
        page.receive(10)
    agent.join()
    assert len(sent) == 100


def test_a_silent_page_that_is_alive_answers_a_ping(server: Server):
    page = server.open_page()

    async def think(ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.receive()

    agent = ScriptedPage(page.url, think)
    with pytest.raises(SilenceError):
        page.receive(0.5)
    assert page.answers()
    page.send(b"go", 10)
    agent.join()
    assert not page.answers()


def test_the_end_of_the_server_closes_every_socket(tmp_path: Path):
    server = Server()
    page = server.open_page()
    gone = []

    async def stay(ws: aiohttp.ClientWebSocketResponse) -> None:
        gone.append((await ws.receive()).type)

    agent = ScriptedPage(page.url, stay)
    while not page.connected:
        time.sleep(0.01)
    server.close()
    agent.join()
    assert gone == [aiohttp.WSMsgType.CLOSE]
    server.close()
