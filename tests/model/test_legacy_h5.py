"""Files of Keras 2 open as what Keras 2 meant by them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import make_legacy_h5 as legacy
import numpy as np
import pytest

from bittrue.errors import ModelError, Unsupported, UntrustedCode
from bittrue.graph.model import TensorRef
from bittrue.model import open_model

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]
Make = Callable[[Path], tuple[Path, Any]]


@pytest.mark.parametrize(
    "make", [legacy.convolutional, legacy.nested, legacy.oldest, legacy.wrapped, legacy.attending, legacy.slashed]
)
def test_every_weight_arrives_bit_for_bit(make: Make, tmp_path: Path) -> None:
    path, weights = make(tmp_path / "model.h5")
    graph = open_model(path).graph
    found = [weight.value.tobytes() for _, layer in graph.walk() for weight in layer.weights]
    assert found == [array.tobytes() for arrays in weights.values() for array in arrays.values()]


def test_slashes_in_names_become_underscores_that_nobody_has(tmp_path: Path) -> None:
    graph = open_model(legacy.slashed(tmp_path / "model.h5")[0]).graph
    assert [layer.name for layer in graph.layers] == ["entry", "block_dense_", "block_dense"]


def test_a_tensor_given_by_keyword_is_one(tmp_path: Path) -> None:
    graph = open_model(legacy.attending(tmp_path / "model.h5")[0]).graph
    (call,) = graph.layer("heads").calls
    assert call.inputs + call.keyword_inputs == (TensorRef("entry"), TensorRef("entry"))


def test_options_are_put_in_the_terms_of_keras_3(tmp_path: Path) -> None:
    graph = open_model(legacy.convolutional(tmp_path / "model.h5")[0]).graph
    assert graph.layer("norm").config["axis"] == 3
    assert graph.layer("leaky").config["negative_slope"] == 0.125
    assert "groups" not in graph.layer("depth").config
    assert graph.inputs[0].shape == (None, 4, 4, 2)


def test_calls_of_a_nested_model_are_the_right_ones(tmp_path: Path) -> None:
    path, weights = legacy.nested(tmp_path / "model.h5")
    opened = open_model(path)
    assert opened.graph.layer("sum").calls[0].inputs == (TensorRef("inner", 0), TensorRef("inner", 1))
    assert opened.graph.outputs == (TensorRef("sum"), TensorRef("inner", 1))
    kernel, bias = weights["inner"].values()
    given = np.array([[0.5, -0.25, 1.0]], np.float32)
    once = np.tanh(given @ kernel + bias)
    twice = np.tanh(once @ kernel + bias)
    total, last = map(np.asarray, opened.keras()([given]))
    np.testing.assert_allclose(total, once + twice, rtol=1e-5)
    np.testing.assert_allclose(last, twice, rtol=1e-5)


def test_the_first_layer_of_an_old_sequential_gives_the_input(tmp_path: Path) -> None:
    graph = open_model(legacy.oldest(tmp_path / "model.h5")[0]).graph
    assert [layer.name for layer in graph.layers] == ["first_input", "first", "drop", "second"]
    assert graph.inputs[0].shape == (None, 4)


def _changed(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    import h5py

    legacy.convolutional(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"][1])
        file.attrs["model_config"] = json.dumps(config)
    return path


def test_hard_sigmoid_of_keras_2_is_refused_because_keras_3_means_another(tmp_path: Path) -> None:
    path = _changed(tmp_path / "model.h5", lambda layer: layer["config"].update(activation="hard_sigmoid"))
    with pytest.raises(Unsupported, match=r"layer 'conv' uses hard_sigmoid, which was clip\(0\.2x \+ 0\.5"):
        open_model(path)


@pytest.mark.parametrize("kind", ["Lambda", "Mine>Layer"])
def test_code_in_an_old_file_is_refused(kind: str, tmp_path: Path) -> None:
    path = _changed(tmp_path / "model.h5", lambda layer: layer.update(class_name=kind))
    with pytest.raises(UntrustedCode, match="layer 'conv'"):
        open_model(path)


def test_an_unknown_class_is_refused_by_name(tmp_path: Path) -> None:
    path = _changed(tmp_path / "model.h5", lambda layer: layer.update(class_name="MyConv"))
    with pytest.raises(UntrustedCode, match=r"layer 'conv' \(MyConv\) is no layer of Keras 3's own"):
        open_model(path)


def test_an_operation_recorded_by_keras_2_is_unsupported(tmp_path: Path) -> None:
    path = _changed(tmp_path / "model.h5", lambda layer: layer.update(class_name="TFOpLambda"))
    with pytest.raises(Unsupported, match="only Keras 2 can read back"):
        open_model(path)


def test_weights_that_do_not_fit_are_one_sentence(tmp_path: Path) -> None:
    path = _changed(tmp_path / "model.h5", lambda layer: layer["config"].update(filters=7))
    with pytest.raises(ModelError, match=r"model\.h5: Keras \S+ cannot load it: "):
        open_model(path)
