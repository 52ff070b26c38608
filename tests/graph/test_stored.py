"""A graph saved beside a trace comes back as it was, with the weights that the trace holds and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graphs import call, dense, entry, layer, model, nested

from bittrue.errors import TraceError
from bittrue.graph.model import Call, Graph, LayerNode, TensorRef
from bittrue.graph.stored import read_graph, write_graph
from bittrue.traces import Array

X = TensorRef("x")
KERNEL = np.array([[1.0, -0.0], [np.nan, 4.0]], np.float32)
WEIGHTS: dict[str, list[Array]] = {"m/d": [KERNEL]}


@pytest.fixture
def graph() -> Graph:
    inner = model([entry("y", 2)], [dense("d", KERNEL, call(TensorRef("y")))], TensorRef("d"))
    args = ((X, [slice(None, 2), Ellipsis, None]), {"axis": (1, -1), "by": np.array([1, 2], np.int8), "x": 0.1})
    item = LayerNode("get", "GetItem", "keras.src.ops.numpy", {"name": "get"}, (), (Call(*args),))
    return model([entry("x", 2)], [nested("m", inner, call(X)), item, layer("r", "ReLU", call(X))], TensorRef("m"))


def test_structure_arguments_and_weights_come_back(graph: Graph, tmp_path: Path) -> None:
    write_graph(graph, tmp_path / "graph.json")
    back = read_graph(tmp_path / "graph.json", lambda name: WEIGHTS.get(name, []))
    held = back.layer("m").subgraph
    assert held is not None
    assert held.layer("d").weight("kernel").tobytes() == KERNEL.tobytes()
    assert (back.inputs, back.outputs, back.kind) == (graph.inputs, graph.outputs, graph.kind)
    made, saved = back.layer("get").calls[0], graph.layer("get").calls[0]
    assert made.args == saved.args
    assert (made.kwargs["axis"], made.kwargs["x"], made.kwargs["by"].dtype) == ((1, -1), 0.1, np.int8)


def test_other_weights_are_refused_by_the_layers_name(graph: Graph, tmp_path: Path) -> None:
    write_graph(graph, tmp_path / "graph.json")
    for weights in ([], [KERNEL + 1]):
        with pytest.raises(TraceError, match="'m/d'"):
            read_graph(tmp_path / "graph.json", lambda name, found=weights: found)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "another/1"}', '{"format": "bittrue/graph/1", "graph": 3}']
)
def test_anything_else_is_no_graph(text: str, tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text(text)
    with pytest.raises(TraceError, match="not a graph"):
        read_graph(tmp_path / "graph.json", lambda name: [])


def test_a_missing_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="--model"):
        read_graph(tmp_path / "graph.json", lambda name: [])
