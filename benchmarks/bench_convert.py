"""Converting ResNet50 and MobileNetV2 beside TensorFlow.js's own converter, in an environment where that runs.

The models are files of Keras 2.15, which both read; their weights are random, as sizes and times do not depend on
them. The official converter gets pinned older packages, in build/official, once. Needs a Python 3.11 for that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from harness import MIB, ROOT, child, median, output_of, table, verdict

sys.path.insert(0, str(ROOT / "scripts"))
import setup

RUNS = 3
MODELS = ("ResNet50", "MobileNetV2")
OFFICIAL = ROOT / "build" / "official"
OFFICIAL_BIN = OFFICIAL / ("Scripts" if os.name == "nt" else "bin")
OFFICIAL_PYTHON = OFFICIAL_BIN / ("python.exe" if os.name == "nt" else "python")
PATIENCE = 900.0  # seconds
INTERVAL = 0.01  # seconds between looks at a process's memory
SAVE = """
import sys, tensorflow as tf
for name in sys.argv[2:]:
    getattr(tf.keras.applications, name)(weights=None).save(f"{sys.argv[1]}/{name}.h5")
"""
SIZES = """
import importlib.metadata as m, json, pathlib
def size(d):
    paths = [pathlib.Path(d.locate_file(file)) for file in d.files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file())
print(json.dumps({d.metadata["Name"]: size(d) for d in m.distributions()}))
"""


@dataclass(frozen=True)
class Cost:
    """What one conversion took: seconds of wall and of processor time, peak resident memory in bytes."""

    wall: float
    processor: float
    peak: int


def main() -> None:
    """Print the section; ``--inside MODEL OUT`` converts in this process and says what that took."""
    if sys.argv[1:2] == ["--inside"]:
        print(json.dumps(_inside(Path(sys.argv[2]), Path(sys.argv[3]))))
        return
    prepare()
    print("## Converting\n")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        output_of([str(OFFICIAL_PYTHON), "-c", SAVE, scratch, *MODELS], _environment(), PATIENCE)
        costs = {name: _both(folder, name) for name in MODELS}
        paths = {name: str(folder / f"{name}.h5") for name in MODELS}
        inside = {name: child("bench_convert.py", "--inside", paths[name], f"{scratch}/inside") for name in MODELS}
    _print_times(costs)
    _print_memory(inside)
    _print_sizes(inside[MODELS[0]]["packages"])


def prepare() -> None:
    """The environment of the official converter, made once from the pinned packages."""
    stamp, pinned = OFFICIAL / "pinned.txt", (ROOT / "requirements" / "official.txt").read_text(encoding="utf-8")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == pinned:
        return
    listing = output_of([sys.executable, "-m", "pip", "config", "list"], dict(os.environ), PATIENCE)
    environment = {**(setup.uv_environment(listing) or {}), **os.environ}
    uv = str(setup.BIN / ("uv.exe" if os.name == "nt" else "uv"))
    output_of([uv, "venv", "--quiet", "--clear", "--python", "3.11", str(OFFICIAL)], environment, PATIENCE)
    wanted = ["--require-hashes", "-r", str(ROOT / "requirements" / "official.txt")]
    command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(OFFICIAL_PYTHON), *wanted]
    output_of(command, environment, PATIENCE)
    stamp.write_text(pinned, encoding="utf-8")


def _both(folder: Path, name: str) -> dict[str, Cost]:
    """The median of each converter's runs, in turn, so that whatever else goes on strikes both."""
    model = str(folder / f"{name}.h5")
    program = str(OFFICIAL_BIN / "tensorflowjs_converter")
    commands = {
        "official": [program, "--input_format", "keras", model, str(folder / "official")],
        "bittrue": [sys.executable, "-m", "bittrue", "convert", "--quiet", model, str(folder / "bittrue")],
    }
    runs: dict[str, list[Cost]] = {key: [] for key in commands}
    for _ in range(RUNS):
        for key, command in commands.items():
            runs[key].append(_cost(command))
    return {key: _median(found) for key, found in runs.items()}


def _median(runs: list[Cost]) -> Cost:
    peak = int(median(run.peak for run in runs))
    return Cost(median(run.wall for run in runs), median(run.processor for run in runs), peak)


