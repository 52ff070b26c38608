"""A file read without Keras is what Keras makes of it: layers, calls, options and the bits of the weights."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras_models
import make_legacy_h5 as legacy
import numpy as np
import pytest
from tests.conformance.building import build
from tests.conformance.generation import campaign
from tests.conversion import transformer_cases

from bittrue.conversion.tfjs import convert
from bittrue.errors import ModelError
from bittrue.graph.model import Graph
from bittrue.graph.truth import evaluate
from bittrue.model import open_model
from bittrue.model.keras_archive import check_archive, graph_of_archive, load_archive
from bittrue.model.keras_facts import NeedsKeras
from bittrue.model.keras_h5 import check_h5, graph_of_h5, load_h5
from bittrue.model.reading import graph_of

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]
Build = Callable[[], Any]


def without_keras(path: Path) -> Graph:
    if path.suffix == ".keras":
        return graph_of_archive(path, check_archive(path, trust=False))
    return graph_of_h5(path, *check_h5(path, trust=False))


def with_keras(path: Path) -> Graph:
    load = load_archive if path.suffix == ".keras" else load_h5
    return graph_of(load(path, trust=False), path=path)


def facts(graph: Graph) -> list[Any]:
    """All of a graph; options of training aside, whose spelling depends on who wrote the file."""
    layers = [
        (path, layer.class_name, layer.module, plain(layer.config), arguments(layer.calls), bits(layer))
        for path, layer in graph.walk()
    ]
    return [graph.name, graph.kind, layers, graph.inputs, graph.outputs]


def bits(layer: Any) -> list[Any]:
    return [(w.name.rstrip("_0123456789"), w.value.dtype, w.value.shape, w.value.tobytes()) for w in layer.weights]


def arguments(calls: Any) -> Any:
    """Calls with constants as bytes: a backend's tensor and an array of NumPy's are the same constant."""
    if isinstance(calls, Mapping):
        return {key: arguments(item) for key, item in calls.items()}
    if isinstance(calls, list | tuple):
        return [arguments(item) for item in calls]
    if hasattr(calls, "args"):
        return arguments([calls.args, calls.kwargs])
    return (np.asarray(calls).dtype, np.asarray(calls).tobytes()) if hasattr(calls, "dtype") else calls


def plain(config: Any) -> Any:
    if isinstance(config, list | tuple):
        return [plain(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    return {
        key: plain(item) for key, item in config.items() if not key.endswith("_initializer") and key != "build_config"
    }


def drawn(model: Any) -> Any:
    """``model`` with weights of which no two are alike."""
    rng = np.random.default_rng(7)
    model.set_weights([rng.uniform(0.5, 2, one.shape).astype(one.dtype) for one in model.get_weights()])
    return model


def frozen() -> Any:
    import keras
    from keras import layers

    inside = [keras.Input((8,)), layers.Dense(4, trainable=False), layers.BatchNormalization(), layers.Dense(3)]
    entry = keras.Input((8,), name="entry")
    chain = keras.Sequential(inside, name="chain")
    chain.trainable = False
    return keras.Model(entry, layers.Dense(2, name="last", trainable=False)(chain(entry)), name="frozen")


def states() -> Any:
    import keras
    from keras import layers

    entry = keras.Input((5, 4), name="entry")
    sequence, h, c = layers.LSTM(4, return_sequences=True, return_state=True, name="first")(entry)
    inner = layers.TimeDistributed(layers.Dense(3), name="each")(sequence)
    cells = layers.RNN([layers.GRUCell(2), layers.LSTMCell(3)], name="cells")(sequence)
    both = layers.Bidirectional(layers.GRU(2), name="both")(inner)
    return keras.Model(entry, [layers.LSTM(4, name="second")(sequence, initial_state=[h, c]), cells, both])


def spectral() -> Any:
    import keras
    from keras import layers

    entry, unused = keras.Input((6,), name="entry"), keras.Input((2,), name="unused")
    x = layers.SpectralNormalization(layers.Dense(4), name="spectral")(entry)
    return keras.Model([unused, entry], layers.Normalization(name="norm")(x), name="spectra")


def rearranged() -> Any:
    import keras
    from keras import layers

    entry = keras.Input((8, 4), name="entry")
    halves = keras.ops.concatenate([entry[:, ::2], entry[:, 1::2]], axis=1)
    return keras.Model(entry, layers.Conv1D(3, 2, padding="causal", name="conv")(halves) * np.float32(2), name="halves")


def open_sizes() -> Any:
    import keras
    from keras import layers

    steps = [keras.Input((None, None, 3)), layers.Conv2D(4, 3, name="conv"), layers.GlobalAveragePooling2D(name="mean")]
    entry = keras.Input((16, 16, 3), name="entry")
    augmented = layers.RandomFlip(name="flip")(layers.Rescaling(1 / 255, name="scale")(entry))
    return keras.Model(
        entry, layers.Dense(2, name="last")(keras.Sequential(steps, name="steps")(augmented)), name="open"
    )


OWN: list[Build] = [frozen, states, spectral, rearranged, open_sizes]
BUILDERS: list[Build] = [*(getattr(keras_models, name) for name in keras_models.__all__), *OWN]
OPERATIONS = (keras_models.with_operations, rearranged)  # which Keras cannot load from HDF5
H5 = [build for build in BUILDERS if build not in (*OPERATIONS, frozen)]


BLOCKS = [pytest.param(case, marks=pytest.mark.slow) for case in transformer_cases.CASES]


@pytest.mark.parametrize("builder", [*BUILDERS, *BLOCKS], ids=lambda build: build.__name__)
def test_an_archive_is_what_keras_reads(builder: Build, tmp_path: Path) -> None:
    drawn(builder()).save(tmp_path / "model.keras")
    assert facts(without_keras(tmp_path / "model.keras")) == facts(with_keras(tmp_path / "model.keras"))


@pytest.mark.parametrize("builder", H5, ids=lambda build: build.__name__)
def test_an_hdf5_file_is_what_keras_reads(builder: Build, tmp_path: Path) -> None:
    drawn(builder()).save(tmp_path / "model.h5")
    assert facts(without_keras(tmp_path / "model.h5")) == facts(with_keras(tmp_path / "model.h5"))


@pytest.mark.parametrize("make", ["convolutional", "nested", "oldest", "wrapped", "attending", "slashed"])
def test_a_file_of_keras_2_is_what_keras_reads(make: str, tmp_path: Path) -> None:
    path, _ = getattr(legacy, make)(tmp_path / "model.h5")
    assert facts(without_keras(path)) == facts(with_keras(path))


def sample() -> Iterator[Any]:
    """One case of every class, and the first of its options."""
    seen: Counter[str] = Counter()
    for case in campaign().cases:
        if case.kind != "function" and not case.options.get("stateful") and seen[case.subject] < 1:
            seen[case.subject] += 1
            yield case


@pytest.mark.slow
def test_every_class_is_what_keras_reads(tmp_path: Path) -> None:
    read = 0
    for case in sample():
        try:
            build(case).model.save(tmp_path / "model.keras")
            graph = without_keras(tmp_path / "model.keras")
        except (
            NeedsKeras,
            TypeError,
            ValueError,
            NotImplementedError,
        ):  # Keras itself cannot build some on symbolic tensors
            continue
        assert facts(graph) == facts(with_keras(tmp_path / "model.keras")), case.key
        read += 1
    assert read > 90


CONVERTING = """
import sys
from pathlib import Path
import bittrue
bittrue.convert(sys.argv[1], Path(sys.argv[2]))
bittrue.lint(sys.argv[1])
found = [name for name in ("keras", "tensorflow", "scipy", "pandas") if name in sys.modules]
sys.exit(", ".join(found) or 0)
"""


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_converting_imports_no_keras_and_writes_the_same_bytes(name: str, tmp_path: Path) -> None:
    drawn(open_sizes()).save(tmp_path / name)
    convert(with_keras(tmp_path / name), tmp_path / "keras")
    command = [sys.executable, "-c", CONVERTING, str(tmp_path / name), str(tmp_path / "own")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "own") == files(tmp_path / "keras")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("make", ["convolutional", "nested", "oldest", "wrapped"])
def test_a_file_of_keras_2_is_converted_to_the_same_bytes(make: str, tmp_path: Path) -> None:
    path, _ = getattr(legacy, make)(tmp_path / "model.h5")
    for graph, name in ((without_keras(path), "own"), (with_keras(path), "keras")):
        convert(graph, tmp_path / name)
    assert files(tmp_path / "own") == files(tmp_path / "keras")


def test_the_keras_model_is_loaded_when_it_is_asked_for(tmp_path: Path) -> None:
    live = drawn(keras_models.sequential())
    live.save(tmp_path / "model.keras")
    opened = open_model(tmp_path / "model.keras")
    x = np.ones((2, 4), np.float32)
    assert np.array_equal(opened.keras()(x), live(x))
    assert opened.keras() is opened.keras()


def masked() -> Any:
    import keras
    from keras import layers

    steps = [keras.Input((5,), dtype="int32"), layers.Embedding(9, 4, mask_zero=True), layers.LSTM(3)]
    return keras.Sequential(steps, name="masked")


def mixed() -> Any:
    import keras

    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, dtype="mixed_float16")], name="mixed")


UNCERTAIN = [(masked, "model.keras"), (mixed, "model.keras"), (frozen, "model.h5")]


@pytest.mark.parametrize(("builder", "name"), UNCERTAIN)
def test_what_is_not_certain_is_left_to_keras(builder: Build, name: str, tmp_path: Path) -> None:
    drawn(builder()).save(tmp_path / name)
    with pytest.raises(NeedsKeras):
        without_keras(tmp_path / name)
    read, known = open_model(tmp_path / name).graph, with_keras(tmp_path / name)
    assert [bits(layer) for _, layer in read.walk()] == [bits(layer) for _, layer in known.walk()]


def test_several_axes_in_an_hdf5_file_are_not_dropped(tmp_path: Path) -> None:
    """Keras's own loader of HDF5 files takes the default in their place without a word."""
    import keras

    entry = keras.Input((3, 4), name="entry")
    live = keras.Model(entry, keras.layers.Softmax(axis=(1, 2), name="softmax")(entry))
    live.save(tmp_path / "model.h5")
    opened = open_model(tmp_path / "model.h5")
    assert opened.graph.layer("softmax").config["axis"] == [1, 2]
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    assert np.allclose(np.asarray(opened.keras()(x)).sum((1, 2)), 1, atol=1e-5)


