"""A TensorFlow.js layers-model opens as the Keras model that computes the same, whoever wrote it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import keras_models
import make_legacy_h5 as legacy
import numpy as np
import pytest
from tests.graph.layer_cases import CASES

from bittrue.conversion.tfjs import convert
from bittrue.errors import ArtifactError, BittrueError, Unsupported, UntrustedCode
from bittrue.graph.model import Graph, TensorRef
from bittrue.model import open_model
from bittrue.runtimes.discovery import find_node

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]
Config = dict[str, Any]
Change = Callable[[Config], Any]


def write(folder: Path, topology: Any, weights: Mapping[str, np.ndarray]) -> Path:
    """An artifact as the official converter lays it out."""
    entries = [{"name": name, "shape": list(array.shape), "dtype": "float32"} for name, array in weights.items()]
    document = {
        "format": "layers-model",
        "generatedBy": "keras v2.15.0",
        "convertedBy": "TensorFlow.js Converter v4.22.0",
        "modelTopology": {"keras_version": "2.15.0", "backend": "tensorflow", "model_config": topology},
        "weightsManifest": [{"paths": ["group1-shard1of1.bin"], "weights": entries}],
    }
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps(document))
    data = b"".join(array.astype("<f4").tobytes() for array in weights.values())
    (folder / "group1-shard1of1.bin").write_bytes(data)
    return folder


KERNEL, BIAS = np.float32([[1, 2], [3, 4], [5, 6]]), np.float32([0.5, -0.5])
WEIGHTS = {"d/kernel": KERNEL, "d/bias": BIAS}


def small() -> Config:
    """Keras 2's configuration of one Dense layer."""
    entry = legacy.layer("InputLayer", "x", batch_input_shape=[None, 3], dtype="float32", sparse=False, ragged=False)
    dense = legacy.layer("Dense", "d", [("x", 0, 0)], units=2, activation="relu", use_bias=True, trainable=True)
    return legacy.functional("m", [entry, dense], [("x", 0, 0)], [("d", 0, 0)])


def dense_config(topology: Config) -> Config:
    return topology["config"]["layers"][1]["config"]


def weight_bits(graph: Graph) -> list[bytes]:
    return [weight.value.tobytes() for _, layer in graph.walk() for weight in layer.weights]


def calls(graph: Graph) -> list[Any]:
    return [(path, layer.calls) for path, layer in graph.walk()]


def answers(model: Any, graph: Graph) -> list[bytes]:
    rng = np.random.default_rng(3)
    shapes = [(2, *(size or 5 for size in spec.shape[1:])) for spec in graph.inputs]
    found = model([rng.normal(size=shape).astype(np.float32) for shape in shapes])
    return [np.asarray(output).tobytes() for output in (found if isinstance(found, list | tuple) else [found])]


BUILDERS = [keras_models.shared, keras_models.nested, keras_models.sequential]


@pytest.mark.parametrize("build", BUILDERS)
def test_what_was_converted_returns(build: Callable[[], Any], tmp_path: Path) -> None:
    given = open_model(build())
    artifact = convert(given.graph, tmp_path / "out")
    found = open_model(tmp_path / "out")
    assert (found.format, found.artifact) == ("tfjs-layers", artifact)
    assert calls(found.graph) == calls(given.graph)
    assert (found.graph.inputs, found.graph.outputs) == (given.graph.inputs, given.graph.outputs)
    assert weight_bits(found.graph) == weight_bits(given.graph)
    assert answers(found.keras(), found.graph) == answers(given.keras(), given.graph)
    assert convert(found.graph, tmp_path / "again").files == artifact.files


def layer_model(case: tuple[str, Config, Any]) -> Any:
    import keras

    name, options, shapes = case
    inputs = [keras.Input(shape[1:], name=f"input_{at}") for at, shape in enumerate(shapes)]
    layer = getattr(keras.layers, name)(**options)
    model = keras.Model(inputs, layer(inputs if len(inputs) > 1 else inputs[0]))
    rng = np.random.default_rng(2)
    model.set_weights([rng.uniform(0.2, 1.5, weight.shape) for weight in model.weights])
    return model


@pytest.mark.slow
def test_every_layer_that_is_written_returns_with_the_same_bits(tmp_path: Path) -> None:
    returned, changed = set(), set()
    for number, case in enumerate(CASES):
        try:
            given = open_model(layer_model(case))
            artifact = convert(given.graph, tmp_path / f"{number}", form="layers-model")
        except Unsupported:
            continue
        found = open_model(tmp_path / f"{number}")
        if found.graph.layers[-1].class_name != case[0]:  # written as another class that does the same
            changed.add(case[0])
            continue
        assert convert(found.graph, tmp_path / f"{number}-again").files == artifact.files, case
        assert answers(found.keras(), found.graph) == answers(given.keras(), given.graph), case
        returned.add(case[0])
    assert len(returned) > 25
    assert changed < {*CHANGED, *returned}


