"""Operations of keras.ops, recurrent layers, attention and masks as graph-models in real TensorFlow.js."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_node import Prediction, predict_all
from test_layers_in_tfjs import AXIOMS

sys.path.append(str(Path(__file__).resolve().parents[1] / "graph"))  # its modules import one another by bare names

from tests.graph import operation_cases, sequence_cases
from tests.graph.keras_graphs import _Bounds, keras_model

from bittrue.conversion.tfjs import convert
from bittrue.errors import Unsupported
from bittrue.graph.evaluate import layer_bound
from bittrue.graph.explicit_masks import with_masks
from bittrue.graph.model import Graph, LayerCall
from bittrue.graph.traversal import traverse
from bittrue.model.reading import graph_of
from bittrue.ops.base import widened

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.needs("node", "tensorflow")]

Array = np.ndarray[Any, Any]
Pair = tuple[Array, Array]
Prepared = tuple[Graph, list[Array], str | None]

BACKENDS = ("cpu", "wasm")
CASES = [*operation_cases.CASES, *sequence_cases.CASES]
REFUSED = {"cumsum-first"}
"""Cases that a graph-model has no nodes for: a sum along the batch, whose steps nobody knows beforehand."""


class _TfjsBounds(_Bounds):
    """With the erf of TensorFlow.js."""

    def visit(self, call: LayerCall, operands: Sequence[Pair]) -> Sequence[Pair]:
        values, errors = [value for value, _ in operands], [error for _, error in operands]
        return layer_bound(call.layer, values, AXIOMS, call.nodes[-1], errors)


def _drawn(shape: tuple[Any, ...], seed: int) -> Array:
    generator = np.random.default_rng(seed)
    if shape[-1] == operation_cases.INT:
        return generator.integers(0, 4, size=shape[:-1]).astype(np.int32)
    if shape[-1] == operation_cases.BOOL:
        return generator.integers(0, 2, size=shape[:-1]).astype(bool)
    return generator.normal(size=shape).astype(np.float32)


def _prepared(case: Any, folder: Path) -> Prepared:
    import keras

    inputs = [_drawn(shape, seed) for seed, shape in enumerate(case[2])]
    graph = graph_of(keras_model(lambda *symbols: case[1](keras, *symbols), inputs))
    try:
        convert(graph, folder, form="graph-model")
    except Unsupported as refusal:
        return graph, inputs, str(refusal)
    return graph, inputs, None


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Prepared]]:
    root = tmp_path_factory.mktemp("calls")
    return root, [_prepared(case, root / str(at)) for at, case in enumerate(CASES)]


@pytest.fixture(scope="module")
def predictions(prepared: tuple[Path, list[Prepared]]) -> dict[str, dict[int, Prediction]]:
    """All cases in one process of Node for each backend."""
    root, cases = prepared
    written = [at for at, (_, _, refusal) in enumerate(cases) if refusal is None]
    jobs = [(root / str(at), cases[at][1]) for at in written]
    return {backend: dict(zip(written, predict_all(jobs, backend=backend), strict=True)) for backend in BACKENDS}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("at", range(len(CASES)), ids=[case[0] for case in CASES])
def test_every_case_is_within_rounding(
    prepared: tuple[Path, list[Prepared]], predictions: dict[str, dict[int, Prediction]], at: int, backend: str
) -> None:
    graph, inputs, refusal = prepared[1][at]
    assert (refusal is not None) == (CASES[at][0] in REFUSED), refusal
    if refusal is not None:
        return
    prediction = predictions[backend][at]
    assert prediction.error is None
    given = [(widened(array), np.zeros(array.shape)) for array in inputs]
    for (exact, bound), found in zip(
        traverse(with_masks(graph), given, _TfjsBounds()), prediction.outputs, strict=True
    ):
        assert found.shape == exact.shape
        off = np.abs(found.astype(np.float64) - exact.astype(np.float64))
        assert np.all(off <= bound), np.max(off - bound)
