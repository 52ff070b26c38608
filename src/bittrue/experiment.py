"""The experiment that started the project: a chain of Dense layers with uniform random weights."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bittrue.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Experiment", "alone_in", "build_and_save", "writing_to"]

_PUBLISHED = (10, 50)
_LARGEST = 50_000_000
_HDF5_LAYER = 16 * 2**10  # bytes that HDF5 takes for a layer besides its weights, and more than that


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


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Raises UsageError where the block cannot write to a demo's folder."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"the demo cannot write to {folder}: {error.strerror or error}; give another folder with --out"
        ) from error


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make ``folder``, and while the block lasts let no other demo into it: two would mix their models.

    The system holds the lock and lets go of it when this process ends, however that happens; nothing is left in the
    folder. Raises UsageError where another demo is there already, or the folder cannot be made.
    """
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        held = _lock(folder)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EEXIST):
            yield  # a file system without locks
            return
        raise UsageError(
            f"another demo is writing to {folder}: wait until it has ended, or give another folder with --out"
        ) from error
    try:
        yield
    finally:
        os.close(held)


if sys.platform == "win32":

    def _lock(folder: Path) -> int:
        """A file that there can be only one of, and that goes when it is closed."""
        return os.open(folder / ".bittrue-demo", os.O_CREAT | os.O_EXCL | os.O_TEMPORARY)

else:

    def _lock(folder: Path) -> int:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise
        return handle


def build_and_save(experiment: Experiment, out: Path, say: Callable[[str], None]) -> Any:
    """The model, saved in ``out`` in both of Keras's formats; ``say`` is told of each. Raises UsageError."""
    from bittrue.model.framework import import_keras

    import_keras()
    live = experiment.build()
    experiment.summary(live, say)
    with writing_to(out):
        _check_room(live, out)
        for name in ("keras_model.h5", "keras_model.keras"):
            _save_whole(live, out / name)
            say(f"Saved {out / name}")
    return live


def _check_room(model: Any, folder: Path) -> None:
    """Raise OSError where the model would fill the disk, on which HDF5 brings the whole process down."""
    needed = 4 * model.count_params() + _HDF5_LAYER * (len(model.layers) + 4)
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _save_whole(model: Any, path: Path) -> None:
    """Save a Keras model under a name that no half-written file ever has."""
    from bittrue.model.framework import quiet

    partial = path.with_name(f".{secrets.token_hex(4)}-{path.name}")  # Keras tells formats by their ending
    try:
        with quiet():  # Keras advises against HDF5, which the document uses
            model.save(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
