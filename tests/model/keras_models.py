"""Small Keras models for the tests of opening and converting. Keras is imported by whoever builds one."""

from __future__ import annotations

from typing import Any

__all__ = ["dictionaries", "nested", "sequential", "shared", "with_operations"]


def shared() -> Any:
    """Two inputs, one Dense called on both and on its own result, two outputs."""
    import keras
    from keras import layers

    one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
    dense = layers.Dense(4, activation="tanh", name="dense")
    first, second = dense(one), dense(two)
    total = layers.Add(name="total")([first, second, dense(first)])
    return keras.Model([one, two], [total, second], name="shared")


def nested() -> Any:
    """A Sequential called twice inside a Functional called twice, the inner one of which has two outputs."""
    import keras
    from keras import layers

    chain = keras.Sequential([keras.Input((6,)), layers.Dense(6, name="deep"), layers.BatchNormalization(name="norm")])
    chain.name = "chain"
    inside = keras.Input((6,), name="inside")
    pair = keras.Model(inside, [chain(chain(inside)), layers.Dense(6, name="side")(inside)], name="pair")
    entry = keras.Input((6,), name="entry")
    left, right = pair(entry)
    again, _ = pair(left)
    return keras.Model(entry, [layers.Concatenate(name="join")([again, right]), left], name="nested")


def sequential() -> Any:
    """Dense, Dropout, Dense."""
    import keras
    from keras import layers

    steps = [keras.Input((4,), name="start"), layers.Dense(3, name="a"), layers.Dropout(0.5, name="b")]
    return keras.Sequential([*steps, layers.Dense(2, name="c")], name="steps")


def dictionaries() -> Any:
    """Inputs and outputs in dictionaries, whose keys Keras sorts."""
    import keras
    from keras import layers

    one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
    outputs = {"z": layers.Dense(2, name="last")(one), "y": layers.Add(name="sum")([one, two])}
    return keras.Model({"two": two, "one": one}, outputs, name="dictionaries")


def with_operations() -> Any:
    """Operations of keras.ops beside layers, one of them with a constant."""
    import keras
    from keras import layers

    entry = keras.Input((4,), name="entry")
    tensor = layers.Dense(3, name="dense")(entry)
    return keras.Model(entry, keras.ops.add(keras.ops.multiply(tensor, 2.5), tensor), name="operations")
