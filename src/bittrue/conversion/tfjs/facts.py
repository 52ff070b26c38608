"""What is known of both sides' layers: what TensorFlow.js's classes read, and what Keras's options default to.

Neither is typed by hand: scripts/tfjs_keys.mjs asks the classes of the bundled TensorFlow.js, and
scripts/keras_defaults.py the signatures of Keras. Both are data here, so that neither has to be at hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["Facts", "LayerFacts", "facts", "is_default", "keras_defaults", "tfjs_spelling"]

_KEYS = "keys-4.22.0.json"
_DEFAULTS = "keras-defaults.json"
_STANDARD = {"data_format": "channels_last"}  # what None stands for, unless Keras itself has been configured


@dataclass(frozen=True)
class LayerFacts:
    """One class of TensorFlow.js's layers, keys spelled as in ``model.json``.

    ``reads``: the keys that its constructors ask for. ``needs``: those without which it cannot be built.
    ``takes``: for some keys, which of the samples its constructor takes.
    """

    reads: frozenset[str]
    needs: tuple[str, ...]
    takes: Mapping[str, tuple[Any, ...]]

    def rejects(self, key: str, value: Any, samples: tuple[Any, ...]) -> bool:
        """Whether the constructor is known to fail with this value."""
        taken = self.takes.get(key)
        if taken is None or _among(value, taken):
            return False
        if _among(value, samples):
            return True
        numbers = [one for one in taken if _is_number(one)]
        return _is_number(value) and len(numbers) == 1  # it took one number and no other


@dataclass(frozen=True)
class Facts:
    """One release of TensorFlow.js: its layers, and the names of what they are configured with."""

    tfjs: str
    samples: tuple[Any, ...]
    layers: Mapping[str, LayerFacts]
    activations: frozenset[str]
    initializers: frozenset[str]
    regularizers: frozenset[str]
    constraints: frozenset[str]


@cache
def facts() -> Facts:
    """What the bundled release says of itself."""
    found = _read(_KEYS)
    layers = {
        name: LayerFacts(
            frozenset(entry["reads"]),
            tuple(entry["needs"]),
            {key: tuple(values) for key, values in entry["takes"].items()},
        )
        for name, entry in found["layers"].items()
    }
    kinds = ("activations", "initializers", "regularizers", "constraints")
    return Facts(found["tfjs"], tuple(found["samples"]), layers, *(frozenset(found[kind]) for kind in kinds))


@cache
def keras_defaults() -> Mapping[str, Mapping[str, Any]]:
    """For each class of Keras's layers, the options that have a default."""
    layers: dict[str, dict[str, Any]] = _read(_DEFAULTS)["layers"]
    return layers


def is_default(class_name: str, key: str, value: Any) -> bool:
    """Whether ``value`` is what Keras takes where the option is not given; nothing counts as off."""
    defaults = keras_defaults().get(class_name, {})
    if key not in defaults:
        return value is None
    default = _STANDARD.get(key) if defaults[key] is None else defaults[key]
    return _plain(value) == _plain(default) or (defaults[key] is None and (value is None or value is False))


def tfjs_spelling(name: str) -> str:
    """A name as TensorFlow.js reads it from ``model.json``, where it turns snake case into camel case."""
    return re.sub(r"_+(\w|$)", lambda found: found[1].upper(), name)


def _read(name: str) -> Any:
    return json.loads((files(__package__) / name).read_text(encoding="utf-8"))


def _among(value: Any, values: tuple[Any, ...]) -> bool:
    return any(type(one) is type(value) and one == value for one in values) or (
        isinstance(value, float) and value.is_integer() and _among(int(value), values)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    """A list of equal numbers is the number, as in Keras's own arguments; True is no number."""
    if isinstance(value, list | tuple):
        items = [_plain(item) for item in value]
        same = bool(items) and all(item == items[0] for item in items) and _is_number(items[0])
        return items[0] if same else items
    return ("flag", value) if isinstance(value, bool) else value
