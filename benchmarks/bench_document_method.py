"""MobileNetV2, all layer outputs in Chrome's wasm, from the start of the prediction to the finished comparison:
Bittrue against the document's own method. Each method runs in fresh processes, Python and browser alike."""

from __future__ import annotations

import gc
import io
import json
import os
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from harness import MIB, Growth, MemoryWatch, child, median, processor_seconds, spent, table, verdict

RUNS = 5
DOWNLOAD = "keras_model_tfjs_output.json"


def main() -> None:
    """Print the section."""
    theirs, ours, bare = [], [], []
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        facts = child("bench_document_method.py", "prepare", folder)
        tensors = facts["tensors"]
        for _ in range(RUNS):  # turn by turn, so that whatever else the machine does strikes all
            theirs.append(child("bench_document_method.py", "document", folder))
            ours.append(child("bench_document_method.py", "bittrue", folder))
            bare.append(child("bench_socket.py", str(tensors), str(round(facts["floats"] / tensors))))
    bare.sort(key=lambda run: float(run["seconds"]))
    print(section(facts, _middle(theirs), _middle(ours), bare[len(bare) // 2]))


def prepare(folder: Path) -> dict[str, Any]:
    """Save the model, its input, its conversion and what Keras makes of it."""
    from tests.models.mobilenet import image, mobilenet_v2

    from bittrue.pipeline import convert, trace

    model, given = mobilenet_v2(), image(0)
    model.save(folder / "model.keras")
    (folder / "input.bin").write_bytes(given.tobytes())
    (folder / "input.json").write_text(json.dumps({"shape": given.shape}), encoding="utf-8")
    np.save(folder / "input.npy", given)
    convert(model, folder / "artifact")
    reference = trace(model, "keras:tensorflow", folder / "reference.safetensors", {model.layers[0].name: given})
    outputs = reference.of_kind("output")
    return {"floats": sum(record.size for record in outputs), "tensors": len(outputs)}


def document(folder: Path) -> dict[str, Any]:
    """The document's method, its Python side as it stands there."""
    from browsing import Browser, PageServer

    from bittrue.runtimes.tfjs import tfjs_files
    from bittrue.tracefile import read_trace

    outputs = read_trace(folder / "reference.safetensors").of_kind("output")
    keras_vals = {f"{record.key.layer}_output": np.array(record.load()) for record in outputs[1:]}
    folders = {"tfjs": tfjs_files().folder, "model": folder / "artifact", "data": folder}
    with PageServer(folders) as server, Browser(server.url("document_method.html")) as browser, MemoryWatch() as watch:
        server.hear("ready")
        begin = watch.idle()
        server.tell(type="go")
        file = browser.downloaded(DOWNLOAD)
        arrived = time.time()
        with file.open() as json_file:
            tfjs_vals = json.load(json_file)
        parsed = time.time()
        with redirect_stdout(io.StringIO()):
            for key in keras_vals:
                compare_vals(key, keras_vals[key], tfjs_vals[key])
        end = time.time()
        page = server.hear("done")
        steps = {name: page[name] / 1000 for name in ("predict", "arrays", "stringify")}
        steps |= {"save": arrived - begin - sum(steps.values()), "parse": parsed - arrived, "compare": end - parsed}
        predict = steps["predict"]
        return _result(begin, end, predict, steps, watch) | {"characters": page["characters"]}


def compare_vals(key: str, a: Any, b: Any) -> None:
    """The document's comparison of one layer: an array with nested lists."""
    for i in range(len(a)):
        different = np.sum(a[i] != b[i])
        average = np.sum(np.abs(a[i] - b[i])) / np.size(a[i])
        print(f"{key}[{i}]: different values = {different}, average difference = {average}")


class _Start:
    """Progress that notes when the plain prediction began, and the processor time taken until then."""

    def __init__(self) -> None:
        self.at = 0.0
        self.processors: dict[str, float] = {}

    def phase(self, target: str, what: str) -> None:
        if what == "predicting":
            self.at, self.processors = time.time(), processor_seconds()

    def record(self, target: str, layer: str, nbytes: int, total: int | None) -> None: ...
    def done(self, target: str) -> None: ...


def bittrue(folder: Path) -> dict[str, Any]:
    """The same with Bittrue: every figure of every layer, its checks of the run included."""
    from bittrue.comparison import LiveComparison, kernel_status
    from bittrue.conversion.tfjs import convert
    from bittrue.model import open_model
    from bittrue.runtimes.base import TraceOptions
    from bittrue.runtimes.host import Host
    from bittrue.runtimes.target import Target
    from bittrue.tracefile import read_trace

    graph = open_model(folder / "model.keras").graph
    reference = read_trace(folder / "reference.safetensors")
    inputs = {graph.inputs[0].name: np.load(folder / "input.npy")}
    kernel_status()  # loaded by now in `bittrue check`, which compares the reference with the float64 answer first
    gc.collect()
    start, live = _Start(), LiveComparison(reference)
    with tempfile.TemporaryDirectory(dir=folder) as fresh, Host(progress=start) as host, MemoryWatch() as watch:
        artifact = convert(graph, Path(fresh) / "artifact")
        with host.runtime(Target.parse("chrome:wasm"), artifact, graph) as runtime:
            trace = runtime.trace(inputs, TraceOptions(on_record=live.take))
        arrived = time.time()
        comparison = live.finish(trace)
        end = time.time()
        processors = spent(start.processors, processor_seconds())
        assert not comparison.unmatched_reference
        assert not comparison.problems
        timings = {name: float(value) for name, value in trace.provenance.details["timings"].items()}
        steps = _steps_of(timings, start.at, arrived, end)
        predict = steps["predict"] + steps["capture"]
        return _result(end - sum(steps.values()), end, predict, steps, watch) | {"processors": processors}


def _steps_of(timings: dict[str, float], heard: float, arrived: float, end: float) -> dict[str, float]:
    """From the start of the plain prediction to ``end``.

    Python hears of that start a little later than it is, and the page ends a little before all has arrived: whichever
    puts the start earlier, what was heard or the page's own clock, is nearer to it.
    """
    predict, capture = timings["predicting"], timings["capturing"]
    begin = min(heard, arrived - predict - capture - timings["sending"])
    steps = {"predict": predict, "capture": capture}
    return steps | {"send": arrived - begin - predict - capture, "finish": end - arrived}


def _result(begin: float, end: float, predict: float, steps: dict[str, float], watch: MemoryWatch) -> dict[str, Any]:
    growth = watch.growth(begin, end)
    memory = {role: [growth[role].resident, growth[role].anonymous] for role in ("page", "python", "browser")}
    return {"total": end - begin, "predict": predict, "steps": steps, "memory": memory}


def _middle(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The run of the median total, with the memory of the median each."""
    middle = sorted(results, key=lambda result: result["total"])[len(results) // 2]
    memory = {
        role: [int(median(result["memory"][role][part] for result in results)) for part in (0, 1)]
        for role in middle["memory"]
    }
    return middle | {"memory": memory}


def section(facts: dict[str, Any], theirs: dict[str, Any], ours: dict[str, Any], bare: dict[str, Any]) -> str:
    """The section as Markdown."""
    total = theirs["total"] / ours["total"]
    rest = (theirs["total"] - theirs["predict"]) / (ours["total"] - ours["predict"])
    grown = [Growth(*side["memory"]["page"]) + Growth(*side["memory"]["python"]) for side in (theirs, ours)]
    share = grown[1].resident / grown[0].resident
    rows = [
        _row("prediction", theirs["predict"], ours["predict"]),
        _row("everything else", theirs["total"] - theirs["predict"], ours["total"] - ours["predict"]),
        _row("end to end", theirs["total"], ours["total"]),
        *[_memory_row(role, theirs, ours) for role in ("page", "python", "browser")],
        ["memory of page and Python", str(grown[0]), str(grown[1]), f"{1 / share:.1f}"],
    ]
    return (
        "## All layer outputs of MobileNetV2, against the document's own method\n\n"
        f"{facts['floats']:,} floats from Chrome's wasm; median of {RUNS} runs, turn by turn, each in a fresh browser "
        "and a fresh Python. Counted is the time from the start of the plain prediction in the page to the finished "
        "comparison, with all figures of every layer; 'everything else' is that less the prediction, for Bittrue the "
        "plain one and the capturing pass. Loading, conversion and the weights come before and are left out of both "
        "(Bittrue sends and compares its weights before it predicts). The document's method is a sub-model of "
        "all outputs, `arraySync`, `JSON.stringify`, a Blob that is downloaded "
        f"({theirs['characters'] / 1e6:.0f} million characters), `json.load` and NumPy. "
        "Memory is the peak of the resident sets less what was there before the prediction, sampled every 10 ms; "
        "Bittrue's includes the mapped files of both traces.\n\n"
        + table(["", "document's method", "Bittrue", "ratio"], rows)
        + f"\nThe document's steps: {_steps(theirs)}. Bittrue's: {_steps(ours)}.\n\n"
        + _limits(ours, bare)
        + verdict("at least 10 times faster end to end", total >= 10, f"{total:.1f}")
        + verdict("at least 40 times in everything that is not the prediction", rest >= 40, f"{rest:.1f}")
        + verdict("a tenth of the peak memory of page and Python", share <= 0.1, f"{share:.3f}")
    )


def _limits(ours: dict[str, Any], bare: dict[str, Any]) -> str:
    """The same bytes over a socket that does nothing with them, and who was at work."""
    return (
        f"A bare WebSocket that drops the same bytes, a message a layer, took {bare['seconds']:.2f} s in the same "
        "runs. "
        f"Processor time, on {os.cpu_count()} cores: {_processors(bare)} for the bare socket, {_processors(ours)} for "
        "Bittrue with its two predictions.\n\n"
    )


def _processors(run: dict[str, Any]) -> str:
    names = {"page": "page", "browser": "browser's others", "python": "Python"}
    return ", ".join(f"{name} {run['processors'][role]:.2f} s" for role, name in names.items())


def _row(name: str, theirs: float, ours: float) -> list[str]:
    return [name, f"{theirs:.2f} s", f"{ours:.2f} s", f"{theirs / ours:.1f}"]


def _memory_row(role: str, theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    names = {"page": "memory of the page", "python": "memory of Python", "browser": "memory of the browser's others"}
    left, right = Growth(*theirs["memory"][role]), Growth(*ours["memory"][role])
    return [names[role], str(left), str(right), f"{left.resident / max(right.resident, MIB):.1f}"]


def _steps(result: dict[str, Any]) -> str:
    return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in result["steps"].items())


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        part = {"prepare": prepare, "document": document, "bittrue": bittrue}[sys.argv[1]]
        print(json.dumps(part(Path(sys.argv[2]))))
