"""Hand over what layers return while TensorFlow computes it, so that no tensor waits for the end of the prediction.

Beside every tensor to be captured stands one more operation in the model's compiled function: it calls Python with
the tensor. So that the model does not run ahead of whoever takes its tensors, there are gates: whenever the tensors
since the last gate make up a part of the budget, every path through the model goes on with another name of the same
tensor that comes to be only after all those have been taken.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from bittrue.traces import Array

__all__ = ["Stream", "can_stream"]


def can_stream(model: Any) -> bool:
    """Whether the model's function may call Python: TensorFlow's, not compiled by XLA, and run once for a batch."""
    import keras

    if keras.backend.backend() != "tensorflow" or model.jit_compile:
        return False
    return bool(model.distribute_strategy.num_replicas_in_sync == 1)


class Stream:
    """Gives ``take`` each tensor under its key, one at a time, in the order in which the layers are called.

    ``take`` runs in a thread of TensorFlow's, and the array that it is given lives no longer than the call.
    ``error`` is what ``take`` raised first: TensorFlow makes another exception of it. ``room`` is how many bytes of
    tensors may wait to be taken, one tensor more than fits at most.
    """

    def __init__(self, take: Callable[[str, Array], None], room: int) -> None:
        self.error: Exception | None = None
        self._take = take
        self._room = room
        self._lock = threading.Lock()
        self._last: Any = None

    def begin(self) -> None:
        """The model is called (its function is traced, or it runs eagerly) from the beginning."""
        self._last = None
        self._gate: Any = None
        self._epoch = 0  # how many gates there have been
        self._waiting = 0  # bytes of tensors since the last one

    def watch(self, key: str, tensor: Any) -> None:
        """Have ``tensor`` taken as soon as it is computed, after all those before it."""
        import tensorflow as tf

        with tf.control_dependencies(_in_this_graph(self._last)):
            op = tf.numpy_function(functools.partial(self._arrived, key), [tensor], [])
        self._last = None if tf.executing_eagerly() else op

    def gated(self, inputs: Any, outputs: Any, nbytes: int | None) -> Any:
        """What a layer made of ``inputs``, ``nbytes`` in all (None: unknown), as the next layers shall read it."""
        import keras

        self._waiting += self._room if nbytes is None else nbytes
        if self._waiting >= self._room:
            self._gate, self._epoch, self._waiting = self._last, self._epoch + 1, 0
            before = _in_this_graph(self._gate)
        elif all(_epoch(tensor) == self._epoch for tensor in keras.tree.flatten(inputs)):
            before = []  # whatever it was made of has passed the gate
        else:
            before = _in_this_graph(self._gate)
        return keras.tree.map_structure(lambda tensor: _passed(tensor, before, self._epoch), outputs)

    def _arrived(self, key: str, array: Array) -> None:
        with self._lock:
            try:
                self._take(key, array)
            except Exception as error:
                self.error = self.error or error
                raise


def _in_this_graph(operation: Any) -> list[Any]:
    """What can be waited for where operations are being made now."""
    import tensorflow as tf

    if operation is None or operation.graph is not tf.compat.v1.get_default_graph():
        return []
    return [operation]


def _epoch(tensor: Any) -> int:
    return int(getattr(tensor, "_bittrue_epoch", 0))


def _passed(tensor: Any, operations: list[Any], epoch: int) -> Any:
    """``tensor``, or another name of it that waits for ``operations`` and has the mask that Keras hangs on tensors."""
    import tensorflow as tf

    if not isinstance(tensor, tf.Tensor) or tf.executing_eagerly():
        return tensor
    again = tensor
    if operations:
        with tf.control_dependencies(operations):
            again = tf.identity(tensor)
        mask = getattr(tensor, "_keras_mask", None)
        if mask is not None:
            again._keras_mask = mask
    again._bittrue_epoch = epoch
    return again
