"""TensorFlow 1's loops whose constants stand outside, as in TensorFlow.js's graph-models: TensorFlow runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from bittrue.errors import ModelError
from bittrue.graph.nodegraph import Node, NodeGraph, Port
from bittrue.model.graphdef.frames import entered
from bittrue.model.graphdef.protobuf import graph_def_of, nodes_of_graph_def

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]
X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


@contextmanager
def old_loops(tf: Any) -> Iterator[None]:
    tf.compat.v1.disable_control_flow_v2()
    try:
        yield
    finally:
        tf.compat.v1.enable_control_flow_v2()


def doubling(tf: Any, x: Any) -> Any:
    return tf.while_loop(lambda at, _: at < 4, lambda at, y: (at + 1, y * 2.0), (0, x))[1]


def nested(tf: Any, x: Any) -> Any:
    def outer(at: Any, y: Any) -> Any:
        # The inner loop reads a constant of its own, and a sum that only constants lead to.
        inner = tf.while_loop(lambda j, _: j < 3, lambda j, z: (j + 1, z + tf.constant(0.5) * 3.0), (0, y))[1]
        return at + 1, inner - 1.0

    return tf.while_loop(lambda at, _: at < 2, outer, (0, x))[1]


def counted_inside(tf: Any, x: Any) -> Any:
    def outer(at: Any, y: Any) -> Any:
        count = tf.while_loop(lambda j: j < 3, lambda j: (j + 1,), (0,))  # nothing but constants goes in
        return at + 1, y + tf.cast(count, tf.float32)

    return tf.while_loop(lambda at, _: at < 2, outer, (0, x))[1]


CASES: list[tuple[Callable[[Any, Any], Any], Callable[[Any], Any]]] = [
    (doubling, lambda x: x * 16),
    (nested, lambda x: x + 2 * (3 * 1.5 - 1)),
    (counted_inside, lambda x: x + 2 * 3),
]


@pytest.mark.parametrize(("build", "meant"), CASES)
def test_constants_enter_the_frames_of_their_readers(build: Any, meant: Any) -> None:
    import tensorflow as tf

    with old_loops(tf), tf.Graph().as_default() as graph:
        entry = tf.compat.v1.placeholder(tf.float32, (2, 3), name="x")
        tf.identity(build(tf, entry), name="y")
    taken, given = (Port(name, (name, 0), np.dtype(np.float32), (2, 3)) for name in ("x", "y"))
    nodes = nodes_of_graph_def(graph.as_graph_def(), [taken], [given], "looping")  # without any control input
    assert nodes.has_loops
    with tf.Graph().as_default() as again:
        tf.graph_util.import_graph_def(graph_def_of(nodes), name="")
        with tf.compat.v1.Session(graph=again) as session:
            assert np.allclose(session.run("y:0", {"x:0": X}), meant(X))


def test_a_graph_without_loops_is_left_alone() -> None:
    nodes = [Node("y", "Relu", (("x", 0),))]
    assert list(entered(nodes, {"x": "DT_FLOAT"})) == nodes


def test_loops_that_do_not_end_are_one_sentence() -> None:
    frame = {"frame_name": {"s": "bG9vcA=="}}
    ring = (Node("a", "Enter", (("b", 0),), frame), Node("b", "Enter", (("a", 0),), frame))
    ports = [Port(name, (name, 0), np.dtype(np.float32), ()) for name in ("x", "b")]
    with pytest.raises(ModelError, match=r"its loops at node '[ab]' do not end"):
        graph_def_of(NodeGraph("ring", ring, {}, (ports[0],), (ports[1],)))
