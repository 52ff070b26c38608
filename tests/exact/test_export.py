"""From a graph to an exact model: what is folded, what is refused by name, and the command."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bittrue.cli.app import main
from bittrue.errors import Unsupported
from bittrue.exact import load
from bittrue.exact.export import export, lowered
from bittrue.graph.model import Graph, LayerNode, Weight

sys.path.insert(0, str(Path(__file__).parents[1] / "graph"))

from graphs import TensorRef, call, dense, entry, layer, model

X = TensorRef("x")


def small(*layers: LayerNode, last: str, width: int | None = 4) -> Graph:
    return model([entry("x", width)], list(layers), TensorRef(last))


def normalization(epsilon: float = 1e-3) -> LayerNode:
    statistics = {
        "gamma": [1, 2, 3, 4],
        "beta": [1, 0, 0, 1],
        "moving_mean": [1, 1, 1, 1],
        "moving_variance": [3, 3, 8, 1],
    }
    weights = tuple(Weight(name, np.array(value, np.float32)) for name, value in statistics.items())
    config = {"name": "bn", "axis": -1, "epsilon": epsilon}
    return LayerNode("bn", "BatchNormalization", "keras.layers", config, weights, (call(X),))


def test_a_dense_layer_is_one_product_that_starts_at_the_bias() -> None:
    kernel, bias = np.eye(4, dtype=np.float32), np.arange(4, dtype=np.float32)
    plan, constants = lowered(small(dense("d", kernel, call(X), bias=bias), last="d"))
    (step,) = plan.operations
    assert (step.name, step.layer, len(step.operands)) == ("matmul", "d", 3)
    assert list(constants) == ["d/kernel", "d/bias"]


def test_a_batch_normalisation_is_folded_to_a_scale_and_a_shift() -> None:
    plan, constants = lowered(small(normalization(epsilon=1.0), last="bn"))
    assert [step.name for step in plan.operations] == ["affine"]
    scale, shift = constants.values()
    np.testing.assert_array_equal(scale, np.array([0.5, 1, 1, 4 / np.sqrt(2)], np.float32))
    np.testing.assert_array_equal(shift, np.array([0.5, -1, -1, 1 - 4 / np.sqrt(2)], np.float32))


def test_layers_that_return_what_they_were_given_are_no_operation() -> None:
    graph = small(layer("a", "Dropout", call(X), config={"rate": 0.5, "seed": None, "noise_shape": None}), last="a")
    plan, _ = lowered(graph)
    assert plan.operations == ()
    assert [(named.name, named.value) for named in plan.layers] == [("x", 0), ("a", 0)]


def test_a_weight_used_twice_is_stored_once() -> None:
    kernel = np.ones((4, 4), np.float32)
    plan, constants = lowered(small(dense("d", kernel, call(X), call(TensorRef("d"))), last="d"))
    assert list(constants) == ["d/kernel"]
    assert len(plan.layers) == 3


def test_what_the_runtime_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="'odd'"):
        lowered(small(layer("odd", "Hologram", call(X)), last="odd"))


def test_weights_of_half_precision_are_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="half/kernel is of float16"):
        lowered(small(dense("half", np.ones((4, 4), np.float16), call(X)), last="half"))


def test_an_input_of_double_precision_is_refused_by_name() -> None:
    graph = model([entry("x", 4, dtype="float64")], [dense("d", np.ones((4, 1), np.float32), call(X))], TensorRef("d"))
    with pytest.raises(Unsupported, match="input 'x' is of float64"):
        lowered(graph)


def test_an_exported_model_needs_nothing_but_its_file(tmp_path: Path) -> None:
    export(small(normalization(), last="bn"), tmp_path / "bn.safetensors")
    assert load(tmp_path / "bn.safetensors").predict(np.zeros((2, 4))).shape == (2, 4)


@pytest.mark.needs("tensorflow")
def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    import keras

    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "m.keras")
    done = CliRunner().invoke(main, ["export", str(tmp_path / "m.keras"), str(tmp_path / "m.safetensors")])
    assert done.exit_code == 0, done.output
    assert "bittrue-exact-1, 1 operations" in done.output
    assert load(tmp_path / "m.safetensors").predict(np.ones((1, 3))).shape == (1, 2)


def test_the_command_refuses_what_is_no_model(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["export", str(tmp_path / "none.keras"), str(tmp_path / "m.safetensors")])
    assert done.exit_code == 2
