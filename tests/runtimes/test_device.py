"""Devices: pages that people open. Scripted ones first, which misbehave as real ones might; then a real browser."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import psutil
import pytest
from scripted import DONE, ENVIRONMENT, HELLO, ScriptedPage, frame, record, saying
from small import dense_chain

from bittrue.errors import ProtocolError, TargetCancelled, TargetDied, TargetUnavailable, UsageError
from bittrue.runtimes import device as device_module
from bittrue.runtimes import wire
from bittrue.runtimes.base import TraceOptions
from bittrue.runtimes.device import Invitation, Limited, listening_address, own_addresses
from bittrue.runtimes.discovery import find_browser, find_driver
from bittrue.runtimes.host import Host
from bittrue.runtimes.launch import CommandLineBrowser, Display
from bittrue.runtimes.server import Server
from bittrue.runtimes.target import Target
from bittrue.tracefile import read_trace
from bittrue.traces import Key, Trace

Script = Callable[[aiohttp.ClientWebSocketResponse], Awaitable[None]]
X = np.array([[0.0, 1.0, -2.0, 3.0]], np.float32)
WASM = frame(ENVIRONMENT)


def get(url: str, **headers: str) -> tuple[int, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    connection.request("GET", parts.path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def offered(url: str) -> dict[str, Any]:
    return json.loads(get(f"{url}offer")[1])  # type: ignore[no-any-return]


class Person:
    """Opens the page of every invitation, one scripted page after the other."""

    def __init__(self, *scripts: Script) -> None:
        self.invited: list[Invitation] = []
        self.offers: list[dict[str, Any]] = []
        self.pages: list[ScriptedPage] = []
        self._scripts = list(scripts)

    def __call__(self, invitation: Invitation) -> None:
        self.invited.append(invitation)
        self.offers.append(offered(invitation.url))
        if self._scripts:
            url = f"{invitation.url}session/{self.offers[-1]['session']}/"
            self.pages.append(ScriptedPage(url, self._scripts.pop(0)))


@pytest.fixture
def host_for() -> Iterator[Callable[..., Host]]:
    """Makes hosts that listen for devices on loopback, and ends them."""
    hosts: list[Host] = []

    def make(person: Callable[[Invitation], None], wait: float = 20.0, listen: str = "127.0.0.1") -> Host:
        hosts.append(Host(listen=listen, wait=wait, invite=person))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


def run(host: Host, folder: Path, target: str = "device:wasm", x: np.ndarray = X, **options: Any) -> Trace:
    artifact, graph = dense_chain(folder / "artifact", size=x.shape[1])
    with host.runtime(Target.parse(target), artifact, graph) as runtime:
        return runtime.trace({"x": x}, TraceOptions(**options))


def asked(*frames: bytes) -> Script:
    """A script: wait for the job as a page does, say these frames, and stay until the host has had enough."""

    async def script(page: aiohttp.ClientWebSocketResponse) -> None:
        await page.send_bytes(frame(HELLO))
        while (message := await page.receive(30)).type is aiohttp.WSMsgType.BINARY:
            if wire.decode(message.data)[0]["type"] == "run":
                break
        await saying(*frames)(page)

    return script


async def _silent(page: aiohttp.ClientWebSocketResponse) -> None:
    await page.send_bytes(frame(HELLO))
    await page.receive(30)
    while (await page.receive(30)).type is aiohttp.WSMsgType.BINARY:
        pass


def addresses(monkeypatch: pytest.MonkeyPatch, **found: str) -> None:
    table = {name: [SimpleNamespace(family=socket.AF_INET, address=address)] for name, address in found.items()}
    states = {name: SimpleNamespace(isup=not name.startswith("down")) for name in found}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: table)
    monkeypatch.setattr(psutil, "net_if_stats", lambda: states)


def test_the_only_address_in_a_private_network_is_taken(monkeypatch: pytest.MonkeyPatch):
    addresses(monkeypatch, lo="127.0.0.1", wlan0="192.168.1.5", down0="10.0.0.9", ppp0="8.8.8.8", link="169.254.3.4")
    assert own_addresses() == {"192.168.1.5": "wlan0"}
    assert listening_address(None) == "192.168.1.5"


def test_several_addresses_are_listed_and_none_is_chosen(monkeypatch: pytest.MonkeyPatch):
    addresses(monkeypatch, eth0="10.1.2.3", docker0="172.17.0.1")
    with pytest.raises(UsageError, match=r"--listen: 10\.1\.2\.3 \(eth0\), 172\.17\.0\.1 \(docker0\)"):
        listening_address(None)


def test_an_address_of_everybodys_network_is_listened_on_only_when_it_is_named(monkeypatch: pytest.MonkeyPatch):
    addresses(monkeypatch, lo="127.0.0.1", eth0="8.8.8.8")
    with pytest.raises(UsageError, match="no address in a private network"):
        listening_address(None)
    assert listening_address("8.8.8.8") == "8.8.8.8"


@pytest.mark.parametrize("asked", ["0.0.0.0", "224.0.0.1", "::1", "my-computer", ""])
def test_what_is_not_one_address_is_refused(asked: str):
    with pytest.raises(UsageError, match="--listen takes one"):
        listening_address(asked)


def test_an_address_of_another_machine_is_said_in_one_sentence(host_for: Callable[..., Host]):
    with pytest.raises(UsageError, match=r"203\.0\.113\.9 is no address of this machine: name one with --listen"):
        _ = host_for(Person(), listen="203.0.113.9").device


def test_an_invitation_says_who_can_reach_it():
    outside = " ".join(Invitation("http://192.168.1.5:8000/abc/", "device:webgl").sentences)
    assert "Open http://192.168.1.5:8000/abc/" in outside
    assert "listens to the network of 192.168.1.5: anyone there who has this address can open it" in outside
    assert "this machine alone" in " ".join(Invitation("http://127.0.0.2:8000/abc/", "device:webgl").sentences)


def test_a_person_is_told_what_would_be_run(host_for: Callable[..., Host], tmp_path: Path):
    person = Person(asked(WASM, frame(DONE)))
    run(host_for(person), tmp_path)
    offer = person.offers[0]
    assert (offer["state"], offer["target"], offer["model"]) == ("waiting", "device:wasm", "chain")
    assert (offer["layers"], offer["parameters"]) == (4, 3 * 16)  # kernels alone: the graph of the chain has no biases
    assert offer["inputs"] == [{"name": "x", "shape": [1, 4], "dtype": "float32"}]
    assert offer["download"] > 2**20  # TensorFlow.js alone is more


def test_a_wrong_token_finds_nothing_but_a_page_that_says_so(host_for: Callable[..., Host]):
    base = host_for(Person()).device.server.base
    wrong = base.replace(base.split("/")[3], "2345-6789-abcd-efgh")
    for path in ("", "offer", "agent/door.html", "session/0/socket"):
        assert get(wrong + path)[0] == 404
    status, page = get(wrong, Accept="text/html")
    assert (status, "This address leads nowhere" in page) == (404, True)
    assert base.split("/")[3] not in page


def test_another_host_is_refused(host_for: Callable[..., Host]):
    server = host_for(Person()).device.server
    for name in ("evil.example", f"evil.example:{server.port}", f"127.0.0.2:{server.port}"):
        assert get(server.base, Host=name)[0] == 421


def test_the_page_that_starts_by_itself_is_not_served_to_people(host_for: Callable[..., Host]):
    tab = host_for(Person()).device
    assert get(tab.server.open_page().url)[0] == 404
    assert get(tab.server.base)[0] == 200


def test_a_server_for_browsers_of_this_machine_has_no_door():
    with Server() as server:
        assert get(server.base, Accept="text/html") == (404, "404: Not Found")


def test_the_address_ends_with_the_run(host_for: Callable[..., Host]):
    host = host_for(Person())
    server = host.device.server
    host.close()
    with socket.socket() as late:
        assert late.connect_ex((server.address, server.port)) != 0
    assert host_for(Person()).device.server.base.split("/")[3] != server.base.split("/")[3]


def test_what_a_device_is_comes_from_the_device(host_for: Callable[..., Host], tmp_path: Path):
    details = run(host_for(Person(asked(WASM, frame(DONE)))), tmp_path).provenance.details
    assert details["opened_by"] == "a person"
    assert details["network_address"] == "127.0.0.1"
    assert details["user_agent"] == HELLO["userAgent"]
    assert details["os"] == "scripted"
    assert not {"cpu", "machine", "python"} & set(details)  # of this machine, where nothing was run


def test_a_second_one_is_told_that_the_first_is_at_it(host_for: Callable[..., Host], tmp_path: Path):
    seen: list[dict[str, Any]] = []

    async def page(socket: aiohttp.ClientWebSocketResponse) -> None:
        async with aiohttp.ClientSession() as session, session.get(f"{person.invited[0].url}offer") as answer:
            seen.append(await answer.json())
        await asked(WASM, frame(DONE))(socket)

    person = Person(page)
    run(host_for(person), tmp_path)
    assert seen[0]["state"] == "taken"


def test_a_session_is_started_once(host_for: Callable[..., Host], tmp_path: Path):
    person = Person(_silent)
    with pytest.raises(TargetDied):
        run(host := host_for(person), tmp_path, timeout=0.5)
    offer = person.offers[0]
    late = ScriptedPage(f"{person.invited[0].url}session/{offer['session']}/", saying(frame(HELLO)))
    late.join()
    assert isinstance(late.error, aiohttp.WSServerHandshakeError)
    assert host.device.usable


def test_one_that_leaves_half_way_is_a_death_and_what_it_sent_is_kept(host_for: Callable[..., Host], tmp_path: Path):
    half = record(["d0"], X)
    person = Person(asked(WASM, *half), asked(WASM, frame(DONE)))
    host, saved = host_for(person), tmp_path / "half.safetensors"
    with pytest.raises(TargetDied, match=r"device:wasm died while starting, after layer 'd0'.*half\.safetensors"):
        run(host, tmp_path, save=str(saved))
    kept = read_trace(saved)
    assert (kept.complete, np.array_equal(kept[Key("output", "d0")].load(), X)) == (False, True)
    assert run(host, tmp_path).complete  # the rest of the run goes on: somebody is asked once more
    assert [invitation.again for invitation in person.invited] == [False, True]


@pytest.mark.parametrize("words", [b"\x00" * 64, b"BTR1", frame({"type": "nonsense"}), bytes(10 * 2**20)])
def test_garbage_ends_the_session(host_for: Callable[..., Host], tmp_path: Path, words: bytes):
    with pytest.raises(ProtocolError, match="device:wasm"):
        run(host_for(Person(asked(words))), tmp_path)


def test_more_than_is_allowed_ends_the_session(
    host_for: Callable[..., Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(device_module, "_MOST", 2000)
    flood = [frame({"type": "check", "name": "noise", "passed": True, "detail": "x" * 500})] * 20
    with pytest.raises(ProtocolError, match="the device sent more than the 2,000 bytes that it may send"):
        run(host_for(Person(asked(WASM, *flood))), tmp_path)


def test_silence_is_a_death(host_for: Callable[..., Host], tmp_path: Path):
    with pytest.raises(TargetDied, match=r"device:wasm gave no answer for 0\.5 s"):
        run(host_for(Person(_silent)), tmp_path, timeout=0.5)


def test_nobody_is_waited_for_twice(host_for: Callable[..., Host], tmp_path: Path):
    person = Person()
    host = host_for(person, wait=0.2)
    for _ in range(2):
        with pytest.raises(TargetUnavailable, match=r"no device came within 0\.2 s; open the printed address"):
            run(host, tmp_path)
    assert len(person.invited) == 1


def test_what_is_cancelled_is_not_asked_for_again(host_for: Callable[..., Host], tmp_path: Path):
    no = {"type": "error", "code": "cancelled", "message": "no", "phase": "loading", "layer": None}
    person = Person(asked(WASM, frame(no)))
    host = host_for(person)
    with pytest.raises(TargetCancelled, match="device:wasm was cancelled on the device while starting"):
        run(host, tmp_path)
    with pytest.raises(TargetCancelled, match="device:webgl was not run: it was cancelled on the device"):
        run(host, tmp_path, "device:webgl")
    assert len(person.invited) == 1


def test_a_limit_counts_what_arrives():
    class Endless:
        def receive(self, timeout: float) -> bytes:
            return b"12345"

    link = Limited(Endless(), 12)  # type: ignore[arg-type]
    assert [link.receive(1), link.receive(1)] == [b"12345"] * 2
    with pytest.raises(ProtocolError):
        link.receive(1)


# A real browser, in a profile of its own, which reaches this machine over another address.


def _other_addresses() -> list[str]:
    """Addresses of this machine beside the usual one: of its network, and of loopback."""
    found = []
    for address in ("127.0.0.2", *own_addresses()):
        with socket.socket() as trial, suppress(OSError):
            trial.bind((address, 0))
            found.append(address)
    return found or ["127.0.0.1"]


OTHERS = _other_addresses()


class Phone:
    """A Chrome that is not ours."""

    def __init__(self) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        browser, driver = find_browser("chrome"), find_driver("chrome")
        if browser is None or driver is None:
            pytest.skip("declared absent: a driver for Chrome")
        options = webdriver.ChromeOptions()
        options.binary_location = str(browser.path)
        switches = ("headless=new", "no-sandbox", "no-first-run", "disable-background-networking", "no-proxy-server")
        for switch in (*switches, "ignore-gpu-blocklist", "enable-unsafe-swiftshader", "use-angle=swiftshader"):
            options.add_argument(f"--{switch}")
        self.driver = webdriver.Chrome(options=options, service=Service(str(driver.path)))

    def open(self, url: str) -> None:
        self.driver.get(url)

    def press(self, button: str) -> None:
        self.driver.execute_script(f"document.getElementById('{button}').click()")

    def until_sending(self) -> None:
        deadline = time.monotonic() + 60
        while "MiB" not in self.text():
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.02)

    def text(self) -> str:
        return str(self.driver.execute_script("return document.body.innerText"))

    def until(self, state: str) -> None:
        deadline = time.monotonic() + 60
        while (found := self.driver.execute_script("return document.body.dataset.state")) != state:
            assert time.monotonic() < deadline, f"{found!r} is not {state!r}: {self.text()}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def phone() -> Iterator[Phone]:
    phone = Phone()
    yield phone
    phone.driver.quit()


class Running:
    """A run in a thread, so that the test can be the person."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self._action = action
        self._thread = threading.Thread(target=self._go)
        self._thread.start()

    def _go(self) -> None:
        try:
            self.result = self._action()
        except Exception as error:
            self.error = error

    def end(self) -> Any:
        self._thread.join(90)
        assert not self._thread.is_alive()
        return self.error or self.result


