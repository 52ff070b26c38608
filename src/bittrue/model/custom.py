"""Classes and functions that a model names and whose source the user has: ``--custom module:Class``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bittrue.errors import UsageError

from .framework import import_keras
from .json_config import first_line

__all__ = ["custom_objects", "known_custom", "spelled"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_KNOWN: ContextVar[Mapping[str, Any]] = ContextVar("bittrue_custom", default=_NOTHING)


@contextmanager
def custom_objects(given: Sequence[Any]) -> Iterator[None]:
    """Within it, models may name ``given``: classes, functions, or where they are, as ``module:Class``.

    Modules are imported, from the current folder too. Raises UsageError for what cannot be imported, is neither class
    nor function, or bears the name of a layer of Keras's own without being registered under another.
    """
    if given:
        import_keras()  # before the user's modules do, and in silence
    found = {name: item for one in given for name, item in _named(_imported(one) if isinstance(one, str) else one)}
    if not found:
        yield
        return
    token = _KNOWN.set({**_KNOWN.get(), **found})
    try:
        with import_keras().saving.custom_object_scope(found):
            yield
    finally:
        _KNOWN.reset(token)


def known_custom() -> Mapping[str, Any]:
    """What models may name at this place, by the names that configurations use."""
    return _KNOWN.get()


def spelled(item: Any) -> str:
    """``item`` as ``module:Class``, for another process."""
    return item if isinstance(item, str) else f"{item.__module__}:{item.__qualname__}"


def _imported(spec: str) -> Any:
    module, _, name = spec.partition(":")
    if not module or not name:
        raise UsageError(f"{spec!r} names no class: write it as module:Class, as in my_layers:Gate")
    try:
        with _current_folder():
            found: Any = importlib.import_module(module)
    except Exception as error:  # whatever the user's module does when it is imported
        raise UsageError(f"{spec}: the module {module} cannot be imported ({first_line(error)})") from error
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise UsageError(f"{spec}: the module {module} has no {name}")
    return found


def _named(item: Any) -> Iterator[tuple[str, Any]]:
    """``item`` by its own name, and by the one that it is registered under."""
    if not callable(item) or not hasattr(item, "__name__"):
        raise UsageError(f"{item!r:.80} is neither a class nor a function")
    keras = import_keras()
    registered = str(keras.saving.get_registered_name(item))
    if ">" in registered:
        yield registered, item
    if not hasattr(keras.layers, item.__name__):
        yield item.__name__, item
    elif ">" not in registered:
        owner = f"Keras's own {item.__name__}"
        raise UsageError(f"{spelled(item)} bears the name of {owner}; register it with a package, or rename it")


@contextmanager
def _current_folder() -> Iterator[None]:
    """The current folder among those that modules are found in, as when a script runs there."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
