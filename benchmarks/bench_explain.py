"""What explaining costs: a check with and without it, in time on MobileNetV2 and in memory on a large batch."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from harness import MIB, MemoryWatch, child, median, processor_seconds, table, verdict

RUNS = 3
TARGET = "node:wasm"
TITLES = {
    "mobilenet": "MobileNetV2, one image",
    "batch": "three convolutions of 32x32x16, 384 examples",
}
MOST = 4.0
BATCH = 384


def main() -> None:
    """Print the section."""
    print("## What explaining costs\n")
    print(
        f"`bittrue check` on {TARGET} beside Keras, with its explanation (every layer's float64 answer, bound and "
        f"expectation, causes, and the decisions' bounds) and with `--no-explain`: each {RUNS} times, turn by turn, in "
        "a process of its own. Processor time and the peak of anonymous memory are those of Python, from the model "
        "to the result, less what was there before; medians.\n"
    )
    rows, ratios, memory = [], {}, {}
    for name, title in TITLES.items():
        found: dict[bool, list[dict[str, float]]] = {False: [], True: []}
        for _ in range(RUNS):
            for explained in found:
                found[explained].append(child("bench_explain.py", name, "explained" if explained else "plain"))
        plain, full = (
            {key: median([run[key] for run in runs]) for key in ("wall", "processor", "memory")}
            for runs in found.values()
        )
        ratios[name] = full["processor"] / plain["processor"]
        memory[name] = full["memory"] - plain["memory"]
        rows += [[title, "no", *_figures(plain)], ["", "yes", *_figures(full)]]
    print(table(["model", "explained", "wall time", "processor time", "memory"], rows))
    ratio, added = ratios["mobilenet"], memory["batch"]
    print(verdict(f"at most {MOST:g} times the plain check in processor time", ratio < MOST, f"{ratio:.2f}"), end="")
    print(verdict("no more memory than 64 MiB and two of the largest tensors on top", added < _ALLOWED, _mib(added)))


_ALLOWED = 64 * MIB + 2 * BATCH * 32 * 32 * 16 * 4


def _figures(found: dict[str, float]) -> list[str]:
    return [f"{found['wall']:.1f} s", f"{found['processor']:.1f} s", _mib(found["memory"])]


def _mib(size: float) -> str:
    return f"{size / MIB:,.0f} MiB"


def measure(name: str, *, explained: bool) -> dict[str, float]:
    """One check of one model."""
    from bittrue.pipeline import check
    from bittrue.running import Run

    model, given = _model(name)
    with MemoryWatch() as watch:
        begin, before = watch.idle(), processor_seconds()
        data = check(model, {model.layers[0].name: given}, [TARGET], run=Run(explain=explained))
        end, after = time.time(), processor_seconds()
        memory = watch.growth(begin, end)["python"].anonymous
    (outcome,) = data.targets
    assert (outcome.diagnosis is not None) == explained
    return {"wall": end - begin, "processor": after["python"] - before["python"], "memory": memory}


def _model(name: str) -> tuple[Any, Any]:
    import keras
    from tests.models.mobilenet import image, mobilenet_v2

    if name == "mobilenet":
        return mobilenet_v2(), image(0)
    keras.utils.set_random_seed(1)
    entry = tensor = keras.Input((32, 32, 16), name="input")
    for _ in range(3):
        tensor = keras.layers.Conv2D(16, 3, padding="same", activation="relu")(tensor)
    tensor = keras.layers.Dense(12, activation="softmax")(keras.layers.GlobalAveragePooling2D()(tensor))
    given = np.random.default_rng(0).normal(size=(BATCH, 32, 32, 16)).astype(np.float32)
    return keras.Model(entry, tensor), given


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], explained=sys.argv[2] == "explained")))
    else:
        main()
