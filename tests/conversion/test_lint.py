"""What lint finds: one case for each class of finding, and that it says the same as the converter does."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_models import chain, dense, input_layer, model, node

from bittrue.conversion.tfjs.layers_model import write_model
from bittrue.conversion.tfjs.lint import Finding, lint
from bittrue.errors import Unsupported, UsageError
from bittrue.graph.model import Call, Graph, LayerNode, TensorRef, Weight

LATEST = (4, 22, 0)


def found(graph: Graph, layer: str, option: str | None = None, version: str = "4.22.0") -> Finding:
    """The one finding on ``option`` of ``layer``."""
    findings = lint(graph, version=version).findings
    (one,) = [finding for finding in findings if finding.layer == layer and finding.option == option]
    return one


def activation(name: Any) -> Graph:
    return chain(node("Activation", "x", "entry", activation=name))


def convolution(**options: Any) -> Graph:
    given: dict[str, Any] = {"filters": 2, "kernel_size": [2, 2], "strides": [1, 1], "padding": "valid"}
    weights = {"kernel": np.ones((2, 2, 1, 2)), "bias": np.zeros(2)}
    layer = node("Conv2D", "x", "entry", weights=weights, **given, use_bias=True, activation="linear", **options)
    return chain(layer, shape=(4, 4, 1))


def depthwise(**options: Any) -> Graph:
    given: dict[str, Any] = {"kernel_size": [2, 2], "strides": [1, 1], "padding": "valid", "depth_multiplier": 1}
    weights = {"kernel": np.ones((2, 2, 1, 1))}
    layer = node("DepthwiseConv2D", "x", "entry", weights=weights, **given, use_bias=False, **options)
    return chain(layer, shape=(4, 4, 1))


MAX_NORM = {"class_name": "MaxNorm", "config": {}}
LECUN = {"class_name": "LecunNormal", "config": {}}
L2 = {"class_name": "L2", "config": {"l2": 0.1}}
TWICE = (Call((TensorRef("entry"), TensorRef("entry"))),)
FOREIGN = replace(node("Multiply", "x", "entry"), module="keras.src.ops.numpy", calls=TWICE)

REPAIRED: dict[str, tuple[Graph, str | None, str, str, str]] = {
    "an option it never reads": (
        chain(node("LeakyReLU", "x", "entry", negative_slope=0.1)),
        "negative_slope",
        "different",
        "its LeakyReLU never reads negative_slope",
        "written as alpha=0.1",
    ),
    "written as another class": (
        chain(node("ReLU", "x", "entry", max_value=None, negative_slope=0.2, threshold=0)),
        "negative_slope",
        "different",
        "its ReLU never reads",
        "written as LeakyReLU(alpha=0.2)",
    ),
    "a class it lacks": (chain(node("Identity", "x", "entry")), None, "rejected", "no layer of that class", "linear"),
    "another name": (activation("silu"), "activation", "rejected", "no activation of that name", "'swish'"),
    "initializer": (
        chain(dense("x", "entry", kernel_initializer=LECUN)),
        "kernel_initializer",
        "rejected",
        "",
        "Zeros",
    ),
    "regularizer": (
        chain(dense("x", "entry", kernel_regularizer=L2)),
        "kernel_regularizer",
        "rejected",
        "no regularizer",
        "left out: it does nothing at inference",
    ),
    "constraint": (
        chain(dense("x", "entry", kernel_constraint=MAX_NORM)),
        "kernel_constraint",
        "hazard",
        "assigned",
        "left out",
    ),
    "nothing to flatten": (chain(node("Flatten", "x", "entry")), None, "rejected", "two axes", "Activation"),
    "open size": (
        chain(node("Reshape", "x", "entry", target_shape=[-1, 2]), shape=(3, 4)),
        "target_shape",
        "hazard",
        "-1",
        "target_shape=[6, 2]",
    ),
    "name of a weight": (depthwise(), None, "rejected", "otherwise", "written as x/depthwise_kernel"),
}


@pytest.mark.parametrize(("graph", "option", "kind", "why", "remedy"), REPAIRED.values(), ids=REPAIRED)
def test_what_the_converter_repairs(graph: Graph, option: str | None, kind: str, why: str, remedy: str) -> None:
    finding = found(graph, "x", option)
    assert (finding.kind, finding.repaired) == (kind, True)
    assert why in finding.why
    assert remedy in finding.remedy


REFUSED: dict[str, tuple[Graph, str | None, str, str]] = {
    "another function": (activation("hard_sigmoid"), "activation", "different", "relu6"),
    "no such activation": (activation("celu"), "activation", "rejected", "no activation of that name"),
    "constructor": (chain(node("ELU", "x", "entry", alpha=0.5)), "alpha", "rejected", "other values alone"),
    "class": (chain(node("GroupNormalization", "x", "entry", groups=1)), None, "rejected", "no layer of that class"),
    "operation": (chain(FOREIGN), None, "different", "keras.src.ops.numpy"),
    "whole numbers": (chain(dense("x", "entry", dtype="int8")), "dtype", "different", "int8"),
    "ignored": (convolution(groups=2), "groups", "different", "its Conv2D never reads groups"),
    "not done": (depthwise(dilation_rate=[2, 2]), "dilation_rate", "different", "computes without"),
    "not seen to agree": (convolution(data_format="channels_first"), "data_format", "hazard", "some backends"),
    "shapes": (chain(node("Softmax", "x", "entry", axis=1), shape=(3, 4)), None, "hazard", "last axis alone"),
    "name": (chain(dense("a b", "entry")), "name", "rejected", "takes no such name"),
}


@pytest.mark.parametrize(("graph", "option", "kind", "why"), REFUSED.values(), ids=REFUSED)
def test_what_the_converter_refuses(graph: Graph, option: str | None, kind: str, why: str) -> None:
    finding = found(graph, graph.layers[-1].name, option)
    assert (finding.kind, finding.repaired) == (kind, False)
    assert why in finding.why
    assert finding.remedy.startswith("no layers-model")
    assert not lint(graph).convertible


def test_defaults_and_what_does_nothing_are_no_findings() -> None:
    graph = convolution(groups=1, data_format="channels_last", dilation_rate=[1, 1], activity_regularizer=None)
    assert [finding for finding in lint(graph).findings if finding.layer == "x"] == []


def test_the_form_of_keras_is_a_finding_of_functional_models_alone() -> None:
    graph = chain(dense("x", "entry"))
    assert "nodeData" in found(graph, "").effect
    assert found(graph, "entry", "batch_shape").remedy == "written as batch_input_shape=[None, 3]"
    assert [finding.layer for finding in lint(replace(graph, kind="Sequential")).findings] == ["entry"]


def test_integers_of_another_width_are_rewritten() -> None:
    assert found(masked("Activation", activation="tanh"), "entry", "dtype").kind == "rewritten"


def masked(class_name: str, **config: Any) -> Graph:
    options = {"input_dim": 5, "output_dim": 2, "mask_zero": True}
    embedding = node("Embedding", "e", "entry", weights={"embeddings": np.ones((5, 2))}, **options)
    return chain(embedding, node(class_name, "x", "e", **config), shape=(7,), dtype="int64")


def test_a_leaking_mask_is_a_hazard_even_if_nothing_uses_it() -> None:
    finding = found(masked("Activation", activation="tanh"), "e", "mask")
    assert (finding.kind, finding.repaired) == ("hazard", True)
    assert "later layers" in finding.why


def test_a_mask_that_is_used_is_refused_where_it_is_used() -> None:
    finding = found(masked("GlobalAveragePooling1D", keepdims=False), "x", "mask")
    assert (finding.kind, finding.repaired) == ("hazard", False)


def test_a_negative_axis_is_taken_for_the_last() -> None:
    graph = model(input_layer("a", 4, 5), input_layer("b", 4, 5), node("Concatenate", "x", ["a", "b"], axis=-2))
    finding = found(graph, "x", "axis")
    assert (finding.kind, finding.remedy) == ("different", "written as axis=1")


def nested(name: str, inner: Graph, given: str) -> LayerNode:
    return replace(node("Functional", name, given), module="keras", subgraph=inner)


def test_weights_of_the_same_name_in_nested_models_are_refused() -> None:
    inner = chain(dense("x", "entry"))
    graph = model(input_layer("start", 3), nested("one", inner, "start"), nested("two", inner, "one"))
    finding = found(graph, "two/x", "name")
    assert (finding.kind, finding.repaired) == ("rejected", False)
    assert "'one/x'" in finding.why
    assert found(graph, "one").effect == "Graph disconnected"


def stepwise(**options: Any) -> Graph:
    config = {"name": "d", "units": 2, "use_bias": True, "activation": "linear", **options}
    inner = {"module": "keras.layers", "class_name": "Dense", "config": config}
    weights = {"kernel": np.ones((4, 2)), "bias": np.zeros(2)}
    return chain(node("TimeDistributed", "x", "entry", weights=weights, layer=inner), shape=(3, 4))


def test_the_layer_inside_a_wrapper_is_looked_at() -> None:
    assert [one for one in lint(stepwise()).findings if one.layer == "x"] == []
    assert found(stepwise(activation="silu"), "x", "layer.activation").repaired
    finding = found(stepwise(activation="hard_sigmoid"), "x", "layer.activation")
    assert (finding.kind, finding.repaired) == ("different", False)
    assert "its layer, Dense, cannot be written" in finding.remedy


def test_what_no_layers_model_can_be_may_be_a_graph_model() -> None:
    assert lint(activation("relu")).form == "layers-model"
    assert lint(activation("hard_sigmoid")).form == "graph-model"
    assert lint(chain(node("Lambda", "x", "entry"))).form is None


def shared(second: str) -> Graph:
    """``x`` is called on ``late`` first; listed before ``late``, its other call would be made first."""
    shared_layer = node("Activation", "x", "late", second, activation="relu")
    late = node("Activation", "late", "entry", activation="tanh")
    outputs = [TensorRef("x", 0), TensorRef("x", 1)]
    return model(input_layer("entry", 3), shared_layer, late, outputs=outputs)


def test_calls_of_shared_layers_that_would_be_exchanged() -> None:
    finding = next(one for one in lint(shared("entry")).findings if one.effect == "its calls are exchanged")
    assert (finding.layer, finding.kind, finding.repaired) == ("x", "different", True)
    assert not any(one.effect == "its calls are exchanged" for one in lint(shared("late")).findings)


def test_an_output_returned_twice() -> None:
    graph = model(input_layer("entry", 3), dense("x", "entry"), outputs=["x", "x"])
    finding = found(graph, "x")
    assert (finding.kind, finding.repaired) == ("rejected", False)


def test_what_the_converter_alone_knows_is_a_finding_as_well() -> None:
    layer = dense("x", "entry")
    bytes_ = tuple(Weight(weight.name, weight.value.astype(np.int8)) for weight in layer.weights)
    finding = found(chain(replace(layer, weights=bytes_)), "x")
    assert (finding.kind, finding.repaired) == ("hazard", False)
    assert "int8" in finding.why


def test_a_defect_of_a_backend_is_a_finding() -> None:
    pooling = node("MaxPooling3D", "x", "entry", pool_size=[2, 2, 2], strides=[2, 2, 2], padding="valid")
    finding = found(chain(pooling, shape=(4, 4, 4, 2)), "x")
    assert (finding.kind, finding.repaired) == ("hazard", False)
    assert "wasm-max-pool-3d" in finding.why


def test_an_older_version_lacks_more() -> None:
    assert found(activation("gelu"), "x", "activation", "1.7.2").kind == "rejected"
    assert [one for one in lint(activation("gelu")).findings if one.layer == "x"] == []


def test_what_is_no_version_is_said() -> None:
    with pytest.raises(UsageError, match="latest"):
        lint(activation("relu"), version="latest")


def test_a_layer_after_one_that_nobody_knows_is_looked_at_nonetheless() -> None:
    graph = chain(node("Lambda", "u", "entry"), node("LeakyReLU", "x", "u", negative_slope=0.1))
    assert found(graph, "x", "negative_slope").repaired
    assert not found(graph, "u").repaired


NAMES = st.sampled_from(["relu", "silu", "hard_sigmoid", "celu", "tanh", "leaky_relu", None])
LAYERS = st.one_of(
    st.builds(lambda name: ("Activation", {"activation": name}), NAMES),
    st.builds(lambda slope: ("LeakyReLU", {"negative_slope": slope}), st.sampled_from([0.1, 0.3])),
    st.builds(
        lambda top, slope, threshold: ("ReLU", {"max_value": top, "negative_slope": slope, "threshold": threshold}),
        st.sampled_from([None, 6.0]),
        st.sampled_from([0.0, 0.2]),
        st.sampled_from([0.0, 0.5]),
    ),
    st.builds(lambda alpha: ("ELU", {"alpha": alpha}), st.sampled_from([1.0, 0.5])),
    st.builds(lambda axis: ("Softmax", {"axis": axis}), st.sampled_from([-1, 1])),
    st.sampled_from([("Flatten", {}), ("Identity", {}), ("UnitNormalization", {}), ("RepeatVector", {"n": 2})]),
    st.builds(lambda dtype: ("Activation", {"activation": "relu", "dtype": dtype}), st.sampled_from(["float16", None])),
)


@given(st.lists(LAYERS, min_size=1, max_size=5), st.sampled_from(["l", "l l"]))
@settings(max_examples=150, deadline=None)
def test_lint_and_converter_say_the_same(chosen: list[tuple[str, dict[str, Any]]], prefix: str) -> None:
    layers, before = [], "entry"
    for at, (class_name, config) in enumerate(chosen):
        layers.append(node(class_name, f"{prefix}{at}", before, **config))
        before = layers[-1].name
    graph = chain(*layers)
    refused = refusal(graph)
    unrepaired = {one.layer for one in lint(graph).findings if not one.repaired}
    assert refused in unrepaired if refused else not unrepaired


def refusal(graph: Graph) -> str | None:
    """The layer that the converter refuses, None if it writes the model."""
    try:
        write_model(graph, LATEST)
    except Unsupported as error:
        return error.layer
    return None


def test_what_a_graph_model_does_instead_is_asked_of_its_writer() -> None:
    softmax = found(chain(node("Softmax", "x", "entry", axis=1), shape=(3, 4)), "x")
    assert re.search(r"in a graph-model \d+ nodes: Transpose, .*Softmax$", softmax.remedy)


def test_what_no_graph_model_has_either_is_said() -> None:
    finding = found(chain(dense("x", "entry", dtype="int8")), "x", "dtype")
    assert "; nor in a graph-model: its dtype policy is int8" in finding.remedy
