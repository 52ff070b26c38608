"""The exact runtime: in Chrome beside TensorFlow.js's wasm and cpu, in Python beside Keras on TensorFlow.

One thread each. What is compared runs in turn in one process or page, so that whatever else goes on strikes both.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from browsing import Browser, PageServer
from exact_models import BATCHES, MODELS, build, fed, write
from harness import MIB, ROOT, child, median, table, verdict

sys.path.insert(0, str(ROOT / "scripts"))
from npm_package import assemble

from bittrue.runtimes.tfjs import tfjs_files

RUNS = 5
CPU_LONGEST = 20.0  # seconds of a run of TensorFlow.js's cpu; where one example says that more would take longer, none
PATIENCE = 600.0  # seconds for the page to measure one model with one batch


def main() -> None:
    """Print the section. ``--python NAME FOLDER`` and ``--memory FILE BATCH`` measure in this process."""
    inside = {"--python": _python, "--memory": _memory}.get(sys.argv[1] if sys.argv[1:] else "")
    if inside is not None:
        print(json.dumps(inside(*sys.argv[2:])))
        return
    print("## The exact runtime\n")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        assemble(folder / "package")
        python = {
            name: child("bench_exact.py", "--python", name, str(folder / "models" / _plain(name))) for name in MODELS
        }
        memory = {
            (name, batch): child(
                "bench_exact.py", "--memory", str(folder / "models" / _plain(name) / "model.safetensors"), str(batch)
            )
            for name in MODELS
            for batch in BATCHES
        }
        pages = _in_chrome(folder, python)
    _print(python, memory, pages)


def _plain(name: str) -> str:
    return name.lower().replace(" ", "-")


def _python(name: str, folder: str) -> dict[str, Any]:
    """Keras and the exact runtime in turn on one core; writes the model for the others."""
    import tensorflow as tf

    from bittrue.exact import load

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    written = write(name, Path(folder))
    keras_model, exact = build(name), load(Path(folder) / "model.safetensors")
    _on_one_core()
    times: dict[str, Any] = {}
    for batch in BATCHES:
        x = fed(keras_model, batch)
        times[str(batch)] = _in_turn(
            {"keras": lambda x=x: keras_model.predict_on_batch(x), "exact": lambda x=x: exact.predict(x)}
        )
    shape = [int(size) for size in keras_model.inputs[0].shape[1:]]
    return {"times": times, "format": written.format, "shape": shape, "parameters": written.parameters}


def _on_one_core() -> None:
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS, where the libraries' own settings have to do
        process.cpu_affinity(process.cpu_affinity()[:1])


def _in_turn(actions: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The median of each in seconds, after one run that is not counted."""
    found: dict[str, list[float]] = {name: [] for name in actions}
    for run in range(RUNS + 1):
        for name, action in actions.items():
            begun = time.perf_counter()
            action()
            if run:
                found[name].append(time.perf_counter() - begun)
    return {name: median(seconds) for name, seconds in found.items()}


def _memory(file: str, batch: str) -> dict[str, Any]:
    """Seconds to load and the growth of resident memory in bytes, with nothing but the exact runtime loaded."""
    import numpy as np

    from bittrue.exact import load
    from bittrue.exact.engine import module_sha256

    begun = time.perf_counter()
    module_sha256()  # compiles the module, once a process
    compiled = time.perf_counter() - begun
    process = psutil.Process()
    before = process.memory_info().rss
    begun = time.perf_counter()
    model = load(file)
    loaded = time.perf_counter() - begun
    shape = [int(size or 0) for size in model.inputs[0].shape[1:]]
    model.predict(np.random.default_rng(0).random((int(batch), *shape), np.float32))
    growth = process.memory_info().rss - before
    return {"compiled": compiled, "loaded": loaded, "growth": growth, "file": Path(file).stat().st_size}


