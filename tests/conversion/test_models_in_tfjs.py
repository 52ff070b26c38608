"""Whole models, written and run in real TensorFlow.js: every output within the bound of the model's own layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bounds import model_bounds
from in_node import BUNDLED, digest, predict
from tests.model import keras_models
from tests.model import make_legacy_h5 as legacy
from tests.models.mobilenet import image, mobilenet_v2

from bittrue.conversion.tfjs import convert
from bittrue.errors import TargetUnavailable
from bittrue.experiment import Experiment
from bittrue.graph.model import Graph
from bittrue.model import open_model

pytestmark = [pytest.mark.browser, pytest.mark.needs("node", "tensorflow")]
Build = Callable[[], Any]


def block() -> Any:
    """What mobile networks are made of: depthwise, normalised, residual, squeezed."""
    import keras
    from keras import layers

    entry = keras.Input((17, 16, 3), name="entry")
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(entry)
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, use_bias=False)(x))
    y = layers.ReLU(6.0)(x)
    x = layers.Add()([layers.DepthwiseConv2D(3, padding="same", activation="silu")(y), y])
    squeezed = layers.Reshape((1, 1, -1))(layers.GlobalAveragePooling2D()(x))
    x = layers.Multiply()([x, layers.Conv2D(8, 1, activation="sigmoid")(squeezed)])
    return keras.Model(entry, layers.Dense(3, activation="softmax")(layers.Dropout(0.2)(layers.Flatten()(x))))


def embedded() -> Any:
    """Whole numbers in, a mask that nothing uses."""
    import keras
    from keras import layers

    tokens = keras.Input((5,), dtype="int32", name="tokens")
    x = layers.Embedding(7, 3, mask_zero=True)(tokens)
    return keras.Model(tokens, layers.Dense(2)(layers.Flatten()(layers.BatchNormalization()(x))))


def passing_through() -> Any:
    """An input among the outputs, and a model inside that begins with a model."""
    import keras
    from keras import layers

    inside = keras.Sequential(
        [keras.Sequential([keras.Input((6,)), layers.Dense(4, name="x")], name="m"), layers.ReLU()]
    )
    entry = keras.Input((6,), name="entry")
    return keras.Model(entry, [entry, inside(entry)])


def without_weights() -> Any:
    """Nothing to load but the topology."""
    import keras

    entry = keras.Input((4,), name="entry")
    return keras.Model(entry, keras.layers.Activation("tanh")(entry))


def overtaking() -> Any:
    """A layer whose second call is ready before its first."""
    import keras
    from keras import layers

    entry, dense, other = keras.Input((4,), name="entry"), layers.Dense(4, name="d"), layers.Dense(4, name="e")
    late, early = dense(other(entry)), dense(entry)
    return keras.Model(entry, [layers.Activation("tanh")(early), layers.Activation("softsign")(late)])


BUILDERS: list[Build] = [
    Experiment(depth=3, size=20).build,
    keras_models.shared,
    keras_models.nested,
    keras_models.sequential,
    keras_models.dictionaries,
    block,
    embedded,
    passing_through,
    without_weights,
    overtaking,
]
IDS = ["experiment", *(build.__name__ for build in BUILDERS[1:])]
OLD = [build for build in BUILDERS if build not in (block,)]  # which has silu


def drawn(graph: Graph, seed: int = 0) -> dict[str, Any]:
    """Seeded inputs by name, two examples each."""
    rng = np.random.default_rng(seed)
    shapes = {spec.name: (2, *(size or 24 for size in spec.shape[1:])) for spec in graph.inputs}
    whole = {spec.name for spec in graph.inputs if spec.dtype.kind == "i"}
    return {
        name: rng.integers(0, 7, shape, np.int32) if name in whole else rng.normal(size=shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def randomised(model: Any) -> Any:
    """Weights of order one, none of them the zeros and ones that layers begin with; variances stay positive."""
    rng = np.random.default_rng(1)
    sizes = [rng.uniform(0.3, 1.2, weight.shape) for weight in model.weights]
    signs = [1 if "variance" in weight.name else rng.choice([-1, 1], weight.shape) for weight in model.weights]
    model.set_weights([size * sign for size, sign in zip(sizes, signs, strict=True)])
    return model


def check(model: Any, folder: Path, version: str = "4.22.0", tfjs: Path = BUNDLED) -> None:
    graph = open_model(model).graph
    inputs = drawn(graph)
    convert(graph, folder, version=version)
    found = predict(folder, list(inputs.values()), tfjs)
    for output, (exact, bound) in zip(found.outputs, model_bounds(graph, inputs), strict=True):
        assert output.shape == exact.shape
        assert np.all(np.abs(output - exact) <= bound)
    bits = sorted(digest(weight.value) for _, layer in graph.walk() for weight in layer.weights)
    assert sorted((found.weights or {}).values()) == bits


@pytest.mark.parametrize("build", BUILDERS, ids=IDS)
def test_outputs_are_within_rounding_and_weights_are_equal(build: Build, tmp_path: Path) -> None:
    check(randomised(build()), tmp_path / "out")


@pytest.fixture(scope="session")
def oldest() -> Path:
    """TensorFlow.js 1.7.2, from the cache or the registry."""
    from bittrue.runtimes.tfjs import tfjs_files

    try:
        return tfjs_files("1.7.2").folder / "tf.min.js"
    except TargetUnavailable as absent:
        pytest.skip(str(absent))


@pytest.mark.needs("npm")
@pytest.mark.parametrize("build", OLD, ids=[name for name in IDS if name != "block"])
def test_the_oldest_version_runs_what_is_written_for_it(build: Build, oldest: Path, tmp_path: Path) -> None:
    check(randomised(build()), tmp_path / "out", "1.7.2", oldest)


@pytest.mark.parametrize("make", [legacy.convolutional, legacy.nested, legacy.oldest])
def test_files_of_keras_2_run(make: Any, tmp_path: Path) -> None:
    check(open_model(make(tmp_path / "model.h5")[0]).keras(), tmp_path / "out")


def test_calls_keep_their_numbers(tmp_path: Path) -> None:
    graph = open_model(keras_models.nested()).graph
    convert(graph, tmp_path / "out")
    assert predict(tmp_path / "out", list(drawn(graph).values())).layers == ("entry", "pair", "join")


# Trained and deep networks: the bound of their layers, each on top of the last, says nothing any more. Keras is the
# yardstick: TensorFlow.js may lie no more than 8 times as far from the exact answer as Keras's own float32 does.
YARDSTICK = 8


def check_beside_keras(model: Any, inputs: Any, folder: Path) -> None:
    from bittrue.graph.truth import evaluate
    from bittrue.traces import Key

    graph = open_model(model).graph
    convert(graph, folder)
    found = predict(folder, [inputs])
    theirs = model(inputs) if isinstance(model(inputs), list | tuple) else [model(inputs)]
    truth = evaluate(graph, {graph.inputs[0].name: inputs})
    for ref, output, keras_output in zip(graph.outputs, found.outputs, map(np.asarray, theirs), strict=True):
        exact = truth[Key("output", ref.layer, ref.call, ref.output)].load()
        scale = np.max(np.abs(exact))
        assert scale > 1e-3
        rounding = np.finfo(np.float32).eps * scale
        assert np.max(np.abs(output - exact)) <= YARDSTICK * (np.max(np.abs(keras_output - exact)) + rounding)


@pytest.mark.slow
def test_mobilenet_is_as_near_the_truth_as_keras(tmp_path: Path) -> None:
    check_beside_keras(mobilenet_v2(size=64), image(5, size=64), tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("pnet", None), ("rnet", 24), ("onet", 48)])
def test_trained_networks_are_as_near_the_truth_as_keras(name: str, size: int | None, tmp_path: Path) -> None:
    pytest.importorskip("mtcnn")
    check_beside_keras(mtcnn_network(name, size), image(6, batch=2, size=size or 31), tmp_path / "out")


def mtcnn_network(name: str, size: int | None) -> Any:
    """A network of the mtcnn package, which are subclassed models, as a Functional one."""
    import importlib

    import keras
    from mtcnn.utils.tensorflow import load_weights

    network = getattr(importlib.import_module(f"mtcnn.network.{name}"), f"{name[0].upper()}Net")()
    network.build((None, size, size, 3))
    network.set_weights(load_weights(f"{name}.lz4"))
    entry = keras.Input((size, size, 3))
    return keras.Model(entry, network.call(entry))


def test_a_cut_shard_does_not_load(tmp_path: Path) -> None:
    """The check of lengths is needed: TensorFlow.js says something else, or nothing."""
    from bittrue.conversion.tfjs import read_artifact
    from bittrue.errors import ArtifactError

    artifact = convert(open_model(keras_models.sequential()).graph, tmp_path / "out")
    shard = tmp_path / "out" / next(name for name in artifact.files if name.endswith(".bin"))
    shard.write_bytes(shard.read_bytes()[:-4])
    with pytest.raises(ArtifactError, match="cut short"):
        read_artifact(tmp_path / "out")
