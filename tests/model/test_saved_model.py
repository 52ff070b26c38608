"""SavedModels: which signature is opened, what its layers are, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.model.saved_models import IMAGE, X, exported, of_function, weights, with_signatures

from bittrue.errors import ModelError, UntrustedCode, UsageError
from bittrue.graph.truth import evaluate
from bittrue.model import open_model, saved_model
from bittrue.model.framework import import_tensorflow
from bittrue.traces import Key

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]

EXACT = np.maximum(X.astype(np.float64) @ weights().astype(np.float64), 0)


def predicted(path: Path | str) -> np.ndarray:
    opened = open_model(path)
    (name,) = (spec.name for spec in opened.graph.inputs)
    (output,) = opened.graph.outputs
    trace = evaluate(opened.graph, {name: X})
    return trace[Key("output", output.layer, 0, output.output)].load()


def test_the_only_signature_is_opened(tmp_path: Path) -> None:
    assert np.allclose(predicted(with_signatures(tmp_path, "apply")), EXACT, rtol=1e-12)


def test_serving_default_is_preferred(tmp_path: Path) -> None:
    folder = with_signatures(tmp_path, "another", "serving_default")
    assert np.allclose(predicted(folder), EXACT + 1, rtol=1e-12)


def test_another_signature_is_written_behind_the_folder(tmp_path: Path) -> None:
    folder = with_signatures(tmp_path, "first", "second")
    assert np.allclose(predicted(f"{folder}#second"), EXACT + 1, rtol=1e-12)


def test_several_signatures_are_named_with_how_to_choose(tmp_path: Path) -> None:
    folder = with_signatures(tmp_path, "first", "second")
    with pytest.raises(UsageError, match=r"first, second.*#first"):
        open_model(folder)
    with pytest.raises(UsageError, match=r"no signature 'third'; it has first, second"):
        open_model(f"{folder}#third")


def test_an_export_of_keras_has_its_layers_and_their_values(tmp_path: Path) -> None:
    folder, model = exported(tmp_path)
    graph = open_model(folder).graph
    assert [layer.name.rstrip("_1") for layer in graph.layers if layer.name.startswith(("conv", "act", "out"))] == [
        "conv",
        "act",
        "out",
    ]
    assert graph.inputs[0].shape == (None, 8, 8, 3)
    trace = evaluate(graph, {"image": IMAGE})
    assert trace.provenance.details["no_truth"] == {}
    made = trace[Key("output", graph.outputs[0].layer)].load()
    assert np.allclose(made, model.predict(IMAGE, verbose=0), atol=1e-6)


def test_it_is_no_keras_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tensorflow:cpu"):
        open_model(with_signatures(tmp_path, "apply")).keras()


def test_what_reaches_beyond_itself_is_refused_unless_trusted(tmp_path: Path) -> None:
    def reads(tf: object, x: object) -> object:
        length = tf.strings.length(tf.io.read_file("secret"))  # type: ignore[attr-defined]
        return x + tf.cast(length, tf.float32)  # type: ignore[attr-defined,operator]

    folder = of_function(tmp_path, reads, None, 3)
    with pytest.raises(UntrustedCode, match=r"ReadFile.*--trust"):
        open_model(folder)
    assert open_model(folder, trust=True).graph.outputs


@pytest.mark.parametrize("size", [0, 40, 200])
def test_a_file_cut_short_is_one_sentence(tmp_path: Path, size: int) -> None:
    folder = with_signatures(tmp_path, "apply")
    file = folder / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ModelError) as caught:
        open_model(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_are_missing_are_one_sentence(tmp_path: Path) -> None:
    folder = with_signatures(tmp_path, "apply")
    for file in (folder / "variables").iterdir():
        file.unlink()
    with pytest.raises(ModelError, match="cannot be read as a SavedModel") as caught:
        open_model(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_of_something_else_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"saved_model\.pb"):
        open_model(tmp_path)


def test_more_weights_than_a_graph_can_hold_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_signatures(tmp_path, "apply")
    monkeypatch.setattr(saved_model, "LARGEST", weights().nbytes)
    assert open_model(folder).graph.outputs
    monkeypatch.setattr(saved_model, "LARGEST", weights().nbytes - 1)
    monkeypatch.setattr(saved_model, "frozen_signature", None)
    with pytest.raises(ModelError, match=r"GiB of weights, .* 2 GiB .*; convert the \.keras or \.h5 file"):
        open_model(folder)


def test_text_is_refused_with_what_to_do(tmp_path: Path) -> None:
    tf = import_tensorflow()
    spec = tf.TensorSpec([None], tf.string, name="words")
    made = tf.function(lambda words: {"y": tf.strings.length(words)}).get_concrete_function(spec)
    tf.saved_model.save(tf.Module(), str(tmp_path / "words"), {"serving_default": made})
    with pytest.raises(ModelError, match=r"input 'words' takes text .*: look words up before the model"):
        open_model(tmp_path / "words")


def test_sizes_that_the_signature_leaves_open_stay_open(tmp_path: Path) -> None:
    folder = of_function(tmp_path, lambda tf, x: tf.reduce_mean(tf.reshape(x, [tf.shape(x)[0], -1, 2]), 1), None, None)
    graph = open_model(folder).graph
    assert graph.inputs[0].shape == (None, None)
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    made = evaluate(graph, {"x": x})[Key("output", graph.outputs[0].layer)].load()
    assert np.array_equal(made, x.reshape(2, 3, 2).mean(1))
