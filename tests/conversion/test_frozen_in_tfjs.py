"""SavedModels in TensorFlow.js: rewritten where every node is known, else node by node; graph-models as they are."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.model.saved_models import X, exported, of_function, with_signatures

from bittrue.errors import Unsupported
from bittrue.graph.truth import evaluate
from bittrue.model import open_model
from bittrue.model.framework import import_keras
from bittrue.pipeline import check, check_models, convert, lint
from bittrue.report.data import ReportData
from bittrue.runtimes.discovery import find_node
from bittrue.traces import Key


def worst(data: ReportData) -> float:
    """The largest relative difference over all layers; every layer must have been compared."""
    (outcome,) = data.targets
    assert outcome.failure is None, outcome.failure
    assert outcome.outputs
    return max(pair.metrics.max_abs_to_scale if pair.metrics else np.inf for pair in outcome.outputs)


@pytest.mark.browser
@pytest.mark.needs("node")
def test_an_export_of_keras_agrees_layer_by_layer(tmp_path: Path) -> None:
    folder, _ = exported(tmp_path)
    assert worst(check(folder, "random:1", ["node:wasm"])) < 1e-5


@pytest.mark.browser
@pytest.mark.needs("node")
def test_what_has_no_expansion_is_written_node_by_node(tmp_path: Path) -> None:
    folder = of_function(tmp_path, lambda tf, x: tf.math.acosh(tf.abs(x) + 1.5) * 2.0, None, 3)
    artifact = convert(folder, tmp_path / "out")
    assert artifact.reason is not None
    assert "Acosh" in artifact.reason
    assert worst(check(folder, "random:1", ["node:cpu"])) < 1e-5


@pytest.mark.browser
@pytest.mark.needs("node")
def test_a_graph_model_that_exists_is_run_as_it_is(tmp_path: Path) -> None:
    folder, model = exported(tmp_path)
    artifact = convert(folder, tmp_path / "out")
    before = {name: (artifact.folder / name).read_bytes() for name in artifact.files}
    model.save(tmp_path / "model.keras")
    data = check_models(tmp_path / "model.keras", artifact.folder, "random:1", ["node:wasm"])
    assert worst(data) < 1e-5
    assert before == {name: (artifact.folder / name).read_bytes() for name in artifact.files}


def test_what_tfjs_lacks_is_refused_by_name(tmp_path: Path) -> None:
    folder = of_function(tmp_path, lambda tf, x: tf.math.lgamma(x), None, 3)
    with pytest.raises(Unsupported, match=r"Lgamma.*no such node"):
        convert(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    found = lint(folder)
    assert found.form is None
    assert "Lgamma" in found.findings[-1].effect


def test_what_is_known_to_be_computed_otherwise_is_refused_node_by_node_too(tmp_path: Path) -> None:
    def both(tf: object, x: object) -> object:
        kernel = np.ones((3, 3, 2, 2), np.float32)
        y = tf.nn.conv2d(x, kernel, 2, "VALID", dilations=2)  # type: ignore[attr-defined]
        return tf.math.acosh(y + 30.0)  # type: ignore[attr-defined]

    folder = of_function(tmp_path, both, None, 9, 9, 2)
    with pytest.raises(Unsupported, match="strides and dilation"):
        convert(folder, tmp_path / "out")


def test_a_layer_of_somebodys_own_is_traced(tmp_path: Path) -> None:
    keras = import_keras()

    class Doubled(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: object) -> object:
            return keras.ops.multiply(x, 2.0)

    x = keras.Input((3,), name="x")
    model = keras.Model(x, Doubled(name="own")(keras.layers.Dense(4, name="first")(x)))
    graph = open_model(convert(model, tmp_path / "out").folder).graph
    expected = np.asarray(model(X))
    (output,) = graph.outputs
    made = evaluate(graph, {graph.inputs[0].name: X})[Key("output", output.layer, 0, output.output)].load()
    assert np.allclose(made, expected, atol=1e-6)


@pytest.mark.browser
@pytest.mark.needs("node")
def test_what_a_layer_cannot_be_written_as_its_nodes_can(tmp_path: Path) -> None:
    keras = import_keras()
    keras.utils.set_random_seed(7)
    inner = keras.Sequential([keras.Input((5, 2)), keras.layers.Conv1D(3, 2), keras.layers.Flatten()])
    model = keras.Sequential([keras.Input((4, 5, 2), name="x"), keras.layers.TimeDistributed(inner)])
    model.save(tmp_path / "model.keras")
    artifact = convert(tmp_path / "model.keras", tmp_path / "out")
    assert (artifact.format, lint(tmp_path / "model.keras").form) == ("graph-model", "graph-model")
    data = check(tmp_path / "model.keras", "random:1", ["node:wasm"])
    assert worst(data) < 1e-5
    assert data.targets[0].diagnosis is not None
    assert any(
        "compared as the nodes that TensorFlow makes of it, since layer 'time_dis" in note for note in data.notes
    )


def test_what_keras_has_quantized_is_refused_in_one_sentence(tmp_path: Path) -> None:
    keras = import_keras()
    model = keras.Sequential([keras.Input((8,), name="x"), keras.layers.Dense(6, name="small")])
    model.quantize("int8", filters=["small"])
    with pytest.raises(Unsupported, match=r"layer 'small' \(Dense\).*quantized.*as it was before") as caught:
        convert(model, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_what_tfjs_gets_wrong_is_not_written_node_by_node(tmp_path: Path) -> None:
    def summed(tf: object, x: object) -> object:
        return tf.math.acosh(tf.math.cumsum(tf.abs(x) + 1.0, -1, exclusive=True) + 2.0)  # type: ignore[attr-defined]

    def paired(tf: object, x: object) -> object:
        return tf.math.acosh(tf.einsum("ij,ij->i", x, x) + 2.0)  # type: ignore[attr-defined]

    for function, said in (
        (summed, r"\(Cumsum\).*axis from the front alone"),
        (paired, r"\(Einsum\).*no kernel for it"),
    ):
        folder = of_function(tmp_path / function.__name__, function, None, 3)
        with pytest.raises(Unsupported, match=said):
            convert(folder, tmp_path / "out")


def test_loops_are_refused_by_name(tmp_path: Path) -> None:
    def doubled(tf: object, x: object) -> object:
        return tf.while_loop(lambda y: tf.reduce_sum(y) < 100.0, lambda y: (y * 2.0,), (x,))[0]  # type: ignore[attr-defined]

    with pytest.raises(Unsupported, match=r"how often 'while' .*is known only as the model runs"):
        convert(of_function(tmp_path, doubled, None, 3), tmp_path / "out")


def test_a_layers_model_is_not_to_be_had(tmp_path: Path) -> None:
    folder = with_signatures(tmp_path, "apply")
    with pytest.raises(Unsupported, match="write a graph-model"):
        convert(folder, tmp_path / "out", form="layers-model")
    found = lint(folder)
    assert (found.form, found.convertible) == ("graph-model", False)
    assert len(found.findings) == 1


def test_two_savedmodels_are_compared_by_tensorflow(tmp_path: Path) -> None:
    folder = with_signatures(tmp_path, "first", "second")
    data = check_models(f"{folder}#first", f"{folder}#first", {"x": np.abs(X)})
    assert worst(data) == 0.0
    assert any("same weights: 1 of 1 tensors bit-identical" in note for note in data.notes)


@pytest.mark.browser
@pytest.mark.needs("node")
def test_the_nodes_are_what_the_pinned_executor_knows(repository: Path) -> None:
    node = find_node()
    assert node is not None
    done = subprocess.run(
        [str(node.path), str(repository / "scripts" / "tfjs_nodes.mjs")], capture_output=True, text=True, check=True
    )
    kept = repository / "src" / "bittrue" / "conversion" / "tfjs" / "nodes-4.22.0.json"
    assert json.loads(done.stdout) == json.loads(kept.read_text(encoding="utf-8"))
