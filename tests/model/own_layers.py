"""Layers and functions of a user's own, as a module beside a script would have them."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

__all__ = ["Foreign", "Gate", "Registered", "doubled"]


class Gate(layers.Layer):  # type: ignore[misc]
    """Weights of its own on either side of a tensor, and a layer inside."""

    def __init__(self, units: int, **config: Any) -> None:
        super().__init__(**config)
        self.units = units
        self.inside = layers.Dense(units, activation="gelu", name="inside")

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.scale = self.add_weight(shape=(), name="scale")
        self.inside.build(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            raise AssertionError("no training here")
        y = self.scale * ops.matmul(x, self.kernel)
        return ops.sigmoid(self.inside(x)) * y - ops.mean(y, axis=-1, keepdims=True)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="Own")
class Registered(Gate):
    """The same, registered under a package."""


class Foreign(layers.Layer):  # type: ignore[misc]
    """Speaks TensorFlow, which does not know Keras's symbolic tensors."""

    def call(self, x: Any) -> Any:
        import tensorflow

        return tensorflow.math.cumsum(x, axis=1)


def doubled(x: Any) -> Any:
    """A function for a Lambda layer."""
    return x * 2.0 + 1.0
