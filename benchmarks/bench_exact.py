"""The exact runtime beside TensorFlow.js and onnxruntime-web in Chrome, beside Keras and onnxruntime in Python.

One thread each. What is compared runs in turn in one process or page, so that whatever else goes on strikes both.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from browsing import Browser, PageServer
from exact_models import BATCHES, MODELS, build, fed, write
from harness import MIB, ROOT, child, median, table, verdict

sys.path.insert(0, str(ROOT / "scripts"))
from npm_package import assemble

from bittrue.runtimes.tfjs import tfjs_files

RUNS = 5  # at least; short ones are repeated for SPAN seconds, or MOST times
SPAN, MOST = 0.5, 200
CPU_LONGEST = 20.0  # seconds of a run of TensorFlow.js's cpu; where one example says that more would take longer, none
AGREE = 1e-3  # of the largest value: how far the outputs that are compared may be apart, lest they be other models'
ONNX = ROOT / "requirements" / "npm" / "bench" / "node_modules" / "onnxruntime-web" / "dist"
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
    """Keras, onnxruntime and the exact runtime in turn on one core; writes the model for the others."""
    import tensorflow as tf

    from bittrue.exact import load

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    written = write(name, Path(folder))
    keras_model, exact = build(name), load(Path(folder) / "model.safetensors")
    onnx = _onnx(Path(folder) / "model.onnx")
    _on_one_core()
    times: dict[str, Any] = {}
    for batch in BATCHES:
        x = fed(keras_model, batch)
        actions = {"keras": keras_model.predict_on_batch, "onnx": onnx, "exact": exact.predict}
        _agree(name, {key: action(x) for key, action in actions.items()})
        times[str(batch)] = _in_turn({key: partial(action, x) for key, action in actions.items()})
    shape = [int(size) for size in keras_model.inputs[0].shape[1:]]
    return {"times": times, "format": written.format, "shape": shape, "parameters": written.parameters}


def _onnx(path: Path) -> Callable[[Any], Any]:
    """onnxruntime with one thread, from the one input to the last output."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[-1]


def _agree(name: str, made: dict[str, Any]) -> None:
    """Raises RuntimeError where one has computed something else."""
    import numpy as np

    outputs = {key: np.asarray(y[-1] if isinstance(y, list) else y) for key, y in made.items()}
    for key, y in outputs.items():
        apart = float(np.abs(y - outputs["exact"]).max() / np.abs(outputs["exact"]).max())
        if not apart <= AGREE:
            raise RuntimeError(f"{name}: {key} and the exact runtime are {apart:g} apart: they are not the same model")


def _on_one_core() -> None:
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS, where the libraries' own settings have to do
        process.cpu_affinity(process.cpu_affinity()[:1])


def _in_turn(actions: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The median of each in seconds, after one run that is not counted."""
    found: dict[str, list[float]] = {name: [] for name in actions}
    start = time.perf_counter()
    for run in range(MOST + 1):
        if run > RUNS and time.perf_counter() - start > SPAN:
            break
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
    package, models = folder / "package" / "dist", folder / "models"
    folders = {"tfjs": tfjs_files().folder, "package": package, "models": models, "onnx": ONNX}
    found: dict[tuple[str, int], Any] = {}
    with PageServer(folders) as server, Browser(server.url("exact.html")):
        server.hear("ready")
        for name, facts in python.items():
            for batch in BATCHES:
                about = {"folder": _plain(name), "format": facts["format"], "shape": facts["shape"], "batch": batch}
                one = found.get((name, BATCHES[0]))
                cpu = one is None or batch * one["times"]["cpu"][-1] < CPU_LONGEST
                server.tell(type="measure", runs=RUNS, span=SPAN, most=MOST, cpu=cpu, agree=AGREE, **about)
                found[name, batch] = server.hear("measured", PATIENCE)
    return found


def _print(python: dict[str, Any], memory: dict[tuple[str, int], Any], pages: dict[tuple[str, int], Any]) -> None:
    print(
        f"One thread each, the median of at least {RUNS} runs in turn after one that is not counted (of `cpu` one "
        f"alone, if that takes {SPAN:g} s). Weights are random; the encoder is 12 blocks, 384 wide, over 128 places. "
        "The ONNX file is written from the same graph by `benchmarks/onnx_model.py`; all outputs were no further from "
        f"the exact ones than {AGREE:g} of the largest.\n"
    )
    _print_times(python, pages)
    _print_memory(memory, pages)
    _print_verdicts(python, pages)


def _print_times(python: dict[str, Any], pages: dict[tuple[str, int], Any]) -> None:
    rows = []
    for (name, batch), page in pages.items():
        exact, wasm, onnx = (median(page["times"][key]) for key in ("exact", "wasm", "onnx"))
        slow = median(page["times"]["cpu"]) if page["times"]["cpu"] else None
        others = [_beside(exact, seconds) for seconds in (wasm, onnx)] + [_beside(exact, slow) if slow else ""]
        rows.append([name, str(batch), _ms(exact), *others])
    print(
        table(["in Chrome", "batch", "exact", "TensorFlow.js wasm", "onnxruntime-web wasm", "TensorFlow.js cpu"], rows)
    )
    rows = [
        [
            name,
            batch,
            _ms(times["exact"]),
            _beside(times["exact"], times["keras"]),
            _beside(times["exact"], times["onnx"]),
        ]
        for name, facts in python.items()
        for batch, times in facts["times"].items()
    ]
    print(table(["in Python", "batch", "exact", "Keras on TensorFlow", "onnxruntime"], rows))
    print("In brackets how many times as fast as the other the exact runtime is.\n")


def _beside(exact: float, other: float) -> str:
    return f"{_ms(other)} ({other / exact:.2f})"


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
    times = [page["times"] for page in pages.values()]
    wasm, onnx_wasm = ([median(one[key]) / median(one["exact"]) for one in times] for key in ("wasm", "onnx"))
    cpu = [median(one["cpu"]) / median(one["exact"]) for one in times if one["cpu"]]
    inside = [found for facts in python.values() for found in facts["times"].values()]
    keras, onnx = ([found["exact"] / found[key] for found in inside] for key in ("keras", "onnx"))
    print(verdict("in Chrome no slower than TensorFlow.js's wasm", min(wasm) >= 1, f"{_span(wasm)} as fast"))
    print(verdict("in Chrome at least 5 times as fast as its cpu", min(cpu) >= 5, f"{_span(cpu)} as fast"))
    print(verdict("in Python at most 3 times as long as Keras", max(keras) <= 3, f"{_span(keras)} as long"))
    print(f"- onnxruntime, without a target: in Chrome {_span(onnx_wasm)} as fast as its wasm; in Python ", end="")
    print(f"{_span(onnx)} as long\n")


def _span(ratios: list[float]) -> str:
    return f"{min(ratios):.2f} to {max(ratios):.2f} times"


if __name__ == "__main__":
    main()
