"""What is left of the programs that a test started."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil


def survivors(folder: Path) -> list[str]:
    """The processes whose command line or environment names ``folder``, and the files in it."""
    left = [str(path) for path in folder.iterdir()]
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            words = [*process.cmdline(), process.environ().get("BITTRUE_SCRATCH", "")]
            if process.status() != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in words):
                left.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
    return left