def _in_chrome(folder: Path, python: dict[str, Any]) -> dict[tuple[str, int], Any]:
    folders = {"tfjs": tfjs_files().folder, "package": folder / "package" / "dist", "models": folder / "models"}
    found: dict[tuple[str, int], Any] = {}
    with PageServer(folders) as server, Browser(server.url("exact.html")):
        server.hear("ready")
        for name, facts in python.items():
            for batch in BATCHES:
                about = {"folder": _plain(name), "format": facts["format"], "shape": facts["shape"], "batch": batch}
                one = found.get((name, BATCHES[0]))
                cpu = one is None or batch * one["times"]["cpu"][0] < CPU_LONGEST
                server.tell(type="measure", runs=RUNS, cpu=cpu, **about)
                found[name, batch] = server.hear("measured", PATIENCE)
    return found


def _print(python: dict[str, Any], memory: dict[tuple[str, int], Any], pages: dict[tuple[str, int], Any]) -> None:
    print(
        f"One thread each, the median of {RUNS} runs in turn after one that is not counted (one alone of `cpu`). "
        "Weights are random; the encoder is 12 blocks, 384 wide, over 128 places. onnxruntime, which reads "
        "neither form, is left out.\n"
    )
    _print_times(python, pages)
    _print_memory(memory, pages)
    _print_verdicts(python, pages)


def _print_times(python: dict[str, Any], pages: dict[tuple[str, int], Any]) -> None:
    rows = []
    for (name, batch), page in pages.items():
        wasm, exact = (median(page["times"][key]) for key in ("wasm", "exact"))
        slow = [[_ms(seconds), f"{seconds / exact:.1f}"] for seconds in page["times"]["cpu"]] or [["", ""]]
        rows.append([name, str(batch), _ms(exact), _ms(wasm), f"{wasm / exact:.2f}", *slow[0]])
    headings = ["in Chrome", "batch", "exact", "TensorFlow.js wasm", "times as fast", "cpu", "times as fast"]
    print(table(headings, rows))
    rows = []
    for name, facts in python.items():
        for batch, times in facts["times"].items():
            ratio = f"{times['exact'] / times['keras']:.2f}"
            rows.append([name, batch, _ms(times["exact"]), _ms(times["keras"]), ratio])
    print(table(["in Python", "batch", "exact", "Keras on TensorFlow", "times as long"], rows))


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms" if seconds < 1 else f"{seconds:,.2f} s"


def _print_memory(memory: dict[tuple[str, int], Any], pages: dict[tuple[str, int], Any]) -> None:
    compiled = median(found["compiled"] for found in memory.values())
    print(
        f"Loading: wasmtime compiles the module in {_ms(compiled)}, once a process. Memory in Python is the growth of"
    )
    print("the resident set by loading and one prediction, in Chrome all of the module's memory.\n")
    rows = []
    for (name, batch), found in memory.items():
        page = pages[name, batch]
        loaded = [_ms(found["loaded"]), _ms(page["loaded"]["exact"]), _ms(page["loaded"]["wasm"])]
        sizes = [f"{size / MIB:,.1f} MiB" for size in (found["file"], found["growth"], page["memory"])]
        rows.append([name, str(batch), *loaded, *sizes])
    print(
        table(["model", "batch", "load, Python", "load, Chrome", "load, tfjs wasm", "file", "Python", "Chrome"], rows)
    )


def _print_verdicts(python: dict[str, Any], pages: dict[tuple[str, int], Any]) -> None:
    wasm = [median(page["times"]["wasm"]) / median(page["times"]["exact"]) for page in pages.values()]
    cpu = [seconds / median(page["times"]["exact"]) for page in pages.values() for seconds in page["times"]["cpu"]]
    keras = [times["exact"] / times["keras"] for facts in python.values() for times in facts["times"].values()]
    print(verdict("in Chrome no slower than TensorFlow.js's wasm", min(wasm) >= 1, _span(wasm)))
    print(verdict("in Chrome at least 5 times as fast as its cpu", min(cpu) >= 5, _span(cpu)))
    print(verdict("in Python at most 3 times as long as Keras on TensorFlow", max(keras) <= 3, _span(keras)))


def _span(ratios: list[float]) -> str:
    return f"{min(ratios):.2f} to {max(ratios):.2f} times"


if __name__ == "__main__":
    main()
