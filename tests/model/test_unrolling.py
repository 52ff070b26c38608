"""Loops, branches and lists of TensorFlow's graphs, written out: the same numbers as TensorFlow's own execution."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.model.saved_models import X, of_function

from bittrue.errors import Unsupported
from bittrue.graph.nodegraph import NodeGraph
from bittrue.graph.truth import evaluate
from bittrue.model import OpenedModel, freezing, open_model
from bittrue.model.framework import import_keras, import_tensorflow
from bittrue.pipeline import check, convert, lint
from bittrue.traces import Array, Key

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]

CONTROL = ("While", "If", "Case", "TensorList", "Switch", "Merge", "Enter", "Exit", "PartitionedCall")


def ran(folder: Path, inputs: dict[str, Array]) -> list[Array]:
    """What TensorFlow itself makes of the folder."""
    found = import_tensorflow().saved_model.load(str(folder)).signatures["serving_default"]
    made = found(**{name: import_tensorflow().constant(array) for name, array in inputs.items()})
    return [np.asarray(made[key]) for key in sorted(made)]


def answered(opened: OpenedModel, inputs: dict[str, Array]) -> list[Array]:
    """The float64 answer of the straight line."""
    trace = evaluate(opened.graph, inputs)
    assert trace.provenance.details["no_truth"] == {}
    return [trace[Key("output", ref.layer, ref.call, ref.output)].load() for ref in opened.graph.outputs]


def straight(opened: OpenedModel) -> NodeGraph:
    assert opened.nodes is not None
    assert opened.nodes.obstacle == ""
    assert not [node.op for node in opened.nodes.nodes if node.op.startswith(CONTROL)]
    return opened.nodes


def agrees(folder: Path, inputs: dict[str, Array]) -> NodeGraph:
    opened = open_model(folder)
    expected, found = ran(folder, inputs), answered(opened, inputs)
    assert len(expected) == len(found)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-5, atol=2e-6)
    return straight(opened)


def recurrent(layers: Any) -> dict[str, list[Any]]:
    return {
        "lstm and gru": [layers.LSTM(4, return_sequences=True), layers.GRU(3)],
        "gru, reset before": [layers.GRU(4, reset_after=False, return_sequences=True, go_backwards=True)],
        "bidirectional": [layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="sum")],
        "masked": [layers.Masking(0.0), layers.Bidirectional(layers.SimpleRNN(3))],
        "cells": [layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)])],
    }


@pytest.mark.parametrize("name", ["lstm and gru", "gru, reset before", "bidirectional", "masked", "cells"])
def test_recurrent_layers_of_an_export_are_a_straight_line(name: str, tmp_path: Path) -> None:
    keras = import_keras()
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((5, 3), name="x"), *recurrent(keras.layers)[name]])
    model.export(str(tmp_path / "model"), verbose=False)
    x = np.random.default_rng(1).normal(size=(3, 5, 3)).astype(np.float32)
    x[1, 2:] = 0.0
    nodes = agrees(tmp_path / "model", {"x": x})
    assert nodes.looping is not None
    assert any(node.op in ("While", "StatelessWhile") for node in nodes.looping.nodes)


def test_masks_of_an_embedding_reach_the_steps(tmp_path: Path) -> None:
    keras = import_keras()
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Embedding(7, 4, mask_zero=True), keras.layers.LSTM(3, return_sequences=True)]
    model = keras.Sequential([keras.Input((6,), dtype="int32", name="words"), *layers, keras.layers.GRU(2)])
    model.export(str(tmp_path / "model"), verbose=False)
    agrees(tmp_path / "model", {"words": np.array([[1, 2, 3, 0, 0, 0], [4, 0, 5, 6, 1, 2]], np.int32)})


def lists(tf: Any, x: Any) -> Any:
    """Everything that a list can do, one after the other."""
    raw, shape = tf.raw_ops, tf.constant([3])
    items = raw.TensorListFromTensor(tensor=x[:2], element_shape=shape)
    items = raw.TensorListPushBack(input_handle=items, tensor=x[0] * 3.0)
    items = raw.TensorListPushBack(input_handle=items, tensor=x[1] - 9.0)
    items, last = raw.TensorListPopBack(input_handle=items, element_shape=shape, element_dtype=tf.float32)
    items = raw.TensorListSetItem(input_handle=items, index=1, item=last)
    items = raw.TensorListResize(input_handle=items, size=raw.TensorListLength(input_handle=items) + 1)
    one = raw.TensorListGetItem(input_handle=items, index=0, element_shape=shape, element_dtype=tf.float32)
    some = raw.TensorListGather(input_handle=items, indices=[3, 1], element_shape=shape, element_dtype=tf.float32)
    stacked = raw.TensorListStack(input_handle=items, element_shape=shape, element_dtype=tf.float32)
    empty = raw.EmptyTensorList(element_shape=shape, max_num_elements=9, element_dtype=tf.float32)
    none = raw.TensorListStack(input_handle=empty, element_shape=shape, element_dtype=tf.float32)
    return tf.concat([stacked, some, one[None], none], 0)


def nested(tf: Any, x: Any) -> Any:
    """A loop within a loop, with a branch and a call in it, that counts with real numbers."""

    halved = tf.function(lambda y: y * 0.5, autograph=False)

    def inner(at: Any, y: Any) -> Any:
        turned = tf.cond(at < 1.0, lambda: tf.sin(y), lambda: halved(y) + 1.0)
        return at + 0.5, tf.switch_case(tf.cast(at, tf.int32), [lambda: turned, lambda: -turned])

    def outer(step: Any, y: Any) -> Any:
        return step + 1, tf.while_loop(lambda at, _: at < 1.5, inner, (tf.constant(0.0), y))[1] + tf.cast(step, y.dtype)

    return tf.while_loop(lambda step, _: step < tf.shape(x)[1], outer, (tf.constant(0), x), maximum_iterations=7)[1]


def written(tf: Any, x: Any) -> Any:
    """A TensorArray of unknown batch whose last element is never set."""
    array = tf.TensorArray(tf.float32, size=3, element_shape=[None, 3])
    made = tf.while_loop(
        lambda at, _: at < 2, lambda at, a: (at + 1, a.write(at, x * tf.cast(at, x.dtype))), (0, array)
    )
    return made[1].stack()


@pytest.mark.parametrize(("function", "rows"), [(lists, 2), (nested, None), (written, None)])
def test_loops_branches_and_lists_give_what_tensorflow_gives(
    function: Callable[..., Any], rows: int | None, tmp_path: Path
) -> None:
    agrees(of_function(tmp_path, function, rows, 3), {"x": X})


def test_weights_are_not_copied_for_each_step(tmp_path: Path) -> None:
    kernel = np.random.default_rng(4).normal(size=(1, 3, 3)).astype(np.float32)

    def repeated(tf: Any, x: Any) -> Any:
        return tf.while_loop(lambda at, _: at < 40, lambda at, y: (at + 1, tf.tanh(y @ tf.squeeze(kernel, 0))), (0, x))[
            1
        ]

    nodes = agrees(of_function(tmp_path, repeated, None, 3), {"x": X})
    assert sum(node.op == "Squeeze" for node in nodes.nodes) <= 1
    assert sum(node.op == "MatMul" for node in nodes.nodes) == 40
    assert sum(array.size == 9 for array in nodes.constants.values()) == 1


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "data": (
        lambda tf, x: tf.while_loop(lambda y: tf.reduce_sum(y) < 100.0, lambda y: (y * 2.0,), (x,))[0],
        r"how often 'while' \((Stateless)?While\) runs is known only as the model runs; export",
    ),
    "branch": (
        lambda tf, x: tf.cond(tf.reduce_sum(x) > 0.0, lambda: x, lambda: -x),
        r"which branch of 'cond' \((Stateless)?If\) is taken is known only as the model runs; compute both",
    ),
    "length": (
        lambda tf, x: tf.TensorArray(tf.float32, size=tf.shape(x)[0]).unstack(x).stack(),
        r"the length of .*TensorListFromTensor.* is known only as the model runs; export",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_depends_on_the_data_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    function, said = REFUSED[case]
    folder = of_function(tmp_path, function, None, 3)
    with pytest.raises(Unsupported, match=said) as caught:
        convert(folder, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    found = lint(folder)
    assert found.form is None
    assert any(finding.effect and finding.remedy == "refused" for finding in found.findings)


def test_the_loops_themselves_are_run_beside_the_steps(tmp_path: Path) -> None:
    data = check(of_function(tmp_path, nested, None, 3), {"x": X}, ["tensorflow:cpu"])
    (found,) = [one for one in data.reference.checks if one.name == "loops"]
    assert found.passed
    assert "agree" in found.detail


@pytest.mark.browser
@pytest.mark.needs("node")
def test_tensorflow_js_runs_the_steps(tmp_path: Path) -> None:
    keras = import_keras()
    keras.utils.set_random_seed(5)
    layers = [keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True)), keras.layers.GRU(3)]
    keras.Sequential([keras.Input((5, 3)), *layers]).export(str(tmp_path / "model"), verbose=False)
    data = check(tmp_path / "model", "random:1", ["node:cpu", "node:wasm"])
    for outcome in data.targets:
        assert outcome.failure is None
        assert all(pair.metrics and pair.metrics.max_abs_to_scale < 1e-5 for pair in outcome.outputs)


def test_a_loop_of_too_many_steps_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezing, "MOST_NODES", 200)

    def endless(tf: Any, x: Any) -> Any:
        return tf.while_loop(lambda at, _: at >= 0, lambda at, y: (at * 1, y + 1.0), (0, x))[1]

    with pytest.raises(Unsupported, match=r"more than 200 nodes; make the sequences shorter"):
        convert(of_function(tmp_path, endless, None, 3), tmp_path / "out")
