"""Masks that Keras sends along unseen are put into the calls that compute with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import call, entry, layer, model, nested

from bittrue.errors import Unsupported
from bittrue.graph.explicit_masks import UnknownMask, with_masks
from bittrue.graph.layers import expand
from bittrue.graph.model import Graph, LayerNode, TensorRef
from bittrue.graph.truth import evaluate
from bittrue.traces import Key

X, E = TensorRef("x"), TensorRef("e")
EMBEDDING = layer(
    "e", "Embedding", call(X), config={"mask_zero": True}, embeddings=np.arange(8.0, dtype=np.float32).reshape(4, 2)
)


def embedded(*layers: LayerNode, last: str) -> Graph:
    return model([entry("x", 3, dtype="int32")], [EMBEDDING, *layers], TensorRef(last))


def pool(name: str, *calls: Any) -> LayerNode:
    return layer(name, "GlobalAveragePooling1D", *calls, config={"data_format": "channels_last"})


def test_an_embedding_makes_the_mask_that_a_later_layer_gets() -> None:
    graph = with_masks(embedded(layer("d", "Dropout", call(E)), pool("p", call(TensorRef("d"))), last="p"))
    assert graph.layer("p").calls[0].kwargs == {"mask": TensorRef("e/mask")}
    mask = graph.layer("e/mask")
    assert (mask.class_name, mask.calls[0].args) == ("NotEqual", (X, 0))


def test_it_is_computed_with_and_not_recorded() -> None:
    trace = evaluate(embedded(pool("p", call(E)), last="p"), {"x": np.array([[1, 3, 0]], np.int32)})
    np.testing.assert_array_equal(trace[Key("output", "p")].load(), [[4.0, 5.0]])
    assert {record.key.layer for record in trace} == {"x", "e", "p"}


def test_no_operation_is_added_for_a_mask_that_nobody_uses() -> None:
    graph = embedded(layer("d", "Dropout", call(E)), last="d")
    assert with_masks(graph) == graph


@pytest.mark.parametrize("kind", ["Flatten", "Conv1D", "EinsumDense"])
def test_a_layer_without_masks_ends_them(kind: str) -> None:
    graph = with_masks(embedded(layer("d", kind, call(E)), pool("p", call(TensorRef("d"))), last="p"))
    assert graph.layer("p").calls[0].kwargs == {}


def test_attention_takes_the_mask_off_its_tensors() -> None:
    attention = layer("a", "MultiHeadAttention", call(E, E))
    added = layer("s", "Add", call([E, TensorRef("a")]))
    graph = with_masks(embedded(attention, added, pool("p", call(TensorRef("s"))), last="p"))
    named = TensorRef("e/mask")
    assert graph.layer("a").calls[0].kwargs == {"query_mask": named, "value_mask": named}
    assert graph.layer("p").calls[0].kwargs == {}


def test_a_layer_with_an_initial_state_gets_no_mask() -> None:
    gru = layer("g", "GRU", call(E, initial_state=TensorRef("h")))
    graph = model([entry("x", 3, dtype="int32"), entry("h", 2)], [EMBEDDING, gru], TensorRef("g"))
    assert dict(with_masks(graph).layer("g").calls[0].kwargs) == {"initial_state": TensorRef("h")}


def test_a_mask_through_a_layer_that_is_not_known_is_refused() -> None:
    graph = with_masks(embedded(layer("m", "Mystery", call(E)), pool("p", call(TensorRef("m"))), last="p"))
    assert isinstance(graph.layer("p").calls[0].kwargs["mask"], UnknownMask)
    with pytest.raises(Unsupported, match="called with mask=a mask that Bittrue cannot follow"):
        expand(graph.layer("p"))


def test_masks_inside_nested_models_are_named_too() -> None:
    inner = embedded(pool("p", call(E)), last="p")
    outer = model([entry("y", 3, dtype="int32")], [nested("n", inner, call(TensorRef("y")))], TensorRef("n"))
    subgraph = with_masks(outer).layer("n").subgraph
    assert subgraph is not None
    assert subgraph.layer("p").calls[0].kwargs == {"mask": TensorRef("e/mask")}
