"""SavedModels as TensorFlow and Keras really write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bittrue.model.framework import import_keras, import_tensorflow
from bittrue.traces import Array

X = np.random.default_rng(3).normal(size=(2, 3)).astype(np.float32)
IMAGE = np.random.default_rng(4).normal(size=(2, 8, 8, 3)).astype(np.float32)


def keras_model() -> Any:
    """Convolution, normalisation, a model inside a model, and a dense layer."""
    keras = import_keras()
    keras.utils.set_random_seed(5)
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    x = layers.ReLU(name="act")(layers.BatchNormalization(name="bn")(x))
    inner = keras.Sequential([keras.Input((8, 8, 4)), layers.GlobalAveragePooling2D(name="gap")], name="inner")
    return keras.Model(image, layers.Dense(5, activation="softmax", name="out")(inner(x)), name="small")


def exported(folder: Path) -> tuple[Path, Any]:
    """`keras_model` as Keras 3 exports it."""
    model = keras_model()
    model.export(str(folder / "exported"), verbose=False)
    return folder / "exported", model


def with_signatures(folder: Path, *names: str) -> Path:
    """A plain module with signatures of these names: the n-th is relu(x @ w) + n."""
    tf = import_tensorflow()
    module = tf.Module()
    module.w = tf.Variable(weights())

    def signature(number: int) -> Any:
        function = tf.function(lambda x: {"y": tf.nn.relu(x @ module.w) + float(number)})
        return function.get_concrete_function(tf.TensorSpec([None, 3], tf.float32, name="x"))

    tf.saved_model.save(module, str(folder / "module"), {name: signature(at) for at, name in enumerate(names)})
    return folder / "module"


def weights() -> Array:
    return np.random.default_rng(6).normal(size=(3, 2)).astype(np.float32)


def of_function(folder: Path, function: Any, *shape: int | None) -> Path:
    """A module whose one signature is ``function`` of a tensor ``x`` of float32."""
    tf = import_tensorflow()
    made = tf.function(lambda x: {"y": function(tf, x)}).get_concrete_function(
        tf.TensorSpec(list(shape), tf.float32, name="x")
    )
    tf.saved_model.save(tf.Module(), str(folder / "function"), {"serving_default": made})
    return folder / "function"
