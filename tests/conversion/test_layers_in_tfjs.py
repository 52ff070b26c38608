"""Every layer, written and run in real TensorFlow.js: within rounding of the exact answer, or refused by name.

The bound is that of the layer's own ops in float32 (`layer_bound`), for any order of summation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_node import Prediction, digest, predict_all
from tests.graph.layer_cases import CASES as SHARED
from tfjs_cases import CASES as OWN
from tfjs_cases import MUST_BE_WRITTEN

from bittrue.conversion.tfjs import convert
from bittrue.errors import Unsupported
from bittrue.graph.evaluate import layer_bound
from bittrue.graph.model import LayerNode
from bittrue.model import open_model
from bittrue.ops import Allowance, Axioms

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.needs("node", "tensorflow")]

Case = tuple[str, dict[str, Any], tuple[tuple[int, ...], ...]]

# The erf of TensorFlow.js is the approximation 7.1.26 of Abramowitz and Stegun, whose error is below 1.5e-7.
AXIOMS = Axioms(functions={**Axioms().functions, "erf": Allowance(4, 8)})

CASES: list[Case] = [*OWN, *((name, options, tuple(shape[1:] for shape in shapes)) for name, options, shapes in SHARED)]
IDS = [
    f"{at}-{name}-{'-'.join(map(str, options.values()))}"[:60].replace(" ", "")
    for at, (name, options, _) in enumerate(CASES)
]


@dataclass(frozen=True)
class Run:
    """One case: the layer as it was read, its inputs, and what TensorFlow.js made of it; None where it was refused."""

    layer: LayerNode
    inputs: list[np.ndarray[Any, Any]]
    prediction: Prediction | None


def _model(case: Case) -> Any:
    import keras

    name, options, shapes = case
    keras.utils.set_random_seed(1)
    inputs = [keras.Input(shape, batch_size=None, name=f"input_{at}") for at, shape in enumerate(shapes)]
    layer = getattr(keras.layers, name)(**options)
    model = keras.Model(inputs, layer(inputs if len(inputs) > 1 else inputs[0]))
    rng = np.random.default_rng(2)
    model.set_weights([rng.uniform(0.2, 1.5, weight.shape) for weight in model.weights])
    return model


def _prepared(case: Case, folder: Path) -> tuple[LayerNode, list[np.ndarray[Any, Any]], bool]:
    graph = open_model(_model(case)).graph
    rng = np.random.default_rng(3)
    inputs = [rng.normal(size=(2, *shape), scale=2).astype(np.float32) for shape in case[2]]
    try:
        convert(graph, folder, form="layers-model")
    except Unsupported:
        return graph.layers[-1], inputs, False
    return graph.layers[-1], inputs, True


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """All cases in one process of Node."""
    root = tmp_path_factory.mktemp("layers")
    prepared = [_prepared(case, root / str(at)) for at, case in enumerate(CASES)]
    written = [at for at, (_, _, ok) in enumerate(prepared) if ok]
    found = dict(zip(written, predict_all([(root / str(at), prepared[at][1]) for at in written]), strict=True))
    return [Run(layer, inputs, found.get(at)) for at, (layer, inputs, _) in enumerate(prepared)]


@pytest.mark.parametrize("at", range(len(CASES)), ids=IDS)
def test_what_is_written_is_within_rounding(runs: list[Run], at: int) -> None:
    run = runs[at]
    if run.prediction is None:
        return  # refused: never wrong
    assert run.prediction.error is None
    ((exact, bound),) = layer_bound(run.layer, run.inputs, AXIOMS)
    (found,) = run.prediction.outputs
    assert found.shape == exact.shape
    assert np.all(np.abs(found - exact) <= bound), (
        f"off by {np.max(np.abs(found - exact) / np.maximum(bound, 1e-300))} bounds"
    )


@pytest.mark.parametrize("at", range(len(CASES)), ids=IDS)
def test_weights_arrive_bit_for_bit(runs: list[Run], at: int) -> None:
    run = runs[at]
    if run.prediction is not None:
        assert run.prediction.weights is not None
        assert sorted(run.prediction.weights.values()) == sorted(digest(weight.value) for weight in run.layer.weights)


def test_the_classes_in_the_table_are_written(runs: list[Run]) -> None:
    assert {run.layer.class_name for run in runs if run.prediction is not None} >= MUST_BE_WRITTEN
