"""No connection leaves the machine.

Where the system allows it (Linux, as root) a whole run on every kind of target is locked into a network of its own,
all of whose ways out end in a program that notes each packet: that holds for every process and every protocol.
Elsewhere every Python process of a run is watched, and Chrome's own network log is read.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bittrue.runtimes.discovery import find_browser, find_node
from bittrue.runtimes.target import BROWSERS

SECOND_KERAS = "keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0"
WATCHER = Path(__file__).parent / "loopback_only"
ISOLATED = Path(__file__).parent / "isolated.py"


def isolated(folder: Path, *command: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """A Python run with no way out of the machine, and the packets that tried. Skips where that is not permitted."""
    log = folder / "packets.txt"
    log.touch()
    whole = ["unshare", "--net", "--", sys.executable, str(ISOLATED), str(log), sys.executable, *command]
    done = subprocess.run(whole, cwd=folder, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    return done, log.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def obstacle(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Why a network of our own cannot be had; empty where it can."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None or shutil.which("ip") is None:
        return "no network namespaces here (Linux with unshare and ip)"
    done, _ = isolated(tmp_path_factory.mktemp("isolated"), "-c", "")
    said = " ".join(done.stderr.split())[-200:]
    return f"network namespaces are not permitted here ({said})" if done.returncode else ""


@pytest.fixture
def namespaces(obstacle: str) -> None:
    """Skips, in words that the summary shows, where there is an obstacle."""
    if obstacle:
        pytest.skip(f"declared: {obstacle}; only processes are watched")


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """From now on Python processes may reach nothing but loopback. The file lists what they tried."""
    log = tmp_path / "connections.txt"
    log.touch()
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(WATCHER), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    )
    monkeypatch.setenv("BITTRUE_TEST_CONNECTIONS", str(log))
    monkeypatch.delenv("BITTRUE_OFFLINE", raising=False)
    return log


def bittrue(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A run of the command line, in ``folder``."""
    command = [sys.executable, "-c", "from bittrue.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL)


def reached(netlog: str) -> set[str]:
    """Addresses to which Chrome sent something, by the events of its network log (complete or cut off)."""
    first, _, rest = netlog.partition("\n")
    names = {number: name for name, number in json.loads(first[:-1] + "}")["constants"]["logEventTypes"].items()}
    addresses: dict[int, str] = {}
    sent = set()
    for event in map(json.loads, re.findall(r"^(\{.*\}),?$", rest, re.MULTILINE)):
        kind, source = names[event["type"]], event["source"]["id"]
        address = event.get("params", {}).get("address", "")
        if kind in ("TCP_CONNECT_ATTEMPT", "UDP_CONNECT") and address:
            addresses[source] = address
        if kind in ("TCP_CONNECT_ATTEMPT", "UDP_BYTES_SENT"):  # connecting a UDP socket alone sends nothing
            sent.add(addresses.get(source, address or "unknown"))
    return sent


def outside(addresses: set[str]) -> set[str]:
    return {word for word in addresses if not ipaddress.ip_address(word.rsplit(":", 1)[0].strip("[]")).is_loopback}


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.create_connection(('192.0.2.1', 9), timeout=1)",
        "import socket; socket.getaddrinfo('bittrue.invalid', 80)",
        "import urllib.request as u; u.urlopen('http://192.0.2.1/', timeout=1)",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))",
    ],
)
def test_the_watcher_stops_and_notes_what_would_leave(attempt: str, watched: Path) -> None:
    done = subprocess.run([sys.executable, "-c", attempt], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "nothing but loopback" in done.stderr
    assert watched.read_text(encoding="utf-8")


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize(
    ("attempt", "noted"),
    [
        ("import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))", "192.0.2.1 17 9"),
        ("import socket; s = socket.socket(); s.settimeout(0.2); s.connect_ex(('192.0.2.1', 9))", "192.0.2.1 6 9"),
        (
            "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'x', ('2001:db8:1::1', 9))",
            "2001:db8:1::1 17 9",
        ),
        ("import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.53', 53))", "127.0.0.53 17 53"),
    ],
)
def test_a_packet_that_would_leave_is_noted(attempt: str, noted: str, tmp_path: Path) -> None:
    _, packets = isolated(tmp_path, "-c", attempt)
    assert noted in packets


@pytest.mark.usefixtures("namespaces")
def test_loopback_is_no_way_out(tmp_path: Path) -> None:
    attempt = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
    done, packets = isolated(tmp_path, "-c", attempt)
    assert (done.returncode, packets) == (0, [])


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.needs("tensorflow")
@pytest.mark.usefixtures("namespaces")
def test_a_whole_run_on_every_kind_of_target_sends_no_packet_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BITTRUE_OFFLINE", raising=False)
    browsers = [engine for engine in BROWSERS if find_browser(engine) is not None]
    targets = [*(f"{engine}:wasm" for engine in browsers), *(["node:cpu"] if find_node() else []), SECOND_KERAS]
    code = ("-c", "from bittrue.cli import main; main()", "demo", "--depth", "2", "--quiet", "--json", "-")
    done, packets = isolated(tmp_path, *code, "--in", ",".join(targets))
    assert done.returncode == 0, done.stderr
    assert [found["target"] for found in json.loads(done.stdout)["targets"]] == targets
    assert packets == []


def test_the_watcher_lets_loopback_pass(watched: Path) -> None:
    attempt = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
    subprocess.run([sys.executable, "-c", attempt], check=True, timeout=60)
    assert watched.read_text(encoding="utf-8") == ""


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.needs("node", "tensorflow")
def test_a_run_in_node_chrome_and_a_second_keras_stays_on_the_machine(
    obstacle: str, watched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not obstacle:
        pytest.skip("declared: the run in a network of its own shows more than watched processes can")
    netlog = tmp_path / "netlog.json"
    monkeypatch.setenv("BITTRUE_CHROME_ARGS", f"--log-net-log={netlog.as_posix()}")
    targets = ["node:cpu", SECOND_KERAS, *(["chrome:wasm"] if find_browser("chrome") else [])]
    done = bittrue(tmp_path, "demo", "--in", ",".join(targets), "--depth", "2", "--quiet", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert [found["target"] for found in json.loads(done.stdout)["targets"]] == targets
    assert watched.read_text(encoding="utf-8") == ""
    if "chrome:wasm" in targets:
        addresses = reached(netlog.read_text(encoding="utf-8", errors="replace"))
        assert addresses, "the page itself must have come over loopback"
        assert outside(addresses) == set()
