"""Random models: each converts and is right in every layer, or is refused by name.

``BITTRUE_RANDOM_MODELS=1000`` tries so many, new ones each time; otherwise a few, always the same.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, note, settings
from one_node import OneNode
from own_errors import composed, own_errors
from random_models import models
from transformer_cases import inputs_of, seeded

from bittrue.conversion.tfjs import convert
from bittrue.errors import ModelError, Unsupported
from bittrue.model import open_model

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.needs("node", "tensorflow")]

ASKED = int(os.environ.get("BITTRUE_RANDOM_MODELS", "0"))
SETTINGS = settings(
    max_examples=ASKED or 20,
    derandomize=not ASKED,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[OneNode]]:
    with OneNode("cpu") as cpu, OneNode("wasm") as wasm:
        yield [cpu, wasm]


@SETTINGS
@given(model=models())
@pytest.mark.timeout(6 * 3600)
def test_a_random_model_is_right_or_refused(nodes: list[OneNode], model: Any) -> None:
    graph = open_model(seeded(model)).graph
    note(_described(graph))
    inputs = inputs_of(graph)
    with tempfile.TemporaryDirectory() as folder:
        try:
            artifact = convert(graph, Path(folder) / "out")
        except ModelError as refusal:
            _check_refusal(refusal, graph)
            return
        event(f"{artifact.format}")
        _check_keras(model, graph, inputs)
        for node in nodes:
            trace = node.trace(artifact, graph, inputs)
            errors = own_errors(graph, trace)
            assert not [error for error in errors if not error.ratio <= 1], node.target
            assert {error.key.layer for error in errors} >= {ref.layer for ref in graph.outputs if _made(graph, ref)}
            assert all(check.passed is not False for check in trace.checks)


def _check_refusal(refusal: ModelError, graph: Any) -> None:
    """It names a layer of the model, in one sentence."""
    assert isinstance(refusal, Unsupported)
    names = {layer.name for _, layer in graph.walk()}
    event(f"refused: {next(layer.class_name for _, layer in graph.walk() if layer.name == refusal.layer)}")
    assert refusal.layer in names
    assert repr(refusal.layer) in str(refusal)


def _check_keras(model: Any, graph: Any, inputs: dict[str, Any]) -> None:
    """Keras itself lies within the bound of the whole: the truth that the layers are held against is Keras's own."""
    theirs = model(list(inputs.values()) if len(inputs) > 1 else next(iter(inputs.values())))
    listed = theirs if isinstance(theirs, list | tuple) else [theirs]
    for found, (exact, bound) in zip(map(np.asarray, listed), composed(graph, inputs), strict=True):
        assert found.shape == exact.shape
        assert np.all((np.abs(found - exact) <= bound) | (found == exact) | (np.isnan(found) & np.isnan(exact)))


def _made(graph: Any, ref: Any) -> bool:
    return bool(graph.layer(ref.layer).calls) and graph.layer(ref.layer).subgraph is None


def _described(graph: Any) -> str:
    """Every layer, its options that are not Keras's defaults of weights, and its calls."""
    lines = []
    for path, layer in graph.walk():
        quiet = ("initializer", "regularizer", "constraint", "dtype", "trainable", "name", "seed")
        options = {key: value for key, value in layer.config.items() if value is not None and not key.endswith(quiet)}
        calls = [(call.args, {key: value for key, value in call.kwargs.items() if value}) for call in layer.calls]
        lines.append(f"{'/'.join(path)}: {layer.class_name} {options} {calls}".replace("TensorRef", ""))
    return "\n".join(lines)
