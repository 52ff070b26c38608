"""What the benchmarks share: memory watched from outside, children that answer in JSON, facts of the machine."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from sampler import family

__all__ = [
    "HERE",
    "MIB",
    "ROOT",
    "Growth",
    "MemoryWatch",
    "child",
    "machine",
    "median",
    "output_of",
    "processor_seconds",
    "spent",
    "table",
    "verdict",
]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
MIB = 2**20
_IDLE = 0.15  # seconds before a span begins whose least is taken as idle
_SETTLE = 0.5  # seconds of idleness sampled before anything begins
_PATIENCE = 300.0  # seconds for one child


@dataclass(frozen=True)
class Growth:
    """Peak less idle in bytes: resident memory, file mappings included, and its anonymous part."""

    resident: int
    anonymous: int

    def __add__(self, other: Growth) -> Growth:
        return Growth(self.resident + other.resident, self.anonymous + other.anonymous)

    def __str__(self) -> str:
        return f"{self.resident / MIB:,.0f} MiB ({self.anonymous / MIB:,.0f} anonymous)"


class MemoryWatch:
    """Samples this process, its browsers' pages and the rest of its browsers every 10 ms while it is entered."""

    def __enter__(self) -> MemoryWatch:
        handle, name = tempfile.mkstemp(prefix="bench-", suffix=".memory")
        os.close(handle)
        self._file = Path(name)
        self._process = subprocess.Popen([sys.executable, str(HERE / "sampler.py"), str(os.getpid()), name])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._file.unlink(missing_ok=True)

    def idle(self) -> float:
        """Wait until idleness has been sampled; the time at which a span may begin."""
        time.sleep(_SETTLE)
        return time.time()

    def growth(self, begin: float, end: float) -> dict[str, Growth]:
        """By role (``python``, ``page``, ``browser``): the peak between two times less what was there before."""
        time.sleep(0.05)
        samples = [_sample(line) for line in self._file.read_text(encoding="utf-8").splitlines()[:-1]]
        before = [roles for at, roles in samples if begin - _IDLE <= at < begin]
        during = [roles for at, roles in samples if begin <= at <= end]
        names = {name for roles in during for name in roles}
        return {name: Growth(*(_rise(before, during, name, part) for part in (0, 1))) for name in sorted(names)}


def _sample(line: str) -> tuple[float, dict[str, tuple[int, int]]]:
    at, *words = line.split()
    triples = zip(words[::3], words[1::3], words[2::3], strict=True)
    return float(at), {role: (int(rss), int(anonymous)) for role, rss, anonymous in triples}


def _rise(before: Sequence[dict[str, Any]], during: Sequence[dict[str, Any]], name: str, part: int) -> int:
    idle = min((roles[name][part] for roles in before if name in roles), default=0)
    return max((roles[name][part] for roles in during if name in roles), default=idle) - idle


def processor_seconds() -> dict[str, float]:
    """Seconds of processor time that this process and its browsers have taken, by role as in `MemoryWatch`."""
    totals = {"python": time.process_time()}  # first, so that looking for the others does not count
    this = psutil.Process()
    for process, role in family(this, {}).items():
        if process == this:
            continue
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        totals[role] = totals.get(role, 0.0) + times.user + times.system
    return totals


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was taken between two `processor_seconds`, by role."""
    return {role: after[role] - before.get(role, 0.0) for role in ("python", "page", "browser") if role in after}


def child(script: str, *arguments: str) -> Any:
    """Run a benchmark's script anew, with clean memory, and return the JSON value on the last line that it prints."""
    command = [sys.executable, str(HERE / script), *arguments]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"}
    return json.loads(output_of(command, environment, _PATIENCE).splitlines()[-1])


def output_of(command: Sequence[str], environment: Mapping[str, str], patience: float) -> str:
    """What ``command`` prints. Raises RuntimeError if it fails or takes too long; nothing it started outlives it."""
    with tempfile.TemporaryFile() as out:
        process = psutil.Popen(command, cwd=ROOT, env=environment, stdout=out)
        try:
            status = process.wait(patience)
        except psutil.TimeoutExpired as error:
            family = [*process.children(recursive=True), process]
            for member in family:
                member.kill()
            psutil.wait_procs(family, timeout=5)
            raise RuntimeError(f"{' '.join(command)} did not end within {patience:g} s") from error
        if status:
            raise RuntimeError(f"{' '.join(command)} failed with status {status}; what it said is above")
        out.seek(0)
        return out.read().decode("utf-8")


def median(values: Iterable[float]) -> float:
    """The median."""
    return statistics.median(values)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are right-aligned."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def verdict(target: str, met: bool, measured: str) -> str:
    """One line that holds a target against what was measured."""
    return f"- {'met' if met else '**missed**'}: {target} — measured {measured}\n"


def machine() -> str:
    """The machine, the date and the versions, as a Markdown list."""
    memory = psutil.virtual_memory().total / 2**30
    packages = ("bittrue", "numpy", "keras", "tensorflow", "aiohttp")
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    return (
        f"- {datetime.now(UTC):%Y-%m-%d}, {_cpu()}, {os.cpu_count()} logical cores, {memory:.0f} GiB of memory, "
        f"{platform.system()} {platform.release()}\n"
        f"- Python {platform.python_version()}, {versions}, TensorFlow.js {_tfjs()}, {_browser()}\n"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _tfjs() -> str:
    from bittrue.runtimes.tfjs import BUNDLED

    return BUNDLED


def _browser() -> str:
    from bittrue.runtimes.discovery import find_browser

    found = find_browser("chrome")
    return f"{found.name} {found.version}" if found else "no Chrome"
