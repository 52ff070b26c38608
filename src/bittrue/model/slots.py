"""Which weights a layer of Keras's own has: their names, shapes and places in a file, in the order of ``weights``.

Keras decides that while it builds a layer; here it is written down by class. A class that is not here has no weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .keras_facts import NeedsKeras

__all__ = ["Shape", "Site", "Slot", "has_slots", "inside", "own", "slots_of"]

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Slot:
    """One weight. ``path`` leads to the object that owns it, from the layer (``""``: the layer itself); it is the
    owner's ``index``-th. ``copies`` are further places of the same weight. ``dtype`` is what it is if not float32;
    how wide an ``int`` is depends on the backend that wrote it.
    """

    name: str
    shape: tuple[int, ...]
    path: str = ""
    index: int = 0
    trainable: bool = True
    dtype: str = "float32"
    copies: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Site:
    """Where a layer is built: its configuration, and the shapes of what it is first called on."""

    config: Mapping[str, Any]
    shapes: Sequence[Shape]
    named: Mapping[str, Shape] = field(default_factory=dict)

    @property
    def x(self) -> Shape:
        """The shape of the first tensor."""
        if not self.shapes:
            raise NeedsKeras("a layer with weights that is called on nothing")
        return self.shapes[0]

    def argument(self, position: int, name: str, default: Shape | None = None) -> Shape:
        """The shape of the argument at ``position``, or by ``name``."""
        if position < len(self.shapes):
            return self.shapes[position]
        found = self.named.get(name, default)
        if found is None:
            raise NeedsKeras(f"a layer that is called without {name}")
        return found

    def size(self, axis: int, shape: Shape | None = None) -> int:
        """A size of the first tensor, or of one of ``shape``. Raises NeedsKeras where it is not known."""
        given = self.x if shape is None else shape
        found = given[axis] if -len(given) <= axis < len(given) else None
        if found is None:
            raise NeedsKeras("a size that is not known")
        return found

    def channels(self) -> int:
        """The size of the axis of channels, as the layer counts it."""
        return self.size(1 if self.config.get("data_format") == "channels_first" else -1)

    def whole(self, key: str) -> int:
        """An option that is a whole number."""
        value = self.config.get(key)
        if type(value) is not int or value < 0:
            raise NeedsKeras(f"an option {key} that is no whole number")
        return value

    def wholes(self, key: str) -> tuple[int, ...]:
        """An option that is a list of them."""
        value = self.config.get(key)
        if not isinstance(value, list) or not all(type(one) is int and one >= 0 for one in value):
            raise NeedsKeras(f"an option {key} that is no list of whole numbers")
        return tuple(value)

    def flag(self, key: str) -> bool:
        """An option that is true or false."""
        return bool(self.config.get(key))


Slots = Callable[[Site], list[Slot]]
_SLOTS: dict[str, Slots] = {}


def has_slots(*class_names: str) -> Callable[[Slots], Slots]:
    """Registers what classes have as weights."""

    def register(slots: Slots) -> Slots:
        _SLOTS.update(dict.fromkeys(class_names, slots))
        return slots

    return register


def slots_of(class_name: str, site: Site) -> list[Slot]:
    """The weights of a layer of ``class_name`` built at ``site``. Raises NeedsKeras where a shape is not known."""
    from . import slots_layers, slots_wrappers  # noqa: F401  (they register themselves)

    found = _SLOTS.get(class_name)
    return [] if found is None else found(site)


def own(*weights: tuple[str, Sequence[int]]) -> list[Slot]:
    """Weights that the layer owns itself, all trained."""
    return [Slot(name, tuple(shape), index=index) for index, (name, shape) in enumerate(weights)]


def inside(path: str, slots: Sequence[Slot]) -> list[Slot]:
    """``slots`` of an object that is the layer's ``path``."""
    return [replace(slot, path=f"{path}/{slot.path}".rstrip("/")) for slot in slots]
