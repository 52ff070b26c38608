"""Half-float textures: which values leave their range, and with which layer the prediction is lost."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from bittrue.diagnosis.half import half_ranges, half_sentences, lost_prediction
from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef, Weight
from bittrue.graph.truth import evaluate
from bittrue.traces import Key, Provenance, Record, Trace

PROVENANCE = Provenance("keras:tensorflow", "keras", "tensorflow", "2")


def dense(*kernels: np.ndarray) -> Graph:
    """x → d0 → d1 …, without biases."""
    layers = [LayerNode("x", "InputLayer", "keras.layers", {}, (), (Call(()),))]
    for number, kernel in enumerate(kernels):
        call = Call((TensorRef(layers[-1].name),))
        config = {"units": kernel.shape[1], "use_bias": False, "activation": "linear"}
        weights = (Weight("kernel", kernel.astype(np.float32)),)
        layers.append(LayerNode(f"d{number}", "Dense", "keras.layers", config, weights, (call,)))
    spec = InputSpec("x", (None, kernels[0].shape[0]), np.dtype(np.float32), TensorRef("x"))
    return Graph("dense", "Functional", tuple(layers), (spec,), (TensorRef(layers[-1].name),))


def traced(graph: Graph, x: np.ndarray) -> Trace:
    return evaluate(graph, {"x": x.astype(np.float32)})


def fits_a_half(value: float) -> bool:
    """By the struct module, which knows nothing of NumPy."""
    try:
        return struct.unpack("<e", struct.pack("<e", value))[0] == value
    except OverflowError:
        return False


def test_values_are_counted_by_the_edge_that_they_cross():
    edges = [0.0, 65504.0, 65505.0, -1e9, 2.0**-24, 2.0**-24.5, -1e-30, 2.0**-14, 2.0**-14.5, 1.0, np.nan, np.inf]
    key = Key("output", "d0")
    found = half_ranges(Trace.of(PROVENANCE, [Record.of(key, np.array(edges, np.float64))]))[0]
    assert (found.size, found.overflowing, found.vanishing, found.subnormal) == (12, 2, 2, 2)
    assert found.largest == 1e9


@pytest.mark.parametrize("edge", [65504.0, 2.0**-24, 2.0**-14])
def test_the_edges_are_those_of_the_format(edge: float):
    assert fits_a_half(edge)
    assert not fits_a_half(65504.0 * 2)
    assert not fits_a_half(2.0**-25)


def test_what_is_in_range_and_what_is_no_float_is_not_named():
    records = [Record.of(Key("output", "a"), np.ones(3, np.float32)), Record.of(Key("output", "i"), np.full(3, 10**6))]
    assert half_ranges(Trace.of(PROVENANCE, records)) == ()


def test_a_prediction_that_hangs_on_more_than_eleven_bits_is_lost_where_they_go():
    # 2048 and 2049 are one half: both round to 2048, so that the first is chosen; scaled down at last they stay apart.
    graph = dense(np.diag([2048.0, 2049.0]), np.eye(2) / 4096)
    reference = traced(graph, np.ones((3, 2)))
    lost = lost_prediction(reference, graph)
    assert lost is not None
    assert (lost.kind, lost.rows, lost.total, lost.layer) == ("argmax", 3, 3, "d0")


def test_the_layer_named_is_the_one_with_which_it_is_lost():
    graph = dense(np.eye(2), np.eye(2), np.diag([2048.0, 2049.0]), np.eye(2))
    lost = lost_prediction(traced(graph, np.ones((1, 2))), graph)
    assert lost is not None
    assert lost.layer == "d2"


def test_inputs_that_differ_in_the_bits_that_halves_lack_lose_it_before_any_layer():
    graph = dense(np.eye(2))
    lost = lost_prediction(traced(graph, np.array([[2048.0, 2049.0]])), graph)
    assert lost is not None
    assert lost.layer == "the inputs"


def test_weights_are_rounded_too():
    # 2049 - 2048 is 1 and wins over 0.5; as a half 2049 is 2048, and 0 does not.
    graph = dense(np.array([[2049.0, 0.5], [-2048.0, 0.0]]))
    lost = lost_prediction(traced(graph, np.ones((1, 2))), graph)
    assert lost is not None
    assert (lost.kind, lost.layer) == ("argmax", "d0")


def test_an_overflow_loses_the_prediction_with_its_layer():
    graph = dense(np.eye(2), np.eye(2) * 1e5, np.eye(2) * 1e-5)
    reference = traced(graph, np.array([[1.0, 2.0]]))
    lost = lost_prediction(reference, graph)
    assert lost is not None
    assert (lost.kind, lost.layer) == ("finite", "d1")
    said = " ".join(half_sentences(reference, graph))
    assert "overflow (|value| above 65504; TensorFlow.js reads NaN or infinity there): d1 (2 of 2)" in said
    assert (
        "the prediction is lost with d1, rounded to halves like all before it: the outputs are no longer finite" in said
    )


def test_a_prediction_far_from_any_edge_stays():
    graph = dense(np.array([[1.0, 0.0], [0.0, 3.0]]))
    reference = traced(graph, np.ones((1, 2)))
    assert lost_prediction(reference, graph) is None
    assert half_sentences(reference, graph) == (
        "In half precision: with inputs, weights and every layer's output rounded to halves, "
        "the prediction's decisions stay.",
    )


def test_a_layer_that_cannot_be_evaluated_is_said():
    graph = dense(np.eye(2))
    reference = traced(graph, np.ones((1, 2)))
    strange = LayerNode("s", "Strange", "own", {}, (), (Call((TensorRef("d0"),)),))
    other = Graph("g", "Functional", (*graph.layers, strange), graph.inputs, (TensorRef("s"),))
    assert "whether the prediction survives is not known, because" in half_sentences(reference, other)[-1]
