"""Small models of several architectures, their weights drawn as in golden_models, whose hashes are a golden file.

``python tests/exact/golden_architectures.py`` writes golden_architectures.json anew, which changes only with the
semantics, never with the code that keeps to them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from golden_models import Built, Numbers, hashes

GOLDEN = Path(__file__).with_name("golden_architectures.json")


def experiment(k: Any) -> Any:
    """A chain of dense layers."""
    x = entry = k.Input((50,))
    for _ in range(4):
        x = k.layers.Dense(50)(x)
    return k.Model(entry, x)


def mobile(k: Any) -> Any:
    """Inverted residuals with depthwise convolutions and squeeze-and-excitation."""
    x = entry = k.Input((14, 14, 3))
    x = k.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = k.layers.Activation("hard_swish")(k.layers.BatchNormalization()(x))
    y = k.layers.Conv2D(24, 1, use_bias=False)(x)
    y = k.layers.ReLU(6.0)(k.layers.BatchNormalization()(y))
    y = k.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
    y = k.layers.ReLU(6.0)(k.layers.BatchNormalization()(y))
    gate = k.layers.GlobalAveragePooling2D(keepdims=True)(y)
    y = y * k.layers.Conv2D(24, 1, activation="sigmoid")(k.layers.Conv2D(6, 1, activation="relu")(gate))
    x = k.layers.Add()([x, k.layers.Conv2D(8, 1)(y)])
    return k.Model(entry, k.layers.Dense(5, activation="softmax")(k.layers.GlobalAveragePooling2D()(x)))


def unet(k: Any) -> Any:
    """Down, up again by a transposed convolution and by resizing, and across."""
    entry = k.Input((None, None, 2))
    left = k.layers.Conv2D(4, 3, padding="same", activation="gelu")(entry)
    low = k.layers.Conv2D(6, 3, padding="same", dilation_rate=2, activation="elu")(k.layers.MaxPooling2D()(left))
    one = k.layers.Conv2DTranspose(4, 2, strides=2, activation="softplus")(low)
    two = k.layers.UpSampling2D(interpolation="bilinear")(low)
    x = k.layers.Concatenate()([left, one, two])
    return k.Model(entry, k.layers.SeparableConv2D(3, 3, padding="same", activation="tanh")(x))


def encoder(k: Any) -> Any:
    """Two blocks of a transformer over tokens."""
    entry = k.Input((12,), dtype="int32")
    x = k.layers.Embedding(50, 16)(entry)
    for _ in range(2):
        x = k.layers.LayerNormalization()(x + k.layers.MultiHeadAttention(4, 4)(x, x))
        x = k.layers.LayerNormalization()(x + k.layers.Dense(16)(k.layers.Dense(32, activation="gelu")(x)))
    return k.Model(entry, k.layers.Dense(3, activation="softmax")(k.layers.GlobalAveragePooling1D()(x)))


def recurrent(k: Any) -> Any:
    """Recurrent layers of each kind, both ways; two outputs."""
    entry = k.Input((None, 4))
    x = k.layers.Bidirectional(k.layers.LSTM(5, return_sequences=True))(entry)
    x = k.layers.GRU(6, return_sequences=True)(x)
    return k.Model(entry, [k.layers.SimpleRNN(3)(x), k.layers.Dense(2, activation="silu")(x)])


ARCHITECTURES: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "experiment": (experiment, (5, 50)),
    "mobile": (mobile, (5, 14, 14, 3)),
    "unet": (unet, (5, 10, 8, 2)),
    "encoder": (encoder, (5, 12)),
    "recurrent": (recurrent, (5, 7, 4)),
}


def built(name: str) -> Built:
    """The plan of an architecture, its constants, and inputs."""
    import keras

    from bittrue.exact.export import lowered
    from bittrue.model.reading import graph_of

    keras.backend.clear_session()
    build, shape = ARCHITECTURES[name]
    model = build(keras)
    draw = Numbers(7)
    for weight in model.weights:
        values = 0.5 * draw(*weight.shape)
        weight.assign(np.abs(values) + 0.5 if weight.path.endswith(("variance", "gamma")) else values)
    plan, constants = lowered(graph_of(model))
    whole = plan.inputs[0].dtype == "int32"
    x = draw(*shape)
    return plan, constants, {plan.inputs[0].name: (np.abs(x) * 50).astype(np.int32) if whole else x}


def all_built() -> dict[str, Built]:
    """Every architecture by its name."""
    return {name: built(name) for name in ARCHITECTURES}


if __name__ == "__main__":
    from bittrue.exact.oracle import canonical, evaluate

    found = {}
    for name, (plan, constants, inputs) in all_built().items():
        values = evaluate(plan, constants, inputs)
        found[name] = hashes([canonical(values[item.value]) for item in plan.outputs])
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
