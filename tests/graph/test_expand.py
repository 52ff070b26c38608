"""What is refused rather than expressed wrongly, and how an expansion is laid out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from graphs import call, dense, layer

from bittrue import ops
from bittrue.errors import ModelError, Unsupported
from bittrue.graph.evaluate import layer_bound, layer_truth
from bittrue.graph.expansion import InputRef, NodeRef, WeightRef
from bittrue.graph.layers import expand
from bittrue.graph.model import LayerNode, TensorRef
from bittrue.ops import Axioms, TensorSpec

X = TensorRef("x")
KERNEL, BIAS = np.ones((3, 2), np.float32), np.ones(2, np.float32)


def test_a_dense_layer_is_a_product_a_sum_and_its_activation() -> None:
    expansion = expand(dense("d", KERNEL, call(X), bias=BIAS, activation="relu"))
    assert list(expansion.ops()) == [ops.MatMul(), ops.Binary("add"), ops.Unary("relu")]
    assert expansion.nodes[0].inputs == (InputRef(0), WeightRef(0, "kernel"))
    assert expansion.nodes[1].inputs == (NodeRef(0), WeightRef(1, "bias"))
    assert expansion.outputs == (NodeRef(2),)


def activation(**config: Any) -> LayerNode:
    return layer("a", "Activation", call(X), config=config)


REFUSED = [
    (layer("l", "Lambda", call(X)), "class keras.layers.Lambda"),
    (replace(activation(activation="relu"), module="my_package"), "class my_package.Activation"),
    (replace(activation(activation="relu"), module="keras.src.ops.nn"), "has no expansion"),
    (activation(activation="frobnicate"), "activation='frobnicate'"),
    (activation(activation={"module": "mine", "class_name": "ReLU", "config": {}}), "activation="),
    (activation(activation="relu", strength=2), "strength=2 is an option that Bittrue does not know"),
    (
        activation(activation="relu", dtype={"class_name": "QuantizedDTypePolicy", "config": "int8_from_float32"}),
        "dtype=",
    ),
    (layer("a", "Activation", call(X, 7), config={"activation": "relu"}), "called with 7"),
    (dense("d", KERNEL, call(X), quantization_config={"class_name": "Int8QuantizationConfig"}), "as it was before"),
    (layer("u", "UpSampling2D", call(X), config={"interpolation": "area"}), "interpolation='area'"),
    (layer("r", "Reshape", call(X), config={"target_shape": "flat"}), "target_shape='flat'"),
]


@pytest.mark.parametrize(("node", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_what_is_not_known_is_refused_by_name(node: LayerNode, reason: str) -> None:
    with pytest.raises(Unsupported, match=f"layer '{node.name}'") as refusal:
        expand(node)
    assert reason in str(refusal.value)
    assert refusal.value.layer == node.name


def test_predicting_is_not_training_whatever_the_call_says() -> None:
    node = layer("a", "Dropout", call(X, training=True), config={"rate": 0.5})
    assert expand(node).nodes == ()


def test_a_kernel_of_another_rank_is_refused() -> None:
    with pytest.raises(ModelError, match="its kernel has 4 axes instead of 3"):
        expand(layer("c", "Conv1DTranspose", call(X), kernel=np.ones((3, 3, 2, 2), np.float32)))


def test_an_activation_may_be_a_serialised_layer_with_options() -> None:
    config = {"module": "keras.layers", "class_name": "LeakyReLU", "config": {"name": "l", "negative_slope": 0.5}}
    (result,) = layer_truth(activation(activation=config), [np.array([-2.0, 2.0])])
    np.testing.assert_array_equal(result, [-1, 2])


def test_a_weight_that_the_options_need_must_be_there() -> None:
    with pytest.raises(ModelError, match="layer 'd' lacks the weight 'bias'"):
        expand(layer("d", "Dense", call(X), config={"use_bias": True}, kernel=KERNEL))


def test_tensors_that_do_not_fit_name_the_layer() -> None:
    with pytest.raises(ModelError, match=r"layer 'd'.*5 columns meet 3 rows"):
        layer_truth(dense("d", KERNEL, call(X)), [np.ones((1, 5), np.float32)])


def test_an_expansion_for_one_rank_is_not_used_for_another() -> None:
    node = layer("f", "Flatten", call(X), config={"data_format": "channels_first"})
    expansion = expand(node)
    with pytest.raises(ModelError, match="was made for"):
        expansion.check((TensorSpec((1, 2, 3), np.dtype(np.float32)),))


def test_specs_tell_the_results_shape() -> None:
    spec = TensorSpec((None, 7, 3), np.dtype(np.float32))
    assert expand(dense("d", KERNEL, call(X)), [spec]).specs == (TensorSpec((None, 7, 2), np.dtype(np.float32)),)


def test_configured_numbers_are_the_float64_of_their_decimals() -> None:
    node = layer("l", "LeakyReLU", call(X), config={"negative_slope": 0.1})
    ((exact, bound),) = layer_bound(node, [np.array([-1.0], np.float32)], Axioms())
    assert exact[0] == -0.1
    # A runtime rounds twice: the slope to float32, and its product.
    assert 2 * 2.0**-24 * 0.1 <= bound[0] < 2.1 * 2.0**-24 * 0.1


def test_errors_of_the_inputs_grow_through_the_layer() -> None:
    node, x = dense("d", KERNEL, call(X)), np.ones((1, 3), np.float32)
    ((_, alone),) = layer_bound(node, [x], Axioms())
    ((_, carried),) = layer_bound(node, [x], Axioms(), errors=[0.5])
    np.testing.assert_allclose(carried - alone, 1.5, rtol=1e-5)
