"""Run by an interpreter with Keras 2.15: saves models of every shape, what they were fed, and what they answered.

    python write_models.py FOLDER

For each model FOLDER receives ``NAME.h5``, ``NAME.keras`` and ``NAME.npz`` (``input_0``…, ``output_0``…).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorflow as tf

keras = tf.keras
layers = keras.layers


def sequential():
    return keras.Sequential(
        [
            keras.Input((9, 8, 3)),
            layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.LeakyReLU(alpha=0.125),
            layers.SeparableConv2D(5, 2),
            layers.PReLU(shared_axes=[1, 2]),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def shared():
    entry, other = keras.Input((6,), name="entry"), keras.Input((6,), name="other")
    both = layers.Dense(4, activation="tanh", name="both")
    joined = layers.Concatenate()([both(entry), both(other), layers.Subtract()([entry, other])])
    return keras.Model(
        [entry, other], [layers.Dense(2)(joined), layers.Dot(1, normalize=True)([both(entry), both(other)])]
    )


def nested():
    inside_entry = keras.Input((5,))
    inside = keras.Model(inside_entry, layers.Dense(5, activation="elu")(inside_entry), name="inside")
    tail = keras.Sequential([keras.Input((5,)), layers.Dense(4), layers.LayerNormalization()], name="tail")
    entry = keras.Input((5,), name="entry")
    once, twice = inside(entry), inside(inside(entry))
    return keras.Model(entry, [tail(layers.Add()([once, twice])), once])


def recurrent():
    entry = keras.Input((7, 4), name="entry")
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(entry)
    x = layers.GRU(4, return_sequences=True)(x)
    x = layers.GRU(4, reset_after=False, recurrent_activation="sigmoid", return_sequences=True)(x)
    x = layers.Bidirectional(layers.GRU(2, return_sequences=True), merge_mode="sum")(x)
    x = layers.SimpleRNN(3, return_sequences=True, go_backwards=True)(x)
    return keras.Model(entry, layers.TimeDistributed(layers.Dense(2))(x))


def stacked():
    entry = keras.Input((6, 3), name="entry")
    cells = [layers.LSTMCell(4), layers.GRUCell(3, reset_after=True)]
    return keras.Model(entry, layers.RNN(cells)(entry))


def masked():
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    x = layers.Embedding(9, 4, mask_zero=True)(tokens)
    return keras.Model(tokens, layers.LSTM(3)(x))


def attention():
    entry = keras.Input((5, 8), name="entry")
    x = layers.MultiHeadAttention(2, 3)(entry, entry)
    x = layers.LayerNormalization(epsilon=1e-5)(layers.Add()([x, entry]))
    return keras.Model(entry, layers.Conv1D(4, 3, padding="causal", activation="gelu")(x))


def upsampled():
    entry = keras.Input((4, 5, 3), name="entry")
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(entry)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.ZeroPadding2D(((1, 0), (0, 2)))(layers.Cropping2D(1)(x))
    return keras.Model(entry, layers.AveragePooling2D(2)(layers.ReLU(6.0, negative_slope=0.1)(x)))


MODELS: list[Callable] = [sequential, shared, nested, recurrent, stacked, masked, attention, upsampled]


def fed(model, rng):
    for tensor in model.inputs:
        shape = (2, *tensor.shape[1:])
        whole = tensor.dtype == tf.int32
        yield rng.integers(0, 9, shape).astype(np.int32) if whole else rng.normal(size=shape).astype(np.float32)


def write(build: Callable, folder: Path, seed: int) -> None:
    keras.utils.set_random_seed(seed)
    model, rng = build(), np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.2, 0.9, weight.shape) for weight in model.get_weights()])
    inputs = list(fed(model, rng))
    made = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = made if isinstance(made, (list, tuple)) else [made]
    arrays = {f"input_{at}": value for at, value in enumerate(inputs)}
    np.savez(folder / f"{build.__name__}.npz", **arrays, **{f"output_{at}": y.numpy() for at, y in enumerate(outputs)})
    model.save(folder / f"{build.__name__}.h5")
    model.save(folder / f"{build.__name__}.keras")


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for seed, build in enumerate(MODELS):
        write(build, folder, seed)
    (folder / "version.txt").write_text(f"Keras {version('keras')}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