def invitation_to(person: Person) -> str:
    deadline = time.monotonic() + 30
    while not person.invited:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return person.invited[0].url


@pytest.mark.browser
@pytest.mark.needs("chrome")
@pytest.mark.parametrize("address", OTHERS)
def test_a_browser_elsewhere_runs_two_targets_after_one_start(
    host_for: Callable[..., Host], tmp_path: Path, phone: Phone, address: str
):
    host = host_for(person := Person(), listen=address)
    first = Running(lambda: run(host, tmp_path))
    phone.open(invitation_to(person))
    phone.until("ready")
    assert "Run the model “chain” on this device?" in phone.text()
    phone.press("start")
    trace = first.end()
    phone.until("sent")
    assert np.array_equal(trace[Key("output", "d2")].load(), X + 3)
    second = run(host, tmp_path, "device:webgl")
    assert np.array_equal(second[Key("output", "d2")].load(), X + 3)
    host.close()
    phone.until("finished")
    found, secure = second.provenance.details, address.startswith("127.")
    assert (found["secure_context"], found["restricted"] is None) == (secure, secure)
    assert trace.provenance.details["cross_origin_isolated"] is secure
    assert second.provenance.adapter
    assert found["precision"]["high"]["bits"] == 23
    assert found["limits"]["max_texture_size"] >= 2048
    assert len(person.invited) == 1


