"""Every operation of keras.ops that has an expansion, as a node of a Functional model, against Keras."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from keras_graphs import check, keras_model
from operation_cases import BOOL, CASES, INT, Case

from bittrue.errors import Unsupported
from bittrue.graph.layers import expand, known_operations
from bittrue.graph.model import LayerNode
from bittrue.model.reading import graph_of
from bittrue.traces import Array

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.slow]


def drawn(shape: tuple[Any, ...], seed: int) -> Array:
    generator = np.random.default_rng(seed)
    if shape[-1] == INT:
        return generator.integers(0, 4, size=shape[:-1]).astype(np.int32)
    if shape[-1] == BOOL:
        return generator.integers(0, 2, size=shape[:-1]).astype(bool)
    return generator.normal(size=shape).astype(np.float32)


def inputs_of(case: Case) -> list[Array]:
    return [drawn(shape, seed) for seed, shape in enumerate(case[2])]


def built(case: Case) -> Any:
    import keras

    return lambda *symbols: case[1](keras, *symbols)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_keras_is_within_the_float32_bound(case: Case) -> None:
    check(built(case), inputs_of(case))


def operations_of(case: Case) -> list[LayerNode]:
    layers = graph_of(keras_model(built(case), inputs_of(case))).layers
    return [layer for layer in layers if layer.module != "keras.layers"]


def test_every_operation_is_compared_with_keras() -> None:
    compared = {layer.class_name for case in CASES for layer in operations_of(case)}
    # Abs and Divide are made as Absolute and TrueDivide; fused attention is compared among the sequences.
    assert set(known_operations()) - compared <= {"Abs", "ConvertToTensor", "Copy", "Divide", "DotProductAttention"}


@pytest.mark.parametrize("name", ["sum", "softmax", "split", "reshape", "clip"])
def test_an_operation_whose_options_keras_could_not_write_is_refused(name: str) -> None:
    (case, *_) = [case for case in CASES if case[0] == name]
    (node,) = operations_of(case)
    with pytest.raises(Unsupported, match="is not among what Keras says of it"):
        expand(replace(node, config={"name": node.name}))


def test_an_operation_of_another_name_is_refused() -> None:
    case: Case = ("sort", lambda k, x: k.ops.sort(x), ((3, 4),))
    with pytest.raises(Unsupported, match=r"class keras.src.ops.numpy.Sort has no expansion"):
        expand(operations_of(case)[0])


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda k, x: k.ops.round(x, 2), "decimals=2"),
        (lambda k, x: k.ops.pad(x, ((0, 0), (1, 1)), mode="reflect"), "mode='reflect'"),
        (lambda k, x: k.ops.einsum("bb->b", x), "equation 'bb->b'"),
        (lambda k, x: x[[0, 2]], r"it is indexed by \[0, 2\]"),
    ],
)
def test_what_is_not_expressed_is_refused_by_name(build: Any, reason: str) -> None:
    nodes = operations_of(("refused", build, ((3, 3),)))
    with pytest.raises(Unsupported, match=reason):
        expand(nodes[-1])