CHANGED = {
    "ActivityRegularization",
    "Identity",
    "SpatialDropout2D",
    "SpatialDropout3D",
    *(f"Global{kind}Pooling{axes}D" for kind in ("Average", "Max") for axes in (1, 2, 3)),
}
"""Classes that TensorFlow.js does not have, or not with all options."""


@pytest.mark.parametrize("make", [legacy.convolutional, legacy.nested, legacy.oldest])
def test_what_keras_2_and_the_official_converter_wrote_is_what_the_h5_file_holds(make: Any, tmp_path: Path) -> None:
    path, weights = make(tmp_path / "model.h5")
    with h5py.File(path) as file:
        topology = json.loads(file.attrs["model_config"])
    flat = {name: array for arrays in weights.values() for name, array in arrays.items()}
    given, found = open_model(path), open_model(write(tmp_path / "out", topology, flat))
    assert calls(found.graph) == calls(given.graph)
    assert weight_bits(found.graph) == weight_bits(given.graph)
    assert answers(found.keras(), found.graph) == answers(given.keras(), given.graph)


@pytest.mark.parametrize("path", ["out", "out/model.json"])
def test_the_folder_or_its_model_json_opens(path: str, tmp_path: Path) -> None:
    write(tmp_path / "out", small(), WEIGHTS)
    found = open_model(tmp_path / path).keras()(np.float32([[1, 0, 0]]))
    assert np.asarray(found).tolist() == [[1.5, 1.5]]


@pytest.mark.parametrize(
    "names", [("d/0", "d/1"), ("d/d_cell/kernel", "d/d_cell/bias")], ids=["numbered", "with a cell"]
)
def test_weights_have_other_names_where_tensorflow_js_takes_them_too(names: tuple[str, str], tmp_path: Path) -> None:
    folder = write(tmp_path / "out", small(), dict(zip(names, (KERNEL, BIAS), strict=True)))
    assert open_model(folder).graph.layer("d").weight("kernel").tobytes() == KERNEL.tobytes()


def test_a_quantised_model_opens_with_what_tensorflow_js_holds(tmp_path: Path) -> None:
    from bittrue.conversion.tfjs import Quantize, dequantised_graph

    graph = open_model(keras_models.sequential()).graph
    artifact = convert(graph, tmp_path / "out", quantize=[Quantize("uint8")])
    assert weight_bits(open_model(tmp_path / "out").graph) == weight_bits(dequantised_graph(graph, artifact))


REFUSED: dict[str, tuple[Change, str]] = {
    "another meaning": (
        lambda topology: dense_config(topology).update(activation="hard_sigmoid"),
        "layer 'd' .*Keras has no activation that computes as 'hard_sigmoid' does there",
    ),
    "unread": (
        lambda topology: dense_config(topology).update(lora_rank=4),
        "layer 'd' .*TensorFlow.js is not known to read its lora_rank=4",
    ),
    "unknown class": (
        lambda topology: topology["config"]["layers"][1].update(class_name="Whatever"),
        r"layer 'd' \(Whatever\) of TensorFlow.js cannot be read: Bittrue knows no layer of Keras",
    ),
    "half precision": (
        lambda topology: dense_config(topology).update(dtype="mixed_float16"),
        "layer 'd' .*its dtype is 'mixed_float16'",
    ),
    "unknown model": (lambda topology: topology.update(class_name="Graph"), "a model of class 'Graph' is not one of"),
}


@pytest.mark.parametrize(("change", "says"), REFUSED.values(), ids=REFUSED)
def test_what_keras_would_compute_otherwise_is_refused_by_name(change: Change, says: str, tmp_path: Path) -> None:
    topology = small()
    change(topology)
    with pytest.raises(Unsupported, match=says):
        open_model(write(tmp_path / "out", topology, WEIGHTS))


def test_code_is_refused(tmp_path: Path) -> None:
    topology = small()
    topology["config"]["layers"][1]["class_name"] = "Lambda"
    with pytest.raises(UntrustedCode, match="layer 'd' \\(Lambda\\) is refused"):
        open_model(write(tmp_path / "out", topology, WEIGHTS))


def test_a_mask_that_is_used_is_refused(tmp_path: Path) -> None:
    entry = legacy.layer("InputLayer", "x", batch_input_shape=[None, 4], dtype="int32", sparse=False)
    tokens = legacy.layer("Embedding", "e", [("x", 0, 0)], input_dim=5, output_dim=2, mask_zero=True)
    mean = legacy.layer("GlobalAveragePooling1D", "g", [("e", 0, 0)])
    topology = legacy.functional("m", [entry, tokens, mean], [("x", 0, 0)], [("g", 0, 0)])
    folder = write(tmp_path / "out", topology, {"e/embeddings": np.zeros((5, 2), np.float32)})
    with pytest.raises(Unsupported, match="layer 'g' cannot be read: it computes with a mask"):
        open_model(folder)