def _cost(command: list[str]) -> Cost:
    """Run ``command`` to its end, watched from outside. Raises RuntimeError if it fails."""
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        process = psutil.Popen(command, env=_environment(), stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        peak, processor = 0, 0.0
        while process.poll() is None:
            try:
                peak = max(peak, process.memory_info().rss)
                times = process.cpu_times()
                processor = times.user + times.system
            except psutil.Error:
                break
            time.sleep(INTERVAL)
        status = process.wait(PATIENCE)
        wall = time.perf_counter() - begun
        said.seek(0)
        if status:
            raise RuntimeError(f"{command[0]} failed: {said.read().decode('utf-8', 'replace')[-2000:]}")
    return Cost(wall, processor, peak)


def _environment() -> dict[str, str]:
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def _inside(model: Path, out: Path) -> dict[str, object]:
    """Convert here: growth of memory from when Keras is imported, and the packages that took part, in bytes."""
    from threading import Event, Thread

    from bittrue.conversion.tfjs import convert
    from bittrue.model import open_model
    from bittrue.model.framework import import_keras

    import_keras()
    own, over, seen = psutil.Process(), Event(), [0]
    before = own.memory_info().rss

    def watch() -> None:
        while not over.wait(0.005):
            seen.append(own.memory_info().rss)

    watcher = Thread(target=watch)
    watcher.start()
    try:
        graph = open_model(model).graph
        convert(graph, out)
    finally:
        over.set()
        watcher.join()
    weights = sum(weight.value.nbytes for _, layer in graph.walk() for weight in layer.weights)
    return {"weights": weights, "growth": max(seen) - before, "packages": _imported()}


def _imported() -> list[str]:
    """The distributions of which a module is loaded."""
    from importlib.metadata import packages_distributions

    owners = packages_distributions()
    names = {name.partition(".")[0] for name in sys.modules}
    return sorted({owner for name in names for owner in owners.get(name, ())})


def _print_times(costs: dict[str, dict[str, Cost]]) -> None:
    print(f"One command each, imports included; the median of {RUNS} runs in turn.\n")
    rows = []
    for name, found in costs.items():
        for key, label in (("official", "`tensorflowjs_converter` 4.22.0"), ("bittrue", "`bittrue convert`")):
            cost = found[key]
            rows.append([name, label, f"{cost.wall:.1f} s", f"{cost.processor:.1f} s", f"{cost.peak / MIB:,.0f} MiB"])
    print(table(["model", "", "wall time", "processor time", "peak memory"], rows))
    factors = [found["official"].wall / found["bittrue"].wall for found in costs.values()]
    said = ", ".join(f"{factor:.1f} times" for factor in factors)
    print(verdict("five times faster than the official converter", min(factors) >= 5, said))


def _print_memory(inside: dict[str, dict[str, object]]) -> None:
    ratios = {name: _number(found, "growth") / _number(found, "weights") for name, found in inside.items()}
    said = ", ".join(f"{ratio:.1f} times for {name}" for name, ratio in ratios.items())
    print(verdict("no more memory than twice the weights, once Keras is imported", max(ratios.values()) <= 2, said))


def _number(found: dict[str, object], key: str) -> float:
    value = found[key]
    assert isinstance(value, int)
    return value


def _print_sizes(imported: object) -> None:
    theirs = json.loads(output_of([str(OFFICIAL_PYTHON), "-c", SIZES], _environment(), PATIENCE))
    ours = json.loads(output_of([sys.executable, "-c", SIZES], _environment(), PATIENCE))
    ours["bittrue"] = sum(path.stat().st_size for path in (ROOT / "src" / "bittrue").rglob("*") if path.is_file())
    assert isinstance(imported, list)
    needed = {_plain(name): size for name, size in ours.items()}
    run, taking_part = {"bittrue", *_pinned("run")}, {_plain(name) for name in imported}
    sizes = {
        "`pip install tensorflowjs`, as pinned here": sum(theirs.values()),
        "`pip install bittrue`": sum(needed.get(name, 0) for name in run),
        "of that, what converting imports": sum(needed.get(name, 0) for name in taking_part),
        "of that, without TensorFlow": sum(needed.get(name, 0) for name in taking_part - {"tensorflow"}),
    }
    print(table(["installed", "size"], [[name, f"{size / MIB:,.0f} MiB"] for name, size in sizes.items()]))
    base, own, *_ = sizes.values()
    print(verdict("ten times less to install than the official converter", base >= 10 * own, f"{base / own:.1f} times"))


def _pinned(name: str) -> set[str]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return {_plain(line.partition("==")[0]) for line in lines if "==" in line and not line.startswith(" ")}


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    main()
