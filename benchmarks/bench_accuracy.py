"""How far outputs lie from the float64 answer: those of Keras, TensorFlow.js and the exact runtime, model by model."""

from __future__ import annotations

from collections.abc import Iterator

from exact_models import MODELS, build, fed
from harness import table, verdict

from bittrue import check
from bittrue.comparison import Metrics
from bittrue.model import open_model
from bittrue.pipeline import Run
from bittrue.report.words import short

TARGETS = ("node:cpu", "node:wasm", "python:exact")
BATCH = 2
AS_CLOSE = 1.5  # times the error of the farther of Keras and TensorFlow.js's wasm: what "as close" is held to


def main() -> None:
    """Print the section."""
    print("## Distance from the float64 answer\n")
    print(
        f"Each model's output on a batch of {BATCH}, end to end, against Bittrue's float64 answer on the same weights: "
        "the largest error, relative to the largest value, and in brackets the median in ULP. Weights are random.\n"
    )
    found = {name: dict(_distances(name)) for name in MODELS}
    sides = list(next(iter(found.values())))
    print(table(["", *sides], [[name, *map(_cell, by_side.values())] for name, by_side in found.items()]))
    ratios = [
        of["python:exact"].max_abs_to_scale
        / max(of[side].max_abs_to_scale for side in sides if side.endswith(("wasm", "flow")))
        for of in found.values()
    ]
    print(
        verdict(
            "the exact runtime is as close as the others",
            max(ratios) <= AS_CLOSE,
            f"at most {max(ratios):.2f} times as far",
        )
    )


def _distances(name: str) -> Iterator[tuple[str, Metrics]]:
    """By side, the distance of the model's last layer."""
    model = build(name)
    (entry,) = open_model(model).graph.inputs
    data = check(model, {entry.name: fed(model, BATCH)}, TARGETS, run=Run(explain=False))
    last = {outcome.target: data.rows(outcome)[-1] for outcome in data.targets}
    reference = last[TARGETS[0]].reference_accuracy
    assert reference is not None
    yield data.reference.provenance.target, reference
    for target, row in last.items():
        assert row.own_accuracy is not None
        yield target, row.own_accuracy


def _cell(metrics: Metrics) -> str:
    return f"{short(metrics.max_abs_to_scale, 2)} ({short(metrics.median_ulp, 2)})"


if __name__ == "__main__":
    main()
