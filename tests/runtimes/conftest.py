"""Fixtures of the tests that start programs: a place of their own for temporary files, and who is left in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go during this test; short, because sockets lie among them."""
    folder = Path(tempfile.mkdtemp(prefix="b"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def survivors(folder: Path) -> list[str]:
    """The processes whose command line or environment names ``folder``, and the files in it."""
    left = [str(path) for path in folder.iterdir()]
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            words = [*process.cmdline(), process.environ().get("BITTRUE_SCRATCH", "")]
            if process.status() != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in words):
                left.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
    return left
