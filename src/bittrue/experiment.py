"""The experiment that started the project: a chain of Dense layers with uniform random weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bittrue.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Experiment"]

_PUBLISHED = (10, 50)
_LARGEST = 50_000_000


@dataclass(frozen=True)
class Experiment:
    """``depth`` Dense layers of ``size`` units, kernels and biases uniform in [-1, 1) with seed 123.

    Raises UsageError for a depth or size below 1, or for a model of more than 50 million parameters.
    """

    depth: int = 10
    size: int = 50

    def __post_init__(self) -> None:
        if self.depth < 1 or self.size < 1:
            raise UsageError(f"the experiment needs a depth and a size of at least 1, not {self.depth} and {self.size}")
        if self.parameters > _LARGEST:
            raise UsageError(
                f"depth {self.depth} and size {self.size} make {self.parameters:,} parameters; stay below {_LARGEST:,}"
            )

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return self.depth * self.size * (self.size + 1)

    @property
    def is_published(self) -> bool:
        """Whether the published table speaks of this depth and size."""
        return (self.depth, self.size) == _PUBLISHED

    def build(self) -> Any:
        """The Keras model, every layer's output among its outputs, as the document builds it."""
        import keras

        keras.backend.clear_session()
        uniform = keras.initializers.RandomUniform(minval=-1, maxval=1, seed=123)
        tensor = entry = keras.layers.Input((self.size,), name="input")
        outputs = []
        for index in range(self.depth):
            dense = keras.layers.Dense(
                self.size,
                dtype="float32",
                kernel_initializer=uniform,
                bias_initializer=uniform,
                name=f"dense_{index}",
            )
            tensor = dense(tensor)
            outputs.append(tensor)
        return keras.Model(inputs=[entry], outputs=outputs, name="model")

    @staticmethod
    def summary(model: Any, write: Callable[[str], None]) -> None:
        """Keras's own summary, line by line."""
        model.summary(line_length=65, print_fn=lambda line, **_: write(line))
