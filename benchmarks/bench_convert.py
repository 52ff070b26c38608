"""Converting ResNet50 and MobileNetV2 beside TensorFlow.js's own converter, in an environment where that runs.

The models are files of Keras 2.15, which both read; their weights are random, as sizes and times do not depend on
them. Memory is sampled from outside, beside that of a Python that does nothing. The official converter gets pinned
older packages, in build/official, once. Needs a Python 3.11 for that.
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
from harness import MIB, ROOT, median, output_of, table, verdict

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
INSIDE = """
import sys
before = set(sys.modules)
from bittrue.cli.app import main
try:
    main(["convert", "--quiet", *sys.argv[1:]])
except SystemExit as end:
    assert not end.code
loaded = {name.partition(".")[0] for name in sys.modules.keys() - before}
import json
from importlib.metadata import packages_distributions
from bittrue.model import open_model
owners = packages_distributions()
weights = sum(weight.value.nbytes for _, layer in open_model(sys.argv[1]).graph.walk() for weight in layer.weights)
packages = sorted({owner for name in loaded for owner in owners.get(name, ())})
print(json.dumps({"weights": weights, "packages": packages}))
"""
IDLE = "import time; time.sleep(0.5)"
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
    """Print the section."""
    prepare()
    print("## Converting\n")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        output_of([str(OFFICIAL_PYTHON), "-c", SAVE, scratch, *MODELS], _environment(), PATIENCE)
        idle = _median([_cost([sys.executable, "-c", IDLE]) for _ in range(RUNS)])
        costs = {name: _both(folder, name) for name in MODELS}
        paths = {name: str(folder / f"{name}.h5") for name in MODELS}
        inside = {name: _inside(paths[name], scratch) for name in MODELS}
    weights = {name: _number(found, "weights") for name, found in inside.items()}
    _print_times(costs, idle)
    _print_memory(costs, idle, weights)
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


def _inside(model: str, scratch: str) -> dict[str, object]:
    """The bytes of a model's weights, and the packages that its conversion loads."""
    command = [sys.executable, "-c", INSIDE, model, f"{scratch}/inside"]
    found: dict[str, object] = json.loads(output_of(command, _environment(), PATIENCE))
    return found


def _print_times(costs: dict[str, dict[str, Cost]], idle: Cost) -> None:
    print(f"One command each, imports included; the median of {RUNS} runs in turn. A Python that does nothing has a")
    print(f"peak of {idle.peak / MIB:,.0f} MiB, which is part of both.\n")
    rows = []
    for name, found in costs.items():
        for key, label in (("official", "`tensorflowjs_converter` 4.22.0"), ("bittrue", "`bittrue convert`")):
            cost = found[key]
            rows.append([name, label, f"{cost.wall:.1f} s", f"{cost.processor:.1f} s", f"{cost.peak / MIB:,.0f} MiB"])
    print(table(["model", "", "wall time", "processor time", "peak memory"], rows))
    for what, times in (("", _factors(costs, "wall")), (" by processor time", _factors(costs, "processor"))):
        said = ", ".join(f"{factor:.1f} times" for factor in times)
        print(verdict(f"five times faster than the official converter{what}", min(times) >= 5, said))


def _factors(costs: dict[str, dict[str, Cost]], what: str) -> list[float]:
    return [getattr(found["official"], what) / getattr(found["bittrue"], what) for found in costs.values()]


def _print_memory(costs: dict[str, dict[str, Cost]], idle: Cost, weights: dict[str, float]) -> None:
    growth = {name: found["bittrue"].peak - idle.peak for name, found in costs.items()}
    parts = [(name, growth[name] / MIB, weights[name] / MIB) for name in costs]
    said = ", ".join(f"{own / held:.1f} times for {name} ({own:,.0f} MiB for {held:,.0f})" for name, own, held in parts)
    within = all(growth[name] <= 2 * weights[name] for name in costs)
    print(verdict("no more memory than twice the weights, over a Python that does nothing", within, said))


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
    run, taking_part = {"bittrue", *_pinned("run")}, {"bittrue", *map(_plain, imported)} & needed.keys()
    sizes = {
        "`pip install tensorflowjs`, as pinned here": sum(theirs.values()),
        "`pip install bittrue`, all that it brings": sum(needed.get(name, 0) for name in run),
        "of that, the packages of which converting a Keras file loads a module": sum(
            needed.get(name, 0) for name in taking_part
        ),
    }
    print(table(["installed", "size"], [[name, f"{size / MIB:,.0f} MiB"] for name, size in sizes.items()]))
    print(f"Those packages: {', '.join(sorted(taking_part))}.\n")
    base, own, used = sizes.values()
    print(verdict("ten times less to install than the official converter", base >= 10 * own, f"{base / own:.1f} times"))
    said = f"{base / used:.0f} times"
    print(verdict("ten times less that has to be there for converting a Keras file", base >= 10 * used, said))


def _pinned(name: str) -> set[str]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return {_plain(line.partition("==")[0]) for line in lines if "==" in line and not line.startswith(" ")}


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    main()