def test_what_only_says_that_it_is_a_graph_model_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "out", small(), WEIGHTS)
    text = (folder / "model.json").read_text().replace("layers-model", "graph-model")
    (folder / "model.json").write_text(text)
    with pytest.raises(ArtifactError, match="no list of nodes"):
        open_model(folder)


def models_in_models(topology: Config) -> None:
    inner = topology["config"]["layers"][1]
    for number in range(400):
        inner = {"class_name": "Sequential", "name": f"s{number}", "config": [inner]}
    topology["config"]["layers"][1] = inner


HOSTILE: dict[str, Change] = {
    "more memory than there is": lambda topology: dense_config(topology).update(units=10**15),
    "an input that needs it": lambda topology: topology["config"]["layers"][0]["config"].update(
        batch_input_shape=[None, 10**14]
    ),
    "no number": lambda topology: dense_config(topology).update(units="2"),
    "negative": lambda topology: dense_config(topology).update(units=-2),
    "an object for a number": lambda topology: dense_config(topology).update(units={"a": 1}),
    "layers no list": lambda topology: topology["config"].update(layers=7),
    "a layer no object": lambda topology: topology["config"]["layers"].append("d"),
    "no layers": lambda topology: topology["config"].update(layers=[]),
    "config no object": lambda topology: topology.update(config="x"),
    "config of a layer missing": lambda topology: topology["config"]["layers"][1].pop("config"),
    "a reference to nothing": lambda topology: topology["config"].update(output_layers=[["gone", 0, 0]]),
    "a reference to itself": lambda topology: topology["config"]["layers"][1].update(inbound_nodes=[[["d", 0, 0, {}]]]),
    "references of text": lambda topology: topology["config"].update(input_layers="x"),
    "a class of numbers": lambda topology: topology["config"]["layers"][1].update(class_name=7),
    "models in models": models_in_models,
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_topology_is_one_sentence(change: Change, tmp_path: Path) -> None:
    topology = small()
    change(topology)
    folder = write(tmp_path / "out", topology, WEIGHTS)
    with pytest.raises((ArtifactError, Unsupported)) as caught:
        open_model(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


UNFIT: dict[str, tuple[Mapping[str, np.ndarray], str]] = {
    "missing": ({"d/kernel": KERNEL}, "the layers' weight 'd/bias' is not in the artifact"),
    "too many": ({**WEIGHTS, "e/bias": BIAS}, "no layer has the weight 'e/bias'"),
    "twice under two names": ({**WEIGHTS, "d/cell/bias": BIAS}, "no layer has the weight 'd/cell/bias'"),
    "of another shape": ({**WEIGHTS, "d/kernel": KERNEL.T}, r"has the shape \(2, 3\), but the layer takes \(3, 2\)"),
}


@pytest.mark.parametrize(("weights", "says"), UNFIT.values(), ids=UNFIT)
def test_weights_that_do_not_fit_are_one_sentence(weights: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=says):
        open_model(write(tmp_path / "out", small(), weights))


def test_models_open_as_before_after_one_that_asked_for_too_much(tmp_path: Path) -> None:
    topology = small()
    dense_config(topology)["units"] = 10**15
    with pytest.raises(BittrueError):
        open_model(write(tmp_path / "bad", topology, WEIGHTS))
    graph = open_model(write(tmp_path / "good", small(), WEIGHTS)).graph
    assert graph.outputs == (TensorRef("d"),)
    assert replace(graph.layer("d").weights[1]).value.tolist() == BIAS.tolist()


@pytest.mark.browser
@pytest.mark.needs("node")
def test_what_tensorflow_js_saves_itself_opens(tmp_path: Path, repository: Path) -> None:
    node = find_node()
    assert node is not None
    tfjs = repository / "src/bittrue/_vendor/tfjs/4.22.0/tf.min.js"
    asked = json.dumps({"tfjs": str(tfjs), "out": str(tmp_path)}).encode()
    script = Path(__file__).with_name("save_in_tfjs.mjs")
    done = subprocess.run([str(node.path), str(script)], input=asked, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    for name, saved in json.loads(done.stdout).items():
        opened = open_model(tmp_path / name)
        ones = np.ones((1, *opened.graph.inputs[0].shape[1:]), np.float32)  # type: ignore[arg-type]
        found = np.asarray(opened.keras()(ones))
        np.testing.assert_allclose(found, np.reshape(saved["output"], saved["shape"]), rtol=1e-5)
        assert len(set(np.round(found.ravel(), 4))) > 1
