"""What TensorFlow.js reads of a node on the processor is never a tensor that is computed with on the GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sample_models import input_layer, model, node

from bittrue.conversion.tfjs import convert

READ = {"PadV2": (1, 2), "Reshape": (1,), "Transpose": (1,), "StridedSlice": (1, 2, 3), "Mean": (1,), "Sum": (1,)}
"""Of each operation the inputs that its executor in TensorFlow.js needs as numbers before it can run a kernel."""


def test_a_number_that_is_computed_with_and_padded_with_is_held_twice(tmp_path: Path) -> None:
    graph = model(
        input_layer("entry", 4, 3),
        node("Activation", "clipped", "entry", activation="hard_sigmoid"),
        node("ZeroPadding1D", "padded", "clipped", padding=1),
        node("GlobalAveragePooling1D", "mean", "padded"),
    )
    convert(graph, tmp_path / "out", form="graph-model")
    document: dict[str, Any] = json.loads((tmp_path / "out" / "model.json").read_text(encoding="utf-8"))
    read, computed = set(), set()
    for entry in document["modelTopology"]["node"]:
        for position, name in enumerate(entry.get("input", [])):
            (read if position in READ.get(entry["op"], ()) else computed).add(name)
    assert read
    assert not read & computed
