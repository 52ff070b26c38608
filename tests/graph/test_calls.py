"""`Graph.calls`: every call of every layer, nested models unrolled, numbered by the nodes along the path."""

from __future__ import annotations

import numpy as np

from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef


def layer(name: str, *calls: Call, subgraph: Graph | None = None) -> LayerNode:
    return LayerNode(name, "Dense" if subgraph is None else "Functional", "keras.layers", {}, (), calls, subgraph)


def call(*refs: TensorRef) -> Call:
    return Call(refs)


def entry(name: str) -> InputSpec:
    return InputSpec(name, (None, 3), np.dtype("float32"), TensorRef(name))


def test_a_shared_layer_has_one_entry_a_call_in_order() -> None:
    graph = Graph(
        "m", "Functional", (layer("a"), layer("d", call(TensorRef("a")), call(TensorRef("d")))), (entry("a"),), ()
    )
    assert [(c.name, c.nodes, c.call) for c in graph.calls()] == [("a", (0,), 0), ("d", (0,), 0), ("d", (1,), 1)]


def test_layers_of_a_nested_model_called_twice_are_counted_through_both_calls() -> None:
    inner = Graph(
        "inner", "Functional", (layer("i"), layer("d", call(TensorRef("i")), call(TensorRef("d")))), (entry("i"),), ()
    )
    outer = Graph(
        "outer",
        "Functional",
        (layer("x"), layer("n", call(TensorRef("x")), call(TensorRef("n")), subgraph=inner)),
        (),
        (),
    )
    found = {(c.name, c.nodes): c.call for c in outer.calls()}
    assert [found["n/d", nodes] for nodes in [(0, 0), (0, 1), (1, 0), (1, 1)]] == [0, 1, 2, 3]
    assert found["n", (1,)] == 1
    assert len(found) == 1 + 2 + 2 * (1 + 2)


def test_inputs_are_flattened_in_order_and_constants_are_not_inputs() -> None:
    made = Call(([TensorRef("a"), [TensorRef("b", 1)]], 2.5), {"mask": TensorRef("c")})
    assert made.inputs == (TensorRef("a"), TensorRef("b", 1))
    assert made.keyword_inputs == (TensorRef("c"),)
