"""What clean runs look like to the diagnosis: `MARGIN` in `bittrue.diagnosis.judging` is set by this, not guessed.

``python benchmarks/clean_controls.py [SEEDS] [TARGET …]`` runs models of every family on ones and on random inputs in
Keras and on the targets, and prints, for each family, the largest observed over expected mean square of any layer on
either side, the largest share of what is allowed (limit), the largest share of the rigorous bound, and the verdicts.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

Build = Callable[[], Any]


def dense_chain() -> Any:
    import keras

    tensor = entry = keras.Input((64,))
    for activation in (None, "relu", "tanh", "sigmoid", "gelu", "selu", "softplus", "elu", "silu", "softmax"):
        tensor = keras.layers.Dense(64, activation=activation, bias_initializer="normal")(tensor)
    return keras.Model(entry, tensor)


def convolutions() -> Any:
    import keras
    from keras import layers

    entry = keras.Input((24, 20, 3))
    x = layers.Conv2D(16, 3, strides=2, activation="relu")(entry)
    x = layers.SeparableConv2D(24, 3, padding="same")(x)
    x = layers.BatchNormalization(moving_mean_initializer="normal", gamma_initializer="normal")(x)
    x = layers.DepthwiseConv2D(3, dilation_rate=2, padding="same", activation="relu6")(x)
    x = layers.AveragePooling2D(2)(layers.UpSampling2D(2, interpolation="bilinear")(x))
    x = layers.Conv2DTranspose(8, 3, strides=2)(x)
    x = layers.MaxPooling2D(2)(x)
    return keras.Model(entry, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def residual() -> Any:
    import keras
    from keras import layers

    entry = keras.Input((16, 16, 8))
    x = entry
    for _ in range(3):
        y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x)))
        x = layers.Add()([x, layers.Conv2D(8, 1)(y)])
    x = layers.Concatenate()([x, layers.LayerNormalization()(x)])
    return keras.Model(entry, layers.Dense(5)(layers.Flatten()(x)))


def recurrent() -> Any:
    import keras
    from keras import layers

    entry = keras.Input((12, 6))
    x = layers.LSTM(16, return_sequences=True)(entry)
    x = layers.Bidirectional(layers.GRU(8, return_sequences=True, reset_after=False))(x)
    return keras.Model(entry, layers.Dense(3)(layers.SimpleRNN(8)(x)))


def attention() -> Any:
    import keras
    from keras import layers

    entry = keras.Input((10, 32))
    x = layers.LayerNormalization()(layers.Add()([entry, layers.MultiHeadAttention(4, 8)(entry, entry)]))
    x = layers.Add()([x, layers.Dense(32)(layers.Dense(64, activation="gelu")(x))])
    return keras.Model(entry, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


def constants() -> Any:
    """Equal weights and equal inputs: roundings that all go the same way."""
    import keras
    from keras import layers

    third = keras.initializers.Constant(1 / 3)
    entry = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, kernel_initializer=third)(entry)
    x = layers.AveragePooling2D(3)(x)
    x = layers.Dense(32, kernel_initializer=third)(layers.Flatten()(x))
    return keras.Model(entry, layers.Dense(3, kernel_initializer=third)(x))


FAMILIES: dict[str, Build] = {
    build.__name__: build for build in (dense_chain, convolutions, residual, recurrent, attention, constants)
}


def diagnosed(model: Any, inputs: str, targets: tuple[str, ...]) -> Iterator[Any]:
    """The diagnoses of one clean run."""
    from bittrue.pipeline import check

    data = check(model, inputs, targets, batch=2)
    for outcome in data.targets:
        if outcome.diagnosis is None:
            raise RuntimeError(f"{outcome.target}: {outcome.sentence or 'not diagnosed'}")
        yield outcome.diagnosis


def main(seeds: int, targets: tuple[str, ...]) -> int:
    import keras

    print("| models | values | observed / expected | of the limit | of the bound | verdicts |")
    print("|---|---|---|---|---|---|")
    wrong = 0
    for name, build in FAMILIES.items():
        values, ratio, limit, bound, verdicts = 0, 0.0, 0.0, 0.0, Counter[str]()
        for seed in range(seeds):
            keras.utils.set_random_seed(seed)
            model = build()
            for inputs in ("ones", f"random:{seed}"):
                for found in diagnosed(model, inputs, targets):
                    for entry in found.entries:
                        verdicts[str(entry.verdict)] += 1
                        if entry.verdict.is_fault:
                            wrong += 1
                            print(name, seed, inputs, found.target, entry.name, entry.sentence, file=sys.stderr)
                        for error in (side for out in entry.outputs for side in (out.own, out.reference)):
                            values += error.size
                            ratio = max(ratio, error.expectation or 0.0)
                            limit = max(limit, (error.expectation or 0.0) / error.limit)
                            bound = max(bound, error.bound_share)
        said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        print(f"| {name} | {values:,} | {ratio:.2f} | {limit:.2f} | {bound:.2f} | {said} |", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    words = sys.argv[1:]
    count = int(words[0]) if words and words[0].isdigit() else 2
    named = tuple(word for word in words if not word.isdigit()) or ("node:cpu", "node:wasm")
    raise SystemExit(main(count, named))
