"""Keras, imported the first time it is needed, without the noise that its backend makes."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from bittrue.errors import ModelError

__all__ = ["deep_recursion", "import_keras", "import_tensorflow", "quiet"]

_DEPTH = 50_000
"""Python calls that may be nested: Keras walks a graph with about ten of them for each layer of its depth."""


def import_keras() -> Any:
    """The ``keras`` module, on the backend that KERAS_BACKEND or Keras's own configuration names.

    TensorFlow's log level is raised to errors unless TF_CPP_MIN_LOG_LEVEL is set. Raises ModelError where
    Keras or its backend cannot be imported.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _without_native_log():
            import keras
    except ImportError as error:
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
        raise ModelError(f"Keras with its backend {backend} cannot be imported: {error}") from error
    return keras


def import_tensorflow() -> Any:
    """The ``tensorflow`` module, for SavedModels and what else is a graph of TensorFlow's; as quiet as `import_keras`.

    Raises ModelError where it cannot be imported.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _without_native_log():
            import tensorflow
    except ImportError as error:
        raise ModelError(f"TensorFlow, which reads this model, cannot be imported: {error}") from error
    return tensorflow


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Room for models of thousands of layers in a row, which Keras cannot open within Python's usual limit."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEPTH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Keras's warnings and TensorFlow's log held back; errors still pass."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


@contextmanager
def _without_native_log() -> Iterator[None]:
    """TensorFlow's native libraries write to file descriptor 2 before they read any log level."""
    try:
        saved = os.dup(2)
    except OSError:  # no standard error at all, as under pythonw
        yield
        return
    with tempfile.TemporaryFile() as sink:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
