"""Reading a layer's configuration so that no option can be overlooked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bittrue.errors import Unsupported

__all__ = ["Options"]

_INERT = frozenset(
    {
        "name",
        "trainable",
        "dtype",
        "batch_shape",
        "batch_input_shape",
        "input_dtype",
        "autocast",
    }
)
_INERT_ENDINGS = ("_initializer", "_regularizer", "_constraint")
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_POLICIES = frozenset({*_FLOATS, "mixed_float16", "mixed_bfloat16"})


class Options:
    """A layer's configuration. Every key must be read by its expansion, or be known to do nothing at inference.

    ``layer`` is the layer's name and ``class_name`` its class, for messages; all methods raise Unsupported.
    """

    def __init__(self, layer: str, class_name: str, config: Mapping[str, Any]) -> None:
        self.layer = layer
        self.class_name = class_name
        self._config = config
        self._read: set[str] = set()

    def refused(self, option: str, because: str) -> Unsupported:
        """The error for ``option`` as it stands."""
        value = self._config.get(option)
        return Unsupported(
            f"layer {self.layer!r} ({self.class_name}) cannot be expressed faithfully: {option}={value!r} {because}",
            layer=self.layer,
        )

    def raw(self, key: str, default: Any) -> Any:
        """The value of ``key`` as it is, ``default`` where the configuration lacks it."""
        self._read.add(key)
        return self._config.get(key, default)

    def flag(self, key: str, default: bool) -> bool:
        """A boolean."""
        value = self.raw(key, default)
        if not isinstance(value, bool | int):
            raise self.refused(key, "is neither true nor false")
        return bool(value)

    def number(self, key: str, default: float) -> float:
        """A real number: the float64 of the decimals written."""
        value = self.raw(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refused(key, "is not a number")
        return float(value)

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number."""
        value = self.raw(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.refused(key, "is not a whole number")
        return value

    def wholes(self, key: str, default: int | list[int] | None = None, count: int | None = None) -> tuple[int, ...]:
        """Whole numbers; one alone stands for ``count`` equal ones."""
        value = self.raw(key, default)
        if isinstance(value, int) and not isinstance(value, bool):
            return (value,) * (count or 1)
        if not isinstance(value, list | tuple) or not all(isinstance(item, int) for item in value):
            raise self.refused(key, "is not a list of whole numbers")
        if count is not None and len(value) != count:
            raise self.refused(key, f"does not have {count} numbers")
        return tuple(value)

    def pairs(self, key: str, default: Any, count: int) -> tuple[tuple[int, int], ...]:
        """``count`` pairs (low, high); one number stands for an equal pair."""
        value = self.raw(key, default)
        if isinstance(value, int):
            value = [value] * count
        elif count == 1 and isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], int):
            value = [value]
        if not isinstance(value, list | tuple) or len(value) != count:
            raise self.refused(key, f"does not have {count} pairs of numbers")
        pairs = [(item, item) if isinstance(item, int) else tuple(item) for item in value]
        if not all(len(pair) == 2 and all(isinstance(item, int) and item >= 0 for item in pair) for pair in pairs):
            raise self.refused(key, "is not pairs of whole numbers")
        return tuple((low, high) for low, high in pairs)

    def choice(self, key: str, default: str, *choices: str) -> str:
        """One of ``choices``."""
        value = self.raw(key, default)
        if value not in choices:
            raise self.refused(key, f"is none of {', '.join(choices)}")
        return str(value)

    def only(self, key: str, *values: Any) -> None:
        """``key`` is expressed with one of ``values`` alone, the first of which is the default."""
        if self.raw(key, values[0]) not in values:
            raise self.refused(key, f"is not expressed, only {' or '.join(map(repr, values))}")

    def inert(self, *keys: str) -> None:
        """``keys`` do nothing at inference."""
        self._read.update(keys)

    def finish(self) -> None:
        """Raises Unsupported for a key that nobody read and that is not off, or for a quantised or integral dtype."""
        for key, value in self._config.items():
            known = key in self._read or key in _INERT or key.endswith(_INERT_ENDINGS)
            if not known and value is not None:
                raise self.refused(key, "is an option that Bittrue does not know")
        policy = dtype_name(self._config.get("dtype"))
        if policy is not None and policy not in _POLICIES and "dtype" not in self._read:
            raise self.refused("dtype", "is not a floating-point policy")


def dtype_name(dtype: Any) -> str | None:
    """The name of a dtype or of a serialised dtype policy, None if none is given."""
    if isinstance(dtype, Mapping):
        config = dtype.get("config")
        return dtype_name(config.get("name") if isinstance(config, Mapping) else config)
    return None if dtype is None else str(dtype)
