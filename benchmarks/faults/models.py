"""Models to plant faults in, each of a seed: sizes, options and weights are drawn from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAMILIES", "build", "inputs_for"]

Draw = np.random.Generator


def _dense(draw: Draw) -> Any:
    import keras
    from keras import layers

    units = int(draw.integers(12, 40))
    entry = tensor = keras.Input((units,), name="x")
    kinds = ["relu", "tanh", "sigmoid", "linear", "elu", "softplus", "selu"]
    for at in range(int(draw.integers(5, 9))):
        tensor = layers.Dense(units, activation=str(draw.choice(kinds)), bias_initializer="normal", name=f"d{at}")(
            tensor
        )
    tensor = layers.Dense(units, bias_initializer="normal", name="before")(tensor)
    tensor = layers.LeakyReLU(negative_slope=0.1, name="leaky")(tensor)
    tensor = layers.Dropout(0.3, name="drop")(tensor)
    return keras.Model(entry, layers.Dense(7, activation="softmax", bias_initializer="normal", name="out")(tensor))


def _cnn(draw: Draw) -> Any:
    import keras
    from keras import layers

    side, channels = 2 * int(draw.integers(7, 12)), int(draw.integers(4, 10))
    entry = keras.Input((side, side, 3), name="x")
    x = layers.Conv2D(channels, 3, padding="same", activation="relu", bias_initializer="normal", name="c0")(entry)
    x = layers.Conv2D(channels, 3, padding="same", dilation_rate=2, bias_initializer="normal", name="c1")(x)
    x = _normalised(x, "bn", draw)
    x = layers.ReLU(max_value=6.0, name="relu6")(x)
    x = layers.Conv2D(channels, 3, strides=2, padding="same", bias_initializer="normal", name="c2")(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", bias_initializer="normal", name="dw")(x)
    x = layers.UpSampling2D(2, name="up")(x)
    x = layers.AveragePooling2D(3, strides=2, padding="same", name="pool")(x)
    x = layers.Dropout(0.4, name="drop")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(entry, layers.Dense(5, activation="softmax", bias_initializer="normal", name="out")(x))


def _residual(draw: Draw) -> Any:
    import keras
    from keras import layers

    side, channels = int(draw.integers(9, 15)), int(draw.integers(4, 9))
    entry = keras.Input((side, side, channels), name="x")
    x = entry
    for at in range(int(draw.integers(2, 4))):
        y = layers.Conv2D(channels, 3, padding="same", bias_initializer="normal", name=f"r{at}a")(x)
        y = layers.ReLU(name=f"r{at}relu")(_normalised(y, f"r{at}bn", draw))
        x = layers.Add(name=f"r{at}add")([x, layers.Conv2D(channels, 3, padding="same", name=f"r{at}b")(y)])
    x = layers.Concatenate(name="cat")([x, layers.LayerNormalization(beta_initializer="normal", name="ln")(x)])
    x = layers.MaxPooling2D(2, name="max")(x)
    return keras.Model(entry, layers.Dense(5, bias_initializer="normal", name="out")(layers.Flatten(name="flat")(x)))


def _recurrent(draw: Draw) -> Any:
    import keras
    from keras import layers

    steps, width, units = (int(draw.integers(low, high)) for low, high in ((5, 10), (4, 8), (5, 12)))
    entry = keras.Input((steps, width), name="x")
    x = layers.LSTM(units, return_sequences=True, bias_initializer="normal", name="lstm")(entry)
    x = layers.Bidirectional(
        layers.GRU(units, return_sequences=True, reset_after=False, bias_initializer="normal"), name="both"
    )(x)
    x = layers.LSTM(units, return_sequences=True, go_backwards=True, bias_initializer="normal", name="back")(x)
    x = layers.SimpleRNN(units, return_sequences=True, bias_initializer="normal", name="simple")(x)
    x = layers.Dense(units, activation="tanh", bias_initializer="normal", name="mid")(x)
    return keras.Model(
        entry, layers.Dense(3, bias_initializer="normal", name="out")(layers.LSTM(units, name="last")(x))
    )


def _attention(draw: Draw) -> Any:
    import keras
    from keras import layers

    steps, width = int(draw.integers(5, 10)), 4 * int(draw.integers(2, 5))
    entry = keras.Input((steps, width), name="x")
    x = entry
    for at in range(2):
        q, k, v = (layers.Dense(width, bias_initializer="normal", name=f"{name}{at}")(x) for name in "qkv")
        scores = layers.Dot(axes=2, name=f"scores{at}")([q, k])
        weights = layers.Softmax(name=f"weights{at}")(scores)
        mixed = layers.Dot(axes=(2, 1), name=f"mixed{at}")([weights, v])
        x = layers.LayerNormalization(epsilon=1e-5, beta_initializer="normal", name=f"ln{at}")(
            layers.Add(name=f"add{at}")([x, mixed])
        )
        y = layers.Dense(2 * width, activation="elu", bias_initializer="normal", name=f"up{at}")(x)
        x = layers.Add(name=f"join{at}")([x, layers.Dense(width, bias_initializer="normal", name=f"down{at}")(y)])
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(entry, layers.Dense(4, activation="softmax", bias_initializer="normal", name="out")(x))


def _text(draw: Draw) -> Any:
    import keras
    from keras import layers

    steps, units = int(draw.integers(6, 11)), int(draw.integers(5, 11))
    entry = keras.Input((steps,), dtype="int32", name="x")
    x = layers.Embedding(30, units, name="embed")(entry)
    x = layers.Conv1D(units, 3, padding="same", activation="relu", bias_initializer="normal", name="conv")(x)
    x = layers.LayerNormalization(beta_initializer="normal", name="ln")(x)
    x = layers.GRU(units, reset_after=False, return_sequences=True, bias_initializer="normal", name="gru")(x)
    x = layers.Dense(units, activation="sigmoid", bias_initializer="normal", name="mid")(x)
    return keras.Model(
        entry, layers.Dense(3, bias_initializer="normal", name="out")(layers.GlobalMaxPooling1D(name="top")(x))
    )


def _normalised(x: Any, name: str, draw: Draw) -> Any:
    from keras import initializers, layers

    seed = int(draw.integers(2**31))
    return layers.BatchNormalization(
        name=name,
        gamma_initializer=initializers.RandomUniform(0.5, 1.5, seed=seed),
        beta_initializer=initializers.RandomNormal(0, 0.3, seed=seed + 1),
        moving_mean_initializer=initializers.RandomNormal(0, 0.3, seed=seed + 2),
        moving_variance_initializer=initializers.RandomUniform(0.3, 1.2, seed=seed + 3),
    )(x)


def _mtcnn(stage: str, side: int) -> Callable[[Draw], Any]:
    def made(draw: Draw) -> Any:
        from examples.mtcnn_faces import functional
        from mtcnn import stages

        network = getattr(stages, f"Stage{stage}")().model
        return functional(network, (side, side, 3), stage.lower())

    return made


FAMILIES: dict[str, Callable[[Draw], Any]] = {
    "dense": _dense,
    "cnn": _cnn,
    "residual": _residual,
    "recurrent": _recurrent,
    "attention": _attention,
    "text": _text,
    "pnet": _mtcnn("PNet", 20),
    "rnet": _mtcnn("RNet", 24),
    "onet": _mtcnn("ONet", 48),
}


def build(family: str, seed: int) -> Any:
    """The Keras model of ``family`` for ``seed``."""
    import keras

    keras.utils.set_random_seed(seed)
    return FAMILIES[family](np.random.default_rng([seed, len(family)]))


def inputs_for(model: Any, seed: int) -> dict[str, NDArray[Any]]:
    """Two examples for each input of a Keras model, by its name."""
    draw, found = np.random.default_rng([seed, 1]), {}
    for tensor in model.inputs:
        shape = (2, *tensor.shape[1:])
        name = tensor.name
        if tensor.dtype.startswith("int"):
            found[name] = draw.integers(1, 30, shape).astype(np.int32)
        else:
            found[name] = draw.normal(size=shape).astype(np.float32)
    return found