def test_slices_that_a_file_keeps_as_a_list_are_computed(tmp_path: Path) -> None:
    live = drawn(rearranged())
    live.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 8, 4)).astype(np.float32)
    graph = open_model(tmp_path / "model.keras").graph
    trace = evaluate(graph, {"entry": x})
    (out,) = [record for record in trace if record.key.layer == graph.outputs[0].layer and record.key.kind == "output"]
    assert np.allclose(out.load(), live(x), atol=1e-5)


def copied(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The archive with its members changed, stored as Keras stores them."""
    target = path.with_name("changed.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))
    return target


def test_a_weight_that_does_not_fit_is_no_graph(tmp_path: Path) -> None:
    drawn(keras_models.sequential()).save(tmp_path / "model.keras")
    path = copied(tmp_path / "model.keras", lambda name, raw: raw.replace(b'"units": 3', b'"units": 5'))
    with pytest.raises(ModelError, match=r"changed\.keras"):
        open_model(path)


def test_a_weight_that_no_layer_asks_for_is_no_graph(tmp_path: Path) -> None:
    drawn(keras_models.sequential()).save(tmp_path / "model.keras")
    path = copied(tmp_path / "model.keras", lambda name, raw: raw.replace(b'"use_bias": true', b'"use_bias": false', 1))
    with pytest.raises(ModelError, match=r"changed\.keras"):
        open_model(path)


def test_a_bit_that_fell_over_is_noticed(tmp_path: Path) -> None:
    live = drawn(keras_models.sequential())
    live.save(tmp_path / "model.keras")
    raw = (tmp_path / "model.keras").read_bytes()
    kernel = live.layers[0].get_weights()[0].tobytes()
    at = raw.index(kernel)
    (tmp_path / "model.keras").write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    with pytest.raises(ModelError, match=r"model\.keras"):
        open_model(tmp_path / "model.keras")


@pytest.mark.slow
def test_the_table_of_classes_is_that_of_keras(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(repository / "scripts"))
    script: Any = pytest.importorskip("keras_classes")
    kept = script.TARGET.read_text(encoding="utf-8")
    if f'"keras": "{pytest.importorskip("keras").__version__}"' not in kept:
        pytest.skip("another Keras than the pinned one")
    assert script.text() == kept, "run python scripts/keras_classes.py again"
