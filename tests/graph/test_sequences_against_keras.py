"""Recurrent layers, wrappers, attention and masks, as parts of models, against Keras."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from keras_graphs import check, keras_model
from operation_cases import Case
from sequence_cases import CASES, SEQUENCE
from test_operations_against_keras import built, drawn, inputs_of

from bittrue.errors import Unsupported
from bittrue.graph.layers import expand, known_classes
from bittrue.graph.model import LayerNode
from bittrue.graph.specs import infer_specs
from bittrue.model.reading import graph_of

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.slow]

FAMILIES = ("RNN", "LSTM", "GRU", "Bidirectional", "TimeDistributed", "Attention")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_keras_is_within_the_float32_bound(case: Case) -> None:
    check(built(case), inputs_of(case))


def node(build: Any, *shapes: tuple[Any, ...]) -> LayerNode:
    """The last layer of a model."""
    model = keras_model(built(("", build, shapes)), [drawn(shape, 0) for shape in shapes])
    return graph_of(model).layers[-1]


def test_every_class_is_compared_with_keras() -> None:
    compared = set()
    for case in CASES:
        layers = graph_of(keras_model(built(case), inputs_of(case))).layers
        compared |= {layer.class_name for layer in layers if layer.class_name.endswith(FAMILIES)}
    # Keras exports the class GroupedQueryAttention as GroupQueryAttention.
    assert {name for name in known_classes() if name.endswith(FAMILIES)} - compared == {"GroupQueryAttention"}


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("case", ["layer", "Bidirectional"])
def test_lengths_need_not_be_known_in_advance(name: str, case: str) -> None:
    def build(k: Any, x: Any) -> Any:
        layer = getattr(k.layers, name)(3, return_sequences=True)
        return k.layers.Dense(2)(layer(x) if case == "layer" else k.layers.Bidirectional(layer)(x))

    import keras

    x = keras.Input((None, 4))
    graph = graph_of(keras.Model(x, build(keras, x)))
    (spec,) = [spec for key, spec in infer_specs(graph).items() if key.layer == graph.outputs[0].layer]
    assert spec.shape == (None, None, 2)


def test_causal_attention_needs_no_length() -> None:
    import keras

    x = keras.Input((None, 4))
    graph = graph_of(keras.Model(x, keras.layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)))
    (spec,) = [spec for key, spec in infer_specs(graph).items() if key.layer == graph.outputs[0].layer]
    assert spec.shape == (None, None, 4)


REFUSED = [
    (lambda k, x: k.layers.LSTM(3)(x), {"stateful": True}, "stateful=True"),
    (lambda k, x: k.layers.LSTM(3)(x), {"novelty": 1}, "novelty=1"),
    (lambda k, x: k.layers.GRU(3)(x), {"activation": "frobnicate"}, "activation='frobnicate'"),
    (lambda k, x: k.layers.Bidirectional(k.layers.GRU(3))(x), {"merge_mode": "best"}, "merge_mode='best'"),
    (lambda k, x: k.layers.RNN(k.layers.GRUCell(3))(x), {"cell": {"module": "mine", "class_name": "GRUCell"}}, "cell="),
    (lambda k, x: k.layers.MultiHeadAttention(2, 3)(x, x), {"novelty": 1}, "novelty=1"),
    (lambda k, x: k.layers.Attention()([x, x]), {"score_mode": "cosine"}, "score_mode='cosine'"),
]


@pytest.mark.parametrize(("build", "change", "reason"), REFUSED, ids=[reason for _, _, reason in REFUSED])
def test_what_is_not_known_is_refused_by_name(build: Any, change: dict[str, Any], reason: str) -> None:
    layer = node(build, SEQUENCE)
    expand(layer)
    with pytest.raises(Unsupported, match="cannot be expressed faithfully") as refusal:
        expand(replace(layer, config={**layer.config, **change}))
    assert reason in str(refusal.value)


def test_options_of_a_layer_inside_another_are_read_as_well() -> None:
    layer = node(lambda k, x: k.layers.Bidirectional(k.layers.LSTM(3))(x), SEQUENCE)
    inner = layer.config["backward_layer"]
    changed = {**inner, "config": {**inner["config"], "novelty": 1}}
    with pytest.raises(Unsupported, match=r"backward.*novelty=1 is an option that Bittrue does not know"):
        expand(replace(layer, config={**layer.config, "backward_layer": changed}))


def test_a_step_that_a_mask_leaves_out_changes_nothing() -> None:
    from bittrue.graph.evaluate import layer_truth

    layer = node(lambda k, x, m: k.layers.LSTM(3, return_sequences=True)(x, mask=m), SEQUENCE, (3, 5, "bool"))
    x, mask = drawn(SEQUENCE, 1), np.array([[True, True, False, True, True]] * 3)
    (whole,) = layer_truth(layer, [x, mask])
    (without,) = layer_truth(layer, [np.delete(x, 2, axis=1), np.delete(mask, 2, axis=1)])
    np.testing.assert_array_equal(whole[:, [0, 1, 3, 4]], without)
    np.testing.assert_array_equal(whole[:, 2], whole[:, 1])
