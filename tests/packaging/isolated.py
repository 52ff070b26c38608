"""Run a command where no packet can leave, and list those that tried.

``unshare --net python isolated.py FILE COMMAND…``

The network namespace has loopback and one more interface, to which every address elsewhere is routed; this program is
all there is at its other end. Each packet that arrives, and each question to a name server on loopback, becomes a line
of FILE. It ends with the command's status.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import secrets
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_ETH_P_ALL = 0x0003
_TCP, _UDP, _ICMP6, _HOP_BY_HOP = 6, 17, 58, 0
_NAME_SERVICES = (53, 853, 5353, 5355)
_LAST = secrets.token_bytes(16)


def describe(packet: bytes) -> tuple[str, int, int | None] | None:
    """(destination, protocol, port) of an IP packet; None for what the kernel itself says to find its neighbours."""
    if packet[0] >> 4 == 4:
        protocol, destination, rest = packet[9], packet[16:20], packet[4 * (packet[0] & 15) :]
    else:
        protocol, destination, rest = packet[6], packet[24:40], packet[40:]
        if protocol in (_ICMP6, _HOP_BY_HOP):
            return None
    port = int.from_bytes(rest[2:4]) if protocol in (_TCP, _UDP) else None
    return str(ipaddress.ip_address(destination)), protocol, port


def open_ways_out() -> int:
    """Bring loopback up, and the interface that leads nowhere but here; its other end."""
    tunnel = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tunnel, _TUNSETIFF, struct.pack("16sH22x", b"out", _IFF_TUN | _IFF_NO_PI))
    for words in (
        "link set lo up",
        "addr add 198.51.100.2/24 dev out",
        "-6 addr add 2001:db8::2/64 dev out nodad",
        "link set out up",
        "route add default dev out",
        "-6 route add default dev out",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    return tunnel


def watch(read: Callable[[], bytes], counts: Callable[[int | None], bool], out: Path) -> threading.Thread:
    """Note in ``out`` every packet whose port counts, in a thread that ends with the packet that carries `_LAST`."""

    def run() -> None:
        with out.open("a", encoding="utf-8", buffering=1) as lines:
            while not (packet := read()).endswith(_LAST):
                found = describe(packet)
                if found is not None and counts(found[2]):
                    print(*found, file=lines)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def main(out: Path, command: list[str]) -> int:
    """Run ``command``; its status. What it has sent is in ``out`` when this returns: packets arrive in order."""
    tunnel = open_ways_out()
    loopback = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    loopback.bind(("lo", _ETH_P_ALL))
    away = watch(lambda: os.read(tunnel, 65536), lambda port: True, out)
    here = watch(lambda: loopback.recv(65536), lambda port: port in _NAME_SERVICES, out)
    status = subprocess.run(command).returncode
    for thread, address in ((away, "192.0.2.1"), (here, "127.0.0.1")):
        with socket.socket(type=socket.SOCK_DGRAM) as last:
            last.sendto(_LAST, (address, 9))
        thread.join(60)
        if thread.is_alive():
            raise TimeoutError(f"the last packet to {address} was not seen within a minute")
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
