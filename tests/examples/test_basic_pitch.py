"""The example of basic-pitch: the answer, where the two packages can be fetched, and how weights are explained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from examples import basic_pitch

from bittrue.graph.model import Call, Graph, LayerNode, TensorRef, Weight
from bittrue.graph.nodegraph import NODES


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.needs("node", "npm", "tensorflow")
def test_the_two_are_the_same_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        saved, web = basic_pitch.fetch(tmp_path)
    except basic_pitch.Absent as reason:
        pytest.skip(f"basic-pitch cannot be fetched from the registries: {reason}")
    assert basic_pitch.answer(saved, web, "node:wasm", "random:1") == 0
    said = capsys.readouterr().out
    assert "same weights: 34 of 41 tensors bit-identical" in said
    assert "They are the same network" in said


def graph(**layers: list[np.ndarray]) -> Graph:
    """Layers that only have weights."""
    made = tuple(
        LayerNode(name, "Nodes", NODES, {}, tuple(Weight("w", value) for value in values), (Call(()),))
        for name, values in layers.items()
    )
    return Graph("g", "GraphDef", made, (), (TensorRef(made[0].name),))


def test_weights_are_found_by_value_and_the_others_are_named() -> None:
    ours, theirs = np.float32([[1, 2]]), np.float32([3, 4, 5])
    same, count, others = basic_pitch.explain_weights(graph(a=[ours]), graph(b=[ours.T.copy(), theirs]))
    assert (same, count) == (1, 2)
    assert others == ["b[1] [3]: found nowhere"]
