"""Every row of the table of nodes means what TensorFlow's own kernels compute, within the bound of its ops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.graph.node_cases import CASES, NodeCase, normal

from bittrue.errors import Unsupported
from bittrue.graph.evaluate import layer_bound
from bittrue.graph.model import Call, LayerNode
from bittrue.graph.nodegraph import NODES, NodeGraph, Port
from bittrue.graph.nodes import known_nodes
from bittrue.model.framework import import_tensorflow
from bittrue.model.graphdef import graph_of_nodes
from bittrue.model.graphdef.protobuf import nodes_of_graph_def
from bittrue.ops import Axioms
from bittrue.traces import Array

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]

FUSED = {  # TensorFlow.js's own, and TensorFlow's optimiser's: tested through what they are taken apart into
    *("FusedDepthwiseConv2dNative", "_FusedDepthwiseConv2dNative", "_FusedConv2D", "_FusedMatMul", "Prelu"),
}


ROUGH = Axioms(division=3.0)
"""Eigen's reciprocal is an approximation with a step of Newton's: not correctly rounded."""


def traced(case: NodeCase) -> tuple[NodeGraph, list[Array]]:
    """The case as nodes, for any batch, and what TensorFlow makes of it."""
    tf = import_tensorflow()
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        feeds = [
            tf.compat.v1.placeholder(x.dtype, (None, *x.shape[1:]) if x.ndim else (), f"x{at}")
            for at, x in enumerate(case.inputs)
        ]
        made = case.build(tf.raw_ops, *feeds)
        expected = session.run([made], dict(zip(feeds, case.inputs, strict=True)))
    ports = [Port(f"x{at}", (f"x{at}", 0), x.dtype, (None, *x.shape[1:])) for at, x in enumerate(case.inputs)]
    output = Port("y", (made.op.name, made.value_index), None, None)
    return nodes_of_graph_def(graph.as_graph_def(), ports, [output], "case"), expected


def evaluated(nodes: NodeGraph, inputs: dict[str, Array], axioms: Axioms) -> tuple[Array, Array]:
    """The output's exact value and its bound, composed from node to node."""
    graph = graph_of_nodes(nodes)
    known = {spec.ref: (inputs[spec.name], 0.0) for spec in graph.inputs}
    for layer in graph.layers[len(graph.inputs) :]:
        given = [known[ref] for ref in layer.calls[0].inputs]
        made = layer_bound(layer, [value for value, _ in given], axioms, errors=[bound for _, bound in given])
        known.update({type(graph.outputs[0])(layer.name, 0, at): pair for at, pair in enumerate(made)})
    return known[graph.outputs[0]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.op} {case.name}".strip())
def test_a_node_means_what_tensorflow_computes(case: NodeCase) -> None:
    nodes, (expected,) = traced(case)
    if case.op not in ("Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot"):
        assert case.op in {node.op for node in nodes.nodes}
    axioms = ROUGH if case.op in ("Reciprocal", "Inv") else Axioms()
    value, bound = evaluated(nodes, {f"x{at}": x for at, x in enumerate(case.inputs)}, axioms)
    assert value.shape == expected.shape
    assert np.all(np.abs(value.astype(np.float64) - expected) <= bound)


def test_every_row_has_a_case() -> None:
    assert set(known_nodes()) == {case.op for case in CASES} | FUSED


def layer(op: str, attributes: dict[str, Any], operands: int = 1) -> LayerNode:
    entry = {"name": "n", "op": op, "attributes": attributes, "operands": [["input", at] for at in range(operands)]}
    config = {"nodes": [entry], "outputs": [[0, 0]]}
    return LayerNode("n", op, NODES, config, (), (Call(()),))


@pytest.mark.parametrize(
    ("op", "attributes", "said"),
    [
        ("Relu", {"slope": {"f": 1.0}}, "slope"),
        ("Frobnicate", {}, "no expansion"),
        ("ResizeBilinear", {"align_corners": {"b": True}}, "known only as the model runs|centres"),
    ],
)
def test_what_is_not_known_is_refused_by_name(op: str, attributes: dict[str, Any], said: str) -> None:
    with pytest.raises(Unsupported, match=said):
        layer_bound(layer(op, attributes), [normal(1, 4, 4, 1)], Axioms())
