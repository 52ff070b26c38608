"""How layers are connected: TensorFlow.js counts, orders and releases in its own way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sample_models import dense, input_layer, model, node

from bittrue.conversion.tfjs.layers_model import write_model
from bittrue.errors import Unsupported
from bittrue.graph.model import Graph, LayerNode, TensorRef

LATEST = (4, 22, 0)


def layers(graph: Graph) -> dict[str, dict[str, object]]:
    return {layer["name"]: layer for layer in write_model(graph, LATEST).topology["config"]["layers"]}


def inner(name: str, layer: str, *calls: object) -> LayerNode:
    """A nested model of one Dense called ``layer``."""
    outside = node("Functional", name, *calls)
    return replace(
        outside, module="keras", subgraph=model(input_layer(f"{name}_in", 3), dense(layer, f"{name}_in"), name="other")
    )


def test_calls_are_lists_of_layer_call_and_output() -> None:
    graph = model(
        input_layer("a", 3),
        dense("d", "a", TensorRef("d", 0)),
        node("Add", "s", [TensorRef("d", 0), TensorRef("d", 1)]),
    )
    topology = write_model(graph, LATEST).topology
    assert topology["class_name"] == "Model"
    assert layers(graph)["d"]["inbound_nodes"] == [[["a", 0, 0, {}]], [["d", 0, 0, {}]]]
    assert layers(graph)["s"]["inbound_nodes"] == [[["d", 0, 0, {}], ["d", 1, 0, {}]]]
    assert topology["config"]["input_layers"] == [["a", 0, 0]]
    assert topology["config"]["output_layers"] == [["s", 0, 0]]


def test_calls_of_a_nested_model_count_from_one_and_its_weights_are_its_layers_own() -> None:
    graph = model(input_layer("a", 3), inner("m", "d", "a"), outputs=["m"])
    written = write_model(graph, LATEST)
    assert written.topology["config"]["output_layers"] == [["m", 1, 0]]
    assert layers(graph)["m"]["config"]["name"] == "m"  # type: ignore[index]
    assert list(written.weights) == ["d/kernel", "d/bias"]


def test_a_shared_layer_has_its_weights_once() -> None:
    graph = model(input_layer("a", 3), dense("d", "a", TensorRef("d", 0)), outputs=[TensorRef("d", 1)])
    assert list(write_model(graph, LATEST).weights) == ["d/kernel", "d/bias"]


def test_weights_of_the_same_name_are_refused_with_both_owners() -> None:
    graph = model(input_layer("a", 3), inner("m", "d", "a"), dense("d", "m"))
    with pytest.raises(Unsupported, match=r"'m/d' and 'd' would both own the weight 'd/kernel'"):
        write_model(graph, LATEST)


def test_layers_are_listed_so_that_no_call_is_overtaken() -> None:
    # The first call of d waits for e, the second does not: listed before e, d would make the second one first.
    late = dense("d", "e", "a")
    graph = model(input_layer("a", 3), late, dense("e", "a"), outputs=[TensorRef("d", 0), TensorRef("d", 1)])
    order = list(layers(graph))
    assert order.index("e") < order.index("d")


def test_an_order_that_cannot_be_kept_is_refused() -> None:
    crossed = [dense("d", TensorRef("e", 1), "a"), dense("e", TensorRef("d", 1), "a")]
    graph = model(input_layer("a", 3), *crossed, outputs=[TensorRef("d", 0), TensorRef("e", 0)])
    with pytest.raises(Unsupported, match="called several times in an order"):
        write_model(graph, LATEST)


def test_a_tensor_taken_twice_and_needed_elsewhere_is_refused() -> None:
    both = node("Add", "s", ["d", "d"])
    write_model(model(input_layer("a", 3), dense("d", "a"), both), LATEST)
    graph = model(input_layer("a", 3), dense("d", "a"), both, dense("e", "d"), outputs=["s", "e"])
    with pytest.raises(Unsupported, match="takes the output of 'd' twice"):
        write_model(graph, LATEST)


def test_operations_that_only_make_masks_are_left_out() -> None:
    from bittrue.graph.model import Call

    mask = replace(node("NotEqual", "mask", "a"), module="keras.src.ops.numpy")
    normal = node("Activation", "x", "a", activation="tanh")
    normal = replace(normal, calls=(Call((TensorRef("a"),), {"mask": TensorRef("mask")}),))
    assert list(layers(model(input_layer("a", 3), mask, normal))) == ["a", "x"]
