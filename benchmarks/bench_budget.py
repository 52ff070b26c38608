"""Models whose activations exceed the budget: the memory that capturing takes, in the page and in Python."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from harness import MIB, MemoryWatch, child, table, verdict

TARGETS = ("chrome:wasm", "keras:tensorflow")
BUDGETS = {"chain": 96 * MIB, "wide": 128 * MIB}
TITLES = {"chain": "1,000 Dense layers", "wide": "128 convolutions of 256x256x16"}
SIDES = {"page": "page, alone + added", "python": "Python, alone + added"}
ALONE = "alone"


def main() -> None:
    """Print the section."""
    results = [_both(name, target) for name in BUDGETS for target in TARGETS]
    print("## Memory within the budget\n")
    print(
        "All layer outputs are captured, in as many passes as the budget asks for. Memory is the peak of the resident "
        "set from the first prediction to the finished trace less what was there before that prediction: of the page, "
        "and of Python, which writes the trace and, for keras, runs the model. What a framework takes to compile and "
        "run the model is not Bittrue's to bound; it is measured by the same run, in processes of its own, with no "
        "layer captured. The budget is for what capturing adds to that.\n"
    )
    headings = ["model", "target", "activations", "budget", "passes", "seconds", *SIDES.values()]
    print(table(headings, [_row(result) for result in results]))
    for result in results:
        for role in result["memory"]:
            name = f"{TITLES[result['model']]} on {result['target']}: capturing adds to the {role} at most"
            added = _added(result, role)
            met = added <= result["budget"] and not result["failed"]
            print(verdict(f"{name} {result['budget'] // MIB} MiB", met, f"{max(0, added) / MIB:,.0f} MiB"), end="")


def _both(name: str, target: str) -> dict[str, Any]:
    captured: dict[str, Any] = child("bench_budget.py", name, target)
    assert captured["activations"] > 2 * captured["budget"]
    return {**captured, "alone": child("bench_budget.py", name, target, ALONE)["memory"]}


def _added(result: dict[str, Any], role: str) -> int:
    """Bytes of resident memory that capturing adds to the prediction alone."""
    return int(result["memory"][role][0] - result["alone"][role][0])


def measure(name: str, target: str, *, alone: bool) -> dict[str, Any]:
    """Trace one model on one target within its budget; ``alone``: capture no layer, so that it only predicts."""
    from bittrue.inputs import load_inputs
    from bittrue.model import open_model
    from bittrue.running import Run, Session
    from bittrue.runtimes.target import Target

    opened, given = _model(name)
    clock = _Clock()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder, MemoryWatch() as watch:
        run = Run(budget=BUDGETS[name], progress=clock, save=Path(folder))
        with Session(open_model(opened), run) as session:
            inputs = load_inputs({"input": given}, session.graph)
            options = replace(run.options(target), layers=() if alone else None)
            found = session.trace(Target.parse(target), inputs, options)
        growth = watch.growth(clock.begin, clock.end)
    return {
        "model": name,
        "target": target,
        "activations": sum(record.nbytes for record in found.of_kind("output")),
        "budget": BUDGETS[name],
        "passes": found.provenance.details.get("windows"),
        "seconds": clock.end - clock.begin,
        "failed": [check.name for check in found.checks if check.passed is False or check.name == "budget"],
        "memory": {
            role: [growth[role].resident, growth[role].anonymous] for role in ("page", "python") if role in growth
        },
    }


def _model(name: str) -> tuple[Any, Any]:
    from tests.models.mobilenet import dense_chain, image, wide_model

    if name == "wide":
        return wide_model(512 * MIB), image(0, size=256)
    sys.setrecursionlimit(20_000)  # Keras walks a graph with a call or more for each layer of its depth
    given = np.random.default_rng(0).normal(size=(1024, 64)).astype(np.float32)
    return dense_chain(1000, 64), given


class _Clock:
    """Notes when the first prediction begins, and when the last record has arrived."""

    def __init__(self) -> None:
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
    return [
        TITLES[result["model"]],
        result["target"],
        f"{result['activations'] / MIB:,.0f} MiB",
        f"{result['budget'] // MIB} MiB",
        str(result["passes"] or ""),
        f"{result['seconds']:.1f}",
        *(_side(result, role) for role in SIDES),
    ]


def _side(result: dict[str, Any], role: str) -> str:
    if role not in result["memory"]:
        return ""
    return f"{result['alone'][role][0] / MIB:,.0f} + {_added(result, role) / MIB:,.0f} MiB"


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        print(json.dumps(measure(sys.argv[1], sys.argv[2], alone=ALONE in sys.argv)))
