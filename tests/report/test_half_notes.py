"""Where a target works in half-float textures the report says what that does to the model; elsewhere it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bittrue.comparison import align_models, compare
from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef, Weight
from bittrue.graph.truth import evaluate
from bittrue.report.data import ReferenceOutcome, ReportData, TargetOutcome
from bittrue.report.explained import explained
from bittrue.report.json import as_data
from bittrue.traces import Key, Provenance, Record, Trace

KERNEL = np.eye(2, dtype=np.float32) * 1e5
GRAPH = Graph(
    "g",
    "Functional",
    (
        LayerNode("x", "InputLayer", "keras.layers", {}, (), (Call(()),)),
        LayerNode(
            "d",
            "Dense",
            "keras.layers",
            {"units": 2, "use_bias": False, "activation": "linear"},
            (Weight("kernel", KERNEL),),
            (Call((TensorRef("x"),)),),
        ),
    ),
    (InputSpec("x", (None, 2), np.dtype(np.float32), TensorRef("x")),),
    (TensorRef("d"),),
)
X = np.array([[1.0, 2.0]], np.float32)


def renamed(name: str, kernel: Any) -> Graph:
    """The same model with another name and kernel for its layer."""
    layer = replace(GRAPH.layers[1], name=name, weights=(Weight("kernel", kernel),))
    return replace(GRAPH, layers=(GRAPH.layers[0], layer), outputs=(TensorRef(name),))


def trace(target: str, **details: Any) -> Trace:
    keys = {Key("input", "x"): X, Key("output", "d"): X @ KERNEL}
    provenance = Provenance(target, "tfjs", "webgl", "4.22.0", "adapter", True, details)
    return Trace.of(provenance, [Record.of(key, array) for key, array in keys.items()])


def notes(**details: Any) -> list[str]:
    reference, found = trace("keras:tensorflow"), trace("chrome:webgl", **details)
    outcome = TargetOutcome("chrome:webgl", found.provenance, (), compare(reference, found), trace=found)
    data = ReportData("check", None, (), "x", ReferenceOutcome(reference.provenance, (), None), (outcome,))
    return as_data(explained(data, GRAPH, reference))["notes"]  # type: ignore[no-any-return]


def test_the_model_does_overflow() -> None:
    assert evaluate(GRAPH, {"x": X})[Key("output", "d")].load().max() > 65504


def test_a_target_in_halves_has_notes() -> None:
    said = notes(render_float32_enabled=False)
    assert "d (2 of 2)" in said[0]
    assert "the prediction is lost with d" in said[-1]


@pytest.mark.parametrize("details", [{"render_float32_enabled": True, "float_precision": 16}, {}])
def test_a_target_in_float32_has_none(details: dict[str, Any]) -> None:
    assert notes(**details) == []


def two_models(kernel: Any, **details: Any) -> list[str]:
    """The notes on a candidate that calls the layer c, with ``kernel``; the reference fits halves."""
    ours, theirs = renamed("d", np.eye(2, dtype=np.float32)), renamed("c", kernel)
    keys = {Key("input", "x"): X, Key("output", "c"): X @ kernel}
    provenance = Provenance("chrome:webgl", "tfjs", "webgl", "4.22.0", "adapter", True, details)
    found = Trace.of(provenance, [Record.of(key, array) for key, array in keys.items()])
    base = Trace.of(
        Provenance("keras:tensorflow", "keras", "tensorflow", "2"),
        [Record.of(Key("input", "x"), X), Record.of(Key("output", "d"), X)],
    )
    compared = compare(base, found, align_models(base, found))
    outcome = TargetOutcome("chrome:webgl", found.provenance, (), compared, trace=found)
    data = ReportData("check", None, (), "x", ReferenceOutcome(base.provenance, (), None), (outcome,))
    told = explained(data, ours, base, other=theirs, other_truth=evaluate(theirs, {"x": X}))
    return [note for note in told.notes if "half precision" in note]


def test_of_two_models_the_notes_are_about_the_candidate() -> None:
    said = two_models(KERNEL, render_float32_enabled=False)
    assert all(note.startswith("Candidate: ") for note in said)
    assert "c (2 of 2)" in said[0]
    assert "the prediction is lost with c" in said[-1]
    assert "decisions stay" in two_models(np.eye(2, dtype=np.float32), render_float32_enabled=False)[-1]
    assert two_models(KERNEL) == []
