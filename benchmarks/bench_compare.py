"""`compare` on 100 million pairs of float32 against ``np.array_equal``, the NumPy pass and Polygraphy's comparator.

``bench_compare.py [--size N] [--polygraphy PYTHON]``: Polygraphy is measured where PYTHON, the interpreter of an
environment of its own, has it; run.py's way to name one is the variable BITTRUE_BENCH_POLYGRAPHY.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from harness import median, output_of, table, verdict

from bittrue.comparison import compare, kernel_status, measure
from bittrue.traces import Array, Key, Provenance, Record, Trace

RUNS = 5
PATIENCE = 400.0
KEY = Key("output", "layer")
TENTH = "the NumPy pass, where the kernel is missing (a tenth of the pairs, times ten)"
PROVENANCE = Provenance("memory", "bench", "none", "0")
POLYGRAPHY = """
import sys, time
import numpy as np
try:
    from polygraphy.comparator import SimpleCompareFunc as comparator
except ImportError:
    from polygraphy.comparator import CompareFunc
    comparator = CompareFunc.simple
from polygraphy.comparator.struct import IterationResult
sides = [IterationResult({"layer": np.load(path)}, runner_name=path) for path in sys.argv[1:3]]
times = []
for _ in range(3):
    begun = time.perf_counter()
    comparator()(*sides)
    times.append(time.perf_counter() - begun)
print()
print(*times)
"""


def main() -> None:
    """Print the section."""
    options = _options()
    reference, candidate = rounding(options.size)
    measured = _in_turn(_contestants(reference, candidate))
    measured[TENTH] = [10 * seconds for seconds in measured[TENTH]]
    if options.polygraphy:
        measured["Polygraphy's comparator"] = polygraphy(options.polygraphy, reference, candidate)
    base = median(measured["`np.array_equal`"])
    rows = [
        [name, f"{median(times):.3f} s", f"{min(times):.3f} s", f"{median(times) / base:.1f}", str(len(times))]
        for name, times in measured.items()
    ]
    ratio = median(measured["`compare`"]) / base
    print("## Comparing\n")
    print(f"{options.size:,} pairs of float32, all figures of the report, run turn by turn.")
    print(f"{_describe()}\n")
    print(table(["", "median", "least", "times `np.array_equal`", "runs"], rows))
    print(verdict("within 15 times `np.array_equal`", ratio <= 15, f"{ratio:.1f} times"))


def rounding(size: int) -> tuple[Array, Array]:
    """Activations and the same again, up to 3 ULP away: what two correct runtimes deliver."""
    random = np.random.default_rng(0)
    reference = random.standard_normal(size, dtype=np.float32)
    candidate = reference.copy()
    candidate.view(np.int32)[:] += random.integers(-3, 4, size, dtype=np.int32)
    return reference, candidate


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=100_000_000)
    parser.add_argument("--polygraphy", metavar="PYTHON", default=_with_polygraphy())
    return parser.parse_args()


def _contestants(reference: Array, candidate: Array) -> dict[str, Callable[[], object]]:
    sides = [Trace.of(PROVENANCE, [Record.of(KEY, array)]) for array in (reference, candidate)]
    unrelated = reference[::-1].copy()
    return {
        "`np.array_equal`": lambda: np.array_equal(reference, candidate),
        "`compare`": lambda: compare(sides[0], sides[1]),
        "`compare`, one thread": lambda: measure(reference, candidate, threads=1),
        "`compare`, unrelated tensors (the median needs further passes)": lambda: measure(reference, unrelated),
        TENTH: lambda: measure(reference[: reference.size // 10], candidate[: reference.size // 10], method="numpy"),
    }


def _in_turn(contestants: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds by name, after one round that warms up; turn by turn, so that whatever else goes on strikes all."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(RUNS + 1):
        for name, run in contestants.items():
            begun = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - begun)
    return times


def _with_polygraphy() -> str | None:
    """The interpreter that has Polygraphy: the one that is named, else this one after `make bench` has set it up."""
    here = sys.executable if find_spec("polygraphy") else None
    return os.environ.get("BITTRUE_BENCH_POLYGRAPHY") or here


def polygraphy(python: str, reference: Array, candidate: Array) -> list[float]:
    """Seconds that Polygraphy takes for the same arrays, in its own interpreter, loading not counted."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        paths = [str(Path(folder) / name) for name in ("reference.npy", "candidate.npy")]
        for path, array in zip(paths, (reference, candidate), strict=True):
            np.save(path, array)
        said = output_of([python, "-c", POLYGRAPHY, *paths], dict(os.environ), PATIENCE)
        return [float(word) for word in said.splitlines()[-1].split()]


def _describe() -> str:
    status = kernel_status()
    return "The kernel is in use." if status.available else f"The kernel is not in use: {status.reason}."


if __name__ == "__main__":
    main()