@pytest.mark.browser
@pytest.mark.needs("chrome")
def test_a_second_tab_is_told_and_cancel_ends_it(host_for: Callable[..., Host], tmp_path: Path, phone: Phone):
    host = host_for(person := Person())
    going = Running(lambda: run(host, tmp_path, x=np.zeros((2**18, 16), np.float32)))
    phone.open(invitation_to(person))
    phone.until("ready")
    phone.press("start")
    phone.until("running")
    first = phone.driver.current_window_handle
    phone.driver.switch_to.new_window("tab")
    phone.open(person.invited[0].url)
    phone.until("taken")
    assert "already running elsewhere" in phone.text()
    phone.driver.close()
    phone.driver.switch_to.window(first)
    phone.press("cancel")
    phone.until("cancelled")
    assert isinstance(going.end(), TargetCancelled)


@pytest.mark.browser
@pytest.mark.needs("chrome")
def test_a_tab_that_is_closed_half_way(host_for: Callable[..., Host], tmp_path: Path, phone: Phone):
    host = host_for(person := Person())
    going = Running(lambda: run(host, tmp_path, x=np.zeros((2**19, 16), np.float32)))
    phone.open(invitation_to(person))
    phone.until("ready")
    phone.press("start")
    phone.until("running")
    phone.until_sending()
    phone.open("about:blank")
    assert isinstance(going.end(), TargetDied)
    assert offered(person.invited[0].url) == {"state": "idle"}


