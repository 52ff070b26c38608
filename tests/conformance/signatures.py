"""The options of Keras's layers and activations, read off their signatures: nothing here is typed by hand."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

__all__ = ["NO_FUNCTIONS", "Option", "activation_names", "layer_names", "options_of_activation", "options_of_layer"]

NO_FUNCTIONS = frozenset({"deserialize", "get", "serialize"})
"""What keras.activations holds beside activations."""


@dataclass(frozen=True)
class Option:
    """A parameter of a signature. ``required`` says that it has no default."""

    name: str
    default: Any
    required: bool


def layer_names() -> tuple[dict[str, type], dict[str, str]]:
    """The classes of keras.layers by their own names, and the names that are aliases of these."""
    import keras

    found = {name: item for name, item in vars(keras.layers).items() if inspect.isclass(item)}
    classes: dict[str, type] = {}
    aliases: dict[str, str] = {}
    first: dict[type, str] = {}
    for name in sorted(found, key=lambda name: (name != found[name].__name__, name)):
        if found[name] in first:
            aliases[name] = first[found[name]]
            continue
        first[found[name]] = name
        classes[name] = found[name]
    return dict(sorted(classes.items())), aliases


def activation_names() -> list[str]:
    """The functions of keras.activations."""
    import keras

    found = vars(keras.activations).items()
    return sorted(
        name for name, item in found if callable(item) and not name.startswith("_") and name not in NO_FUNCTIONS
    )


def options_of_layer(layer: type) -> list[Option]:
    """The parameters of the class's constructor; those handed on unnamed are not its own."""
    return _options(vars(layer).get("__init__") or getattr(layer, "__init__"), skip=1)  # noqa: B009


def options_of_call(layer: Any) -> list[Option]:
    """The parameters of the class's ``call`` that have a default: what it is called with beside its tensors."""
    return [option for option in _options(layer.call, skip=1) if not option.required]


def options_of_activation(name: str) -> list[Option]:
    """The parameters of a function of keras.activations, its tensor left out."""
    import keras

    return _options(getattr(keras.activations, name), skip=1)


def _options(function: Any, skip: int) -> list[Option]:
    parameters = list(inspect.signature(function).parameters.values())[skip:]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        Option(
            item.name,
            None if item.default is inspect.Parameter.empty else item.default,
            item.default is inspect.Parameter.empty,
        )
        for item in parameters
        if item.kind in named
    ]
