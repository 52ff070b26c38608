"""Watches the memory of a process and all that it started, from outside: ``python sampler.py PID FILE``.

From outside, because a process that holds its interpreter's lock for seconds (json.load) cannot watch itself. Each
line of FILE is a sample: time (``time.time``), then for each role ``role rss anonymous`` in bytes. It ends with PID.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil

INTERVAL = 0.01  # seconds between samples
REFRESH = 1.0  # seconds between looks for new processes, which cost more than all else here
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


def main(pid: int, file: Path) -> None:
    """Sample until ``pid`` has ended."""
    root = psutil.Process(pid)
    watched, looked = {root: "python"}, 0.0
    with file.open("w", encoding="utf-8", buffering=1) as out:
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            now = time.time()
            if now - looked > REFRESH:
                watched, looked = family(root, watched), now
            out.write(f"{now:.4f} {_totals(watched)}\n")
            time.sleep(max(0.0, INTERVAL - (time.time() - now)))


def family(root: psutil.Process, known: dict[psutil.Process, str]) -> dict[psutil.Process, str]:
    """``root`` and all that it started, by role; those in ``known`` are not looked at again."""
    found = {root: "python"}
    for process in root.children(recursive=True):
        try:
            role = known.get(process) or _role(process.name(), process.cmdline())
        except _GONE:
            continue
        if role:
            found[process] = role
    return found


def _role(name: str, command: list[str]) -> str:
    """``page`` for the processes that run pages, ``browser`` for the browser's others; this program has none."""
    if any(word.endswith("sampler.py") for word in command[:3]):
        return ""
    if any(word == "--type=renderer" for word in command):
        return "page"
    return "browser" if "chrom" in name.lower() else "other"


def _totals(watched: dict[psutil.Process, str]) -> str:
    totals: dict[str, list[int]] = {}
    for process, role in watched.items():
        try:
            memory = process.memory_info()
        except _GONE:
            continue
        total = totals.setdefault(role, [0, 0])
        total[0] += memory.rss
        total[1] += memory.rss - getattr(memory, "shared", 0)
    return " ".join(f"{role} {rss} {anonymous}" for role, (rss, anonymous) in totals.items())


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
