"""Places in which faults are tried."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from outside import Place


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each fault costs a process of its own: together they need more patience than the quick gate has."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder to run in and one for temporary files; the second is short, because sockets lie among them."""
    temporary = Path(tempfile.mkdtemp(prefix="b"))
    work = tmp_path / "work"
    work.mkdir()
    yield Place(temporary, work)
    shutil.rmtree(temporary, ignore_errors=True)
