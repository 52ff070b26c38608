"""Transformer blocks in real TensorFlow.js: every layer within rounding of float64, and the whole as Keras has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from one_node import OneNode
from own_errors import own_errors
from transformer_cases import CASES, inputs_of, seeded

from bittrue.conversion.tfjs import convert
from bittrue.model import open_model

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.needs("node", "tensorflow")]

NEAR = 2e-5
"""How far whole blocks may lie from Keras's own float32, beside their largest value: a wrong mask is 1e-1."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[OneNode]]:
    with OneNode("cpu") as cpu, OneNode("wasm") as wasm:
        yield [cpu, wasm]


@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
def test_every_layer_is_within_rounding(build: Callable[[], Any], nodes: list[OneNode], tmp_path: Path) -> None:
    model = seeded(build())
    graph = open_model(model).graph
    inputs = inputs_of(graph)
    artifact = convert(graph, tmp_path / "out")
    theirs = _listed(model(list(inputs.values()) if len(inputs) > 1 else next(iter(inputs.values()))))
    for node in nodes:
        trace = node.trace(artifact, graph, inputs)
        errors = own_errors(graph, trace)
        assert not [error for error in errors if not error.ratio <= 1]
        assert {error.key.layer for error in errors} >= {ref.layer for ref in graph.outputs}
        assert all(check.passed is not False for check in trace.checks)
        for record, exact in zip(trace.of_kind("prediction"), theirs, strict=True):
            assert np.max(np.abs(record.load() - exact)) <= NEAR * np.max(np.abs(exact))


def _listed(outputs: Any) -> list[Any]:
    return [np.asarray(item) for item in (outputs if isinstance(outputs, list | tuple) else [outputs])]
