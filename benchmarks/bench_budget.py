"""Models whose activations exceed the budget: the memory that capturing takes, in the page and in Python."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from harness import MIB, Growth, MemoryWatch, child, table, verdict

CONSTANT = {"chrome:wasm": 128 * MIB, "keras:tensorflow": 256 * MIB}
"""What a side may take beside the budget: working tensors, buffers of the socket, garbage not yet collected; in Keras
also the functions that TensorFlow traces for each pass, and what `predict` keeps of its outputs."""

BUDGETS = {"chain": 48 * MIB, "wide": 64 * MIB}
TITLES = {"chain": "1,000 Dense layers", "wide": "128 convolutions of 256x256x16"}
SIDES = ("page", "python")


def main() -> None:
    """Print the section."""
    results = [child("bench_budget.py", name, target) for name in BUDGETS for target in CONSTANT]
    constants = ", ".join(f"{constant // MIB} MiB for {target}" for target, constant in CONSTANT.items())
    print("## Memory within the budget\n")
    print(
        "All layer outputs are captured in as many passes as the budget asks for. Memory is the peak of the resident "
        "set from the first prediction to the finished trace less what was there before; of the page, and of Python, "
        "which writes the trace (and, for keras, runs the model). "
        f"Allowed are the budget and a constant: {constants}. The constants were chosen from measurements, "
        "not derived: no row stays within its budget alone.\n"
    )
    headings = ["model", "target", "activations", "budget", "passes", "seconds", "page", "Python"]
    print(table(headings, [_row(result) for result in results]))
    for result in results:
        allowed = result["budget"] + CONSTANT[result["target"]]
        largest = max(resident for resident, _ in result["memory"].values())
        name = f"{TITLES[result['model']]} on {result['target']} within {allowed // MIB} MiB"
        print(verdict(name, largest <= allowed, f"{largest / MIB:,.0f} MiB"), end="")


def measure(name: str, target: str) -> dict[str, Any]:
    """Trace one model on one target within its budget."""
    from bittrue.pipeline import Run, trace

    model, given = _model(name)
    if target.startswith("keras"):
        model.predict(given, batch_size=len(given), verbose=0)  # TensorFlow's own start is not what is measured
    clock = _Clock(MemoryWatch())
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder, clock.watch:
        run = Run(budget=BUDGETS[name], progress=clock)
        found = trace(model, target, Path(folder) / "trace.safetensors", {"input": given}, run=run)
        growth = clock.watch.growth(clock.begin, clock.end)
    outputs = sum(record.nbytes for record in found.of_kind("output"))
    assert outputs > 2 * BUDGETS[name]
    return {
        "model": name,
        "target": target,
        "activations": outputs,
        "budget": BUDGETS[name],
        "passes": found.provenance.details.get("windows"),
        "seconds": clock.end - clock.begin,
        "failed": [check.name for check in found.checks if check.passed is False],
        "memory": {
            role: [growth[role].resident, growth[role].anonymous] for role in ("page", "python") if role in growth
        },
    }


def _model(name: str) -> tuple[Any, Any]:
    from tests.models.mobilenet import dense_chain, image, wide_model

    if name == "wide":
        return wide_model(512 * MIB), image(0, size=256)
    sys.setrecursionlimit(20_000)  # Keras walks a graph with a call or more for each layer of its depth
    given = np.random.default_rng(0).normal(size=(512, 64)).astype(np.float32)
    return dense_chain(1000, 64), given


class _Clock:
    """Notes the first prediction and the last record, and lets the watch see what is idle before."""

    def __init__(self, watch: MemoryWatch) -> None:
        self.watch = watch
        self.begin = self.end = 0.0

    def phase(self, target: str, what: str) -> None:
        """See `bittrue.runtimes.base.Progress`."""
        if not self.begin and what.startswith(("predicting", "capturing")):
            self.begin = time.time()

    def record(self, target: str, layer: str, nbytes: int, total: int | None) -> None:
        """See `bittrue.runtimes.base.Progress`."""
        self.end = time.time()

    def done(self, target: str) -> None:
        """See `bittrue.runtimes.base.Progress`."""


def _row(result: dict[str, Any]) -> list[str]:
    sides = [str(Growth(*result["memory"][role])) if role in result["memory"] else "" for role in SIDES]
    return [
        TITLES[result["model"]],
        result["target"],
        f"{result['activations'] / MIB:,.0f} MiB",
        f"{result['budget'] // MIB} MiB",
        str(result["passes"] or ""),
        f"{result['seconds']:.1f}",
        *sides,
    ]


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        print(json.dumps(measure(sys.argv[1], sys.argv[2])))
