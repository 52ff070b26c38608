"""Clean models in real runtimes, every layer of every target held to the rigorous bound and to the expectation.

What was found is appended as dated JSON lines, one a model, input and target; what is there already is not run again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import clean_controls

__all__ = ["MODELS", "TARGETS", "Row", "read", "run", "table"]

Row = dict[str, Any]

TARGETS = (
    "keras:tensorflow",
    "keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0",
    "node:cpu",
    "node:wasm",
    "chrome:cpu",
    "chrome:wasm",
    "chrome:webgl",
    "chrome:webgpu",
    "firefox:cpu",
    "firefox:wasm",
    "firefox:webgl",
)
"""Every backend. The first is also what the others are compared with, and is held to the same bound."""


def mobilenet() -> Any:
    """MobileNetV2 of random weights, its statistics those of random pictures, so that no activation vanishes."""
    import keras
    import numpy as np

    model = keras.applications.MobileNetV2(weights=None, input_shape=(192, 192, 3))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.random.default_rng(0).normal(size=(4, 192, 192, 3)).astype(np.float32), training=True)
    return model


MODELS: Mapping[str, Callable[[], Any]] = {"mobilenet": mobilenet, **clean_controls.FAMILIES}


def read(place: Path) -> list[Row]:
    """The rows that are there; the newest of each model, input and target."""
    lines = place.read_text(encoding="utf-8").splitlines() if place.exists() else []
    return list({_key(row): row for row in map(json.loads, lines)}.values())


def _key(row: Row) -> tuple[Any, ...]:
    return row["model"], row["seed"], row["inputs"], row["target"]


def run(place: Path, seeds: Sequence[int], targets: Sequence[str] = TARGETS) -> None:
    """Run what is not there yet. A target that fails is a row with its reason."""
    import keras

    from bittrue.pipeline import check

    place.parent.mkdir(parents=True, exist_ok=True)
    done = {_key(row) for row in read(place) if "failed" not in row}
    for name, build in MODELS.items():
        for seed in seeds:
            inputs = f"random:{seed}"
            wanted = [target for target in targets if (name, seed, inputs, target) not in done]
            if not wanted:
                continue
            keras.utils.set_random_seed(seed)
            data = check(build(), inputs, wanted, batch=1 if name == "mobilenet" else 4)
            about = {"date": date.today().isoformat(), "model": name, "seed": seed, "inputs": inputs}
            with place.open("a", encoding="utf-8") as file:
                for outcome in data.targets:
                    row = {**about, "target": str(outcome.target), **_found(outcome)}
                    file.write(json.dumps(row) + "\n")
                    print(row["target"], name, seed, row.get("failed") or f"{row['values']:,} values", flush=True)


def _found(outcome: Any) -> Row:
    """What one clean run came to, of the target's side alone."""
    if outcome.diagnosis is None:
        return {"failed": outcome.sentence or "not diagnosed"}
    errors = [out.own for entry in outcome.diagnosis.entries for out in entry.outputs]
    accused = [entry for entry in outcome.diagnosis.entries if entry.verdict.is_fault]
    shares = [((error.expectation or 0.0) / error.limit, error.expectation or 0.0, error.limit) for error in errors]
    share, statistic, limit = max(shares)
    return {
        "tensors": len(errors),
        "values": sum(error.promised for error in errors),
        "unpromised": sum(error.size - error.promised for error in errors),
        "outside": sum(error.outside for error in errors),
        "accused": [f"{entry.name}: {entry.verdict}, {entry.sentence}" for entry in accused],
        "bound_share": max(error.bound_share for error in errors),
        "share": share,
        "statistic": statistic,
        "limit": limit,
    }


def table(rows: Sequence[Row]) -> Iterator[str]:
    """By target, and all together."""
    yield "| target | runs | tensors | values held to the bound | outside | accused | of the bound | of the limit |"
    yield "|---|---|---|---|---|---|---|---|"
    good = [row for row in rows if "failed" not in row]
    for target in dict.fromkeys(row["target"] for row in good):
        yield _line(target, [row for row in good if row["target"] == target])
    yield _line("all", good)
    for row in rows:
        if "failed" in row:
            yield f"\n{row['target']} could not run {row['model']}: {row['failed']}"


def _line(name: str, rows: Sequence[Row]) -> str:
    tensors, values, outside = (sum(row[key] for row in rows) for key in ("tensors", "values", "outside"))
    accused = sum(len(row["accused"]) for row in rows)
    bound, share = (max((row[key] for row in rows), default=0.0) for key in ("bound_share", "share"))
    return f"| {name} | {len(rows)} | {tensors:,} | {values:,} | {outside:,} | {accused} | {bound:.2f} | {share:.2f} |"
