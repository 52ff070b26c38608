"""Other values that the options of a layer may take: what the option's kind allows, and Keras's default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bittrue.graph.layers.activations import ACTIVATIONS
from bittrue.graph.model import LayerNode

__all__ = ["alternatives", "numbers", "with_option"]

Path = tuple[str, ...]
"""Keys from a layer's configuration down to an option of a layer inside it."""

_INERT = frozenset({"name", "trainable", "dtype", "batch_shape", "units", "filters", "kernel_size", "autocast", "seed"})
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "padding": ("valid", "same", "causal"),
    "interpolation": ("nearest", "bilinear", "bicubic"),
    "data_format": ("channels_last", "channels_first"),
    "merge_mode": ("concat", "sum", "mul", "ave"),
    "output_mode": ("int", "one_hot", "multi_hot", "count"),
}
_NUMBERS: Mapping[str, tuple[float, ...]] = {
    "epsilon": (1e-3, 1e-5, 1e-6, 1e-7, 1e-12, 1e-8, 1e-4, 0.0),
    "negative_slope": (0.3, 0.2, 0.01, 0.0, 0.1),
    "alpha": (1.0, 0.3, 0.2, 0.01),
}
_FORGOTTEN = object()
"""In the place of an option's value: the option is left out, so that Keras's default holds."""


def alternatives(layer: LayerNode) -> Iterator[tuple[str, LayerNode]]:
    """``layer`` with one option changed, and in words which value it has instead of which."""
    for path, value in _leaves(layer.config):
        for words, other in _values(path[-1], value):
            yield f"{_named(path)}={words} instead of {_shown(value)}", with_option(layer, path, other)


def numbers(layer: LayerNode) -> Iterator[tuple[Path, float]]:
    """The options that are real numbers, whose value may be any."""
    for path, value in _leaves(layer.config):
        if isinstance(value, float):
            yield path, value


def with_option(layer: LayerNode, path: Path, value: Any) -> LayerNode:
    """``layer`` with the option at ``path`` set to ``value``."""
    return replace(layer, config=_with(layer.config, path, value))


def _with(config: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    key, *rest = path
    changed = dict(config)
    if rest:
        changed[key] = _with(config[key], tuple(rest), value)
    elif value is _FORGOTTEN:
        del changed[key]
    else:
        changed[key] = value
    return changed


def _leaves(config: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every option that means something at inference, those of layers inside included."""
    for key, value in config.items():
        if key in _INERT or key.endswith(("_initializer", "_regularizer", "_constraint")):
            continue
        inner = value.get("config") if isinstance(value, Mapping) else None
        if isinstance(inner, Mapping):
            yield from _leaves(inner, (*above, key, "config"))
        elif not isinstance(value, Mapping):
            yield (*above, key), value


def _values(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    for other in _others(key, value):
        if other != value or isinstance(other, bool) is not isinstance(value, bool):
            yield _shown(other), other
    if value is not None:
        yield "Keras's default", _FORGOTTEN


def _others(key: str, value: Any) -> Sequence[Any]:
    if isinstance(value, bool):
        return (not value,)
    if key.endswith("activation"):
        return tuple(name for name in ("linear", *ACTIVATIONS) if name != value)
    if isinstance(value, str) or key in _CHOICES:
        return _CHOICES.get(key, ())
    if isinstance(value, int | float) or key in _NUMBERS:
        return _of_number(key, value)
    if isinstance(value, list | tuple) and value and all(isinstance(item, int) for item in value):
        return _of_list(value)
    return (0.0, 1.0, 6.0, 0.2, 0.3) if value is None and key in ("max_value", "threshold") else ()


def _of_number(key: str, value: Any) -> Sequence[Any]:
    if key == "axis":
        return tuple(axis for axis in (-1, 1, 2, 3, -2, 0) if axis != value)
    if isinstance(value, int):
        return (1, value + 1, value - 1) if key in ("strides", "dilation_rate", "groups") else (0, 1, -value)
    return (*_NUMBERS.get(key, ()), 0.0, 1.0, -value, *((None,) if key == "max_value" else ()))


def _of_list(value: Sequence[int]) -> Sequence[Any]:
    return (
        [1] * len(value),
        list(reversed(value)),
        [list(value).index(at) + 1 for at in range(1, len(value) + 1)]
        if sorted(value)[0] == 1 and _is_order(value)
        else list(value[1:]) + list(value[:1]),
    )


def _is_order(value: Sequence[int]) -> bool:
    return sorted(value) == list(range(1, len(value) + 1))


def _named(path: Path) -> str:
    return ".".join(key for key in path if key != "config")


def _shown(value: Any) -> str:
    return repr(value)
