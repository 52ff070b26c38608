"""What Keras's layer classes are called, take and write, where Keras itself is not at hand.

Nothing is typed by hand: scripts/keras_classes.py asks the classes of the Keras that Bittrue is tested with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["ClassFacts", "NeedsKeras", "is_described_version", "keras_class", "published_name"]

_FILE = "keras-classes.json"


class NeedsKeras(Exception):
    """What is read here may mean something that only Keras knows; ``str`` says what. Never leaves this package."""


@dataclass(frozen=True)
class ClassFacts:
    """One public class: ``options`` are the names in its constructors, ``keys`` those of its configuration in order.

    ``defaults``: for the keys that need not be given, what they stand for. ``keys`` is None where it is not known.
    ``type`` and ``module`` are the class's own, which it may not be published under. ``call``: the names of what it is
    called with; ``training`` is what it takes for that one where nothing is said.
    """

    type: str
    module: str
    options: frozenset[str]
    keys: tuple[str, ...] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    call: tuple[str, ...] = ()
    training: bool | None = None


def keras_class(name: str) -> ClassFacts | None:
    """The class that is published as ``keras.layers.NAME``, if there is one."""
    return _classes().get(name)


def published_name(type_name: str) -> str:
    """The name under which the class that calls itself ``type_name`` is published; HDF5 files have the latter."""
    if type_name in _classes():
        return type_name
    return next((name for name, facts in _classes().items() if facts.type == type_name), type_name)


def is_described_version(version: str) -> bool:
    """Whether ``version`` of Keras is the one that is described here, but for its last number."""
    return version.split(".")[:2] == str(_described()["keras"]).split(".")[:2]


@cache
def _described() -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads((files(__package__) / _FILE).read_text(encoding="utf-8"))
    return found


@cache
def _classes() -> Mapping[str, ClassFacts]:
    found = _described()["layers"]
    return {name: _facts(name, entry, name_taken=entry.get("type") in found) for name, entry in found.items()}


def _facts(name: str, entry: Mapping[str, Any], *, name_taken: bool) -> ClassFacts:
    keys = tuple(entry["keys"]) if "keys" in entry else None
    module = "keras.layers" if name_taken or "module" not in entry else entry["module"]
    return ClassFacts(
        entry.get("type", name),
        module,
        frozenset(entry["options"]),
        keys,
        entry.get("defaults", {}),
        tuple(entry.get("call", ())),
        entry.get("training"),
    )
