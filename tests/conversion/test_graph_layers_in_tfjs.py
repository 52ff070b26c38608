"""Every layer as a graph-model in real TensorFlow.js: within rounding of the exact answer, or refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_cases import CASES, MAY_BE_REFUSED
from in_node import Prediction, digest, predict_all
from test_layers_in_tfjs import AXIOMS, Case, _model

from bittrue.conversion.tfjs import convert
from bittrue.errors import Unsupported
from bittrue.graph.evaluate import layer_bound
from bittrue.graph.model import LayerNode
from bittrue.model import open_model

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.needs("node", "tensorflow")]

BACKENDS = ("cpu", "wasm")
IDS = [
    f"{at}-{name}-{'-'.join(map(str, options.values()))}"[:60].replace(" ", "")
    for at, (name, options, _) in enumerate(CASES)
]


@dataclass(frozen=True)
class Run:
    """One case: the layer as it was read, its inputs, and what each backend made of it; or why it was refused."""

    layer: LayerNode
    inputs: list[np.ndarray[Any, Any]]
    predictions: dict[str, Prediction]
    refusal: str | None


def _prepared(case: Case, folder: Path) -> tuple[LayerNode, list[np.ndarray[Any, Any]], str | None]:
    graph = open_model(_model(case)).graph
    rng = np.random.default_rng(3)
    inputs = [rng.normal(size=(2, *shape), scale=2).astype(np.float32) for shape in case[2]]
    try:
        artifact = convert(graph, folder, form="graph-model")
    except Unsupported as refusal:
        return graph.layers[-1], inputs, str(refusal)
    assert artifact.format == "graph-model"
    return graph.layers[-1], inputs, None


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """All cases in one process of Node for each backend."""
    root = tmp_path_factory.mktemp("layers")
    prepared = [_prepared(case, root / str(at)) for at, case in enumerate(CASES)]
    written = [at for at, (_, _, refusal) in enumerate(prepared) if refusal is None]
    jobs = [(root / str(at), prepared[at][1]) for at in written]
    found = {backend: dict(zip(written, predict_all(jobs, backend=backend), strict=True)) for backend in BACKENDS}
    return [
        Run(layer, inputs, {backend: found[backend][at] for backend in BACKENDS if refusal is None}, refusal)
        for at, (layer, inputs, refusal) in enumerate(prepared)
    ]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("at", range(len(CASES)), ids=IDS)
def test_every_layer_is_within_rounding(runs: list[Run], at: int, backend: str) -> None:
    run = runs[at]
    if run.refusal is not None:
        assert CASES[at][0] in MAY_BE_REFUSED, run.refusal
        assert repr(run.layer.name) in run.refusal
        return
    prediction = run.predictions[backend]
    assert prediction.error is None
    ((exact, bound),) = layer_bound(run.layer, run.inputs, AXIOMS)
    (found,) = prediction.outputs
    assert found.shape == exact.shape
    assert np.all(np.abs(found - exact) <= bound), (
        f"off by {np.max(np.abs(found - exact) / np.maximum(bound, 1e-300))} bounds"
    )


@pytest.mark.parametrize("at", range(len(CASES)), ids=IDS)
def test_weights_arrive_bit_for_bit(runs: list[Run], at: int) -> None:
    run = runs[at]
    if run.refusal is None:
        held = run.predictions["cpu"].weights or {}
        numbers = [weight.value for weight in run.layer.weights if weight.value.dtype == np.float32]
        assert {digest(value) for value in numbers} <= set(held.values())
