"""Two models that exist already: fed the same, run, aligned and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bittrue.errors import UsageError
from bittrue.graph.model import Graph, InputSpec, TensorRef
from bittrue.pairing import fed_to
from bittrue.pipeline import Run, check, check_models, convert
from bittrue.report.json import as_data

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]


def graph(*names: str) -> Graph:
    inputs = tuple(InputSpec(name, (None, 2), np.dtype("f4"), TensorRef(name)) for name in names)
    return Graph("g", "Functional", (), inputs, ())


ONE, TWO = np.float32([[1, 1]]), np.float32([[2, 2]])


@pytest.mark.parametrize(
    ("names", "expected"),
    [(("a", "b"), {"a": ONE, "b": TWO}), (("b", "a"), {"b": TWO, "a": ONE}), (("x", "a"), {"x": ONE, "a": TWO})],
)
def test_inputs_go_by_name_or_else_by_order(names: tuple[str, ...], expected: dict[str, Any]) -> None:
    found = fed_to(graph(*names), {"a": ONE, "b": TWO})
    assert list(found) == list(expected)
    assert all(found[name] is expected[name] for name in expected)


def test_another_number_of_inputs_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the reference takes 2 inputs \(a, b\), but the candidate 1 \(x\)"):
        fed_to(graph("x"), {"a": ONE, "b": TWO})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same network under two sets of names, and a converted one with another bias."""
    import keras

    folder = tmp_path_factory.mktemp("models")
    found = {}
    for first in (0, 1):
        keras.utils.set_random_seed(3)
        steps = [keras.layers.Dense(size, "tanh", name=f"dense_{first + at}") for at, size in enumerate((5, 5, 2))]
        model = keras.Sequential([keras.Input((6,), name=f"x{first}"), *steps])
        found[f"{first}"] = folder / f"{first}.keras"
        model.save(found[f"{first}"])
    model.layers[-1].bias.assign([0.25, 0.0])
    convert(model, folder / "tfjs")
    return {**found, "tfjs": folder / "tfjs"}


@pytest.mark.needs("tensorflow")
def test_one_network_under_two_names_is_the_same_in_every_bit(models: dict[str, Path]) -> None:
    data = check_models(models["0"], models["1"], "random:1")
    (outcome,) = data.targets
    assert outcome.identical
    assert [row.label for row in data.rows(outcome)] == ["dense_0", "dense_1", "dense_2"]
    assert all(row.own_accuracy is not None for row in data.rows(outcome))
    assert data.notes[0] == f"reference: {models['0']}; candidate: {models['1']}"
    assert data.notes[1] == "aligned by name: none"
    assert data.notes[2].endswith("dense_0 = dense_1, dense_1 = dense_2, dense_2 = dense_3")
    layers = as_data(data)["targets"][0]["layers"]
    assert [layer["aligned_with"] for layer in layers] == [f"output:dense_{at}:0:0" for at in (1, 2, 3)]


@pytest.mark.needs("tensorflow")
def test_a_converted_model_is_compared_as_it_is(models: dict[str, Path]) -> None:
    data = check_models(models["1"], models["tfjs"], "ones")
    (outcome,) = data.targets
    assert [row.pair.identical for row in data.rows(outcome)] == [True, True, False]
    assert data.notes[1] == "aligned by name: x1, dense_1, dense_2, dense_3"
    assert data.notes[2] == "same weights: 5 of 6 tensors bit-identical (75 of 77 numbers)"


@pytest.mark.browser
@pytest.mark.needs("node", "tensorflow")
def test_a_converted_model_runs_where_it_was_made_to_run(models: dict[str, Path], tmp_path: Path) -> None:
    data = check_models(models["0"], models["tfjs"], "ones", ["node:cpu"], run=Run(save=tmp_path))
    (outcome,) = data.targets
    assert outcome.provenance is not None
    assert outcome.provenance.backend == "cpu"
    assert [pair.identical for pair in outcome.weights] == [True] * 5 + [False]
    assert not (tmp_path / "candidate").exists()  # nothing had to be converted


@pytest.mark.browser
@pytest.mark.needs("node", "tensorflow")
def test_a_quantised_artifact_is_checked_against_its_own_weights(models: dict[str, Path], tmp_path: Path) -> None:
    convert(models["0"], tmp_path / "out", quantize=["uint8"])
    (outcome,) = check(tmp_path / "out", "ones", ["node:cpu"]).targets
    assert len(outcome.weights) == 6
    assert all(pair.identical for pair in outcome.weights)
