"""Names that Keras 2 let layers have and Keras 3 does not: with a slash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["without_slashes"]


def without_slashes(config: Any) -> Any:
    """A model's configuration with "_" for every "/" in the names of layers and models, and wherever they are named."""
    names = list(_names(config))
    taken, renamed = set(names), {}
    for name in dict.fromkeys(names):
        if "/" in name:
            free = name.replace("/", "_")
            while free in taken:
                free += "_"
            renamed[name] = free
            taken.add(free)
    return _replaced(config, renamed) if renamed else config


def _names(value: Any) -> Iterator[str]:
    """What layers and models are called."""
    if isinstance(value, Mapping):
        inside = value.get("config")
        if "class_name" in value and isinstance(inside, Mapping) and isinstance(inside.get("name"), str):
            yield inside["name"]
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _names(item)


def _replaced(value: Any, renamed: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _replaced(item, renamed) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, renamed) for item in value]
    return renamed.get(value, value) if isinstance(value, str) else value