@pytest.mark.browser
@pytest.mark.needs("firefox")
def test_firefox_goes_on_to_a_session_that_was_agreed_to(host_for: Callable[..., Host], tmp_path: Path):
    browser = CommandLineBrowser("firefox", found := find_browser("firefox"), Display.open("headless"))  # type: ignore[arg-type]
    assert found
    host = host_for(lambda said: browser.goto(f"{said.url}?go={offered(said.url)['session']}"), wait=60.0)
    try:
        first, second = run(host, tmp_path), run(host, tmp_path, "device:cpu")
    finally:
        browser.close()
    assert np.array_equal(first[Key("output", "d2")].load(), X + 3)
    assert "Firefox" in second.provenance.details["user_agent"]


@pytest.mark.browser
@pytest.mark.needs("chrome")
def test_a_wrong_address_looks_like_a_page(host_for: Callable[..., Host], phone: Phone):
    base = host_for(Person()).device.server.base
    phone.open(f"{base[:-2]}2/" if base[-2] != "2" else f"{base[:-2]}3/")
    assert "This address leads nowhere" in phone.text()
    style = "return getComputedStyle(document.querySelector('h1')).textTransform"
    assert phone.driver.execute_script(style) == "uppercase"  # its own style is allowed, and nothing else


@pytest.mark.browser
@pytest.mark.needs("chrome")
def test_half_float_textures_do_what_the_documentation_says(tmp_path: Path):
    x = np.array([[70000.0, 65519.0, 1e-8, 2049.0]], np.float32)
    with Host() as host:
        trace = run(host, tmp_path, "chrome:webgl+f16", x=x)
    read = trace[Key("output", "x")].load()[0]
    assert np.isnan(read[0])
    assert list(read[1:]) == [65504.0, 0.0, 2048.0]
    assert np.array_equal(trace[Key("weight", "d0", 0, 1)].load(), np.ones(4, np.float32))
    details = trace.provenance.details
    assert (details["render_float32_enabled"], details["epsilon"]) == (False, 1e-4)


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.needs("chrome", "node")
def test_the_command_says_where_and_puts_the_device_into_the_result(tmp_path: Path, phone: Phone):
    dense_chain(tmp_path / "chain")
    where = ["--in", "device:webgl", "node:wasm", "--against", "node:cpu", "--listen", "127.0.0.1", "--wait", "60"]
    words = ["check", "chain", *where, "--json", "-", "--quiet"]
    command = subprocess.Popen(
        [sys.executable, "-m", "bittrue", *words],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with command:
        assert command.stderr is not None
        line = next(line for line in command.stderr if line.startswith("Open http://127.0.0.1:"))
        url = line.split()[1]
        phone.open(url)
        phone.until("ready")
        phone.press("start")
        result = json.loads(command.communicate(timeout=120)[0])
    device, node = result["targets"]
    assert (command.returncode, device["target"], node["target"]) == (0, "device:webgl", "node:wasm")
    assert device["provenance"]["adapter"]
    assert device["provenance"]["details"]["user_agent"] == phone.driver.execute_script("return navigator.userAgent")
    with pytest.raises(OSError, match="refused"):
        get(url)
