"""Progress on a terminal: one line a target, with the layer, the bytes and the rate. Elsewhere: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from bittrue.runtimes.base import NullProgress, Progress

__all__ = ["terminal_progress"]


@contextmanager
def terminal_progress(stream: IO[str], *, quiet: bool) -> Iterator[Progress]:
    """A `Progress` that draws on ``stream`` while the context is open, if that is a terminal."""
    if quiet or not stream.isatty():
        yield NullProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, SpinnerColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[target]}"),
        TextColumn("[dim]{task.description}"),
        BarColumn(bar_width=20),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
    )
    with Bars(*columns, console=Console(file=stream), transient=True) as bars:
        yield _Bars(bars)


class _Bars:
    def __init__(self, bars: object) -> None:
        from rich.progress import Progress as Bars

        assert isinstance(bars, Bars)
        self._bars = bars
        self._tasks: dict[str, object] = {}

    def phase(self, target: str, what: str) -> None:
        self._bars.update(self._task(target), description=what)  # type: ignore[arg-type]

    def record(self, target: str, layer: str, nbytes: int, total: int | None) -> None:
        self._bars.update(self._task(target), description=layer, advance=nbytes, total=total)  # type: ignore[arg-type]

    def done(self, target: str) -> None:
        if target in self._tasks:
            self._bars.remove_task(self._tasks.pop(target))  # type: ignore[arg-type]

    def _task(self, target: str) -> object:
        if target not in self._tasks:
            self._tasks[target] = self._bars.add_task("", total=None, target=target)
        return self._tasks[target]
