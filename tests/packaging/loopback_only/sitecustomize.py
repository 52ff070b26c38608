"""Loaded by every Python process that has this folder on PYTHONPATH: nothing leaves the machine.

An attempt to reach anything but loopback is noted in the file that BITTRUE_TEST_CONNECTIONS names, and stopped before
it is made. Names are not looked up either, which would ask a server elsewhere.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Any

_LOCAL_NAMES = {None, "", "localhost", b"", b"localhost"}


def _is_local(host: Any) -> bool:
    if host in _LOCAL_NAMES:
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        address = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path (AF_UNIX) stays on the machine
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not _is_local(host):
        with open(os.environ["BITTRUE_TEST_CONNECTIONS"], "a", encoding="utf-8") as log:
            log.write(f"{event} {host}\n")
        raise PermissionError(f"{event} to {host}: nothing but loopback may be reached in this test")


sys.addaudithook(_watch)
