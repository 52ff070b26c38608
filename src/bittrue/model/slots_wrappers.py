"""The weights of recurrent layers, whose cells own them, and of layers around other layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .keras_facts import NeedsKeras, keras_class
from .slots import Shape, Site, Slot, has_slots, inside, own, slots_of

__all__ = ["counted_names", "snake_case"]

_GATES = {"GRUCell": 3, "LSTMCell": 4, "SimpleRNNCell": 1}


def snake_case(name: str) -> str:
    """A class's name as Keras writes it into paths."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def counted_names(class_names: Sequence[str]) -> list[str]:
    """Names for the members of a list, as Keras gives them in a file: by class, then numbered."""
    used: dict[str, int] = {}
    found = []
    for name in map(snake_case, class_names):
        used[name] = used.get(name, -1) + 1
        found.append(f"{name}_{used[name]}" if used[name] else name)
    return found


def _gated(site: Site, width: int, gates: int) -> list[Slot]:
    """The weights of a cell for inputs of ``width``."""
    units = site.whole("units")
    kernels = [("kernel", (width, gates * units)), ("recurrent_kernel", (units, gates * units))]
    doubled = site.flag("reset_after")  # of a GRU alone
    bias = (2, gates * units) if doubled else (gates * units,)
    return own(*kernels, ("bias", bias)) if site.flag("use_bias") else own(*kernels)


@has_slots("GRU", "LSTM", "SimpleRNN")
def _recurrent(site: Site) -> list[Slot]:
    # The configurations of a recurrent layer and of its cell use the same words; only a GRU has reset_after.
    gates = 3 if "reset_after" in site.config else 4 if "unit_forget_bias" in site.config else 1
    return inside("cell", _gated(site, site.size(-1), gates))


@has_slots("RNN")
def _rnn(site: Site) -> list[Slot]:
    cell = _entry(site.config.get("cell"))
    width = site.size(-1)
    if cell["class_name"] != "StackedRNNCells":
        return inside("cell", _cell(cell, width))
    cells = [_entry(one) for one in cell["config"].get("cells", [])]
    found: list[Slot] = []
    for name, one in zip(counted_names([one["class_name"] for one in cells]), cells, strict=True):
        found += inside(f"cell/cells/{name}", _cell(one, width))
        width = Site(one["config"], ()).whole("units")
    return found


def _cell(entry: Mapping[str, Any], width: int) -> list[Slot]:
    if entry["class_name"] not in _GATES:
        raise NeedsKeras(f"the cell {entry['class_name']}")
    return _gated(Site(entry["config"], ()), width, _GATES[entry["class_name"]])


@has_slots("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def _convolutional(site: Site) -> list[Slot]:
    size, filters = site.wholes("kernel_size"), site.whole("filters")
    first = site.config.get("data_format") == "channels_first"
    channels = site.size(2 if first else -1)
    kernels = [("kernel", (*size, channels, 4 * filters)), ("recurrent_kernel", (*size, filters, 4 * filters))]
    return inside("cell", own(*kernels, ("bias", (4 * filters,))) if site.flag("use_bias") else own(*kernels))


@has_slots("Bidirectional")
def _bidirectional(site: Site) -> list[Slot]:
    parts = (("forward_layer", "layer"), ("backward_layer", "backward_layer"))
    return [slot for path, key in parts for slot in inside(path, _within(site, key, site.x))]


@has_slots("TimeDistributed")
def _time_distributed(site: Site) -> list[Slot]:
    return inside("layer", _within(site, "layer", (site.x[0], *site.x[2:])))


@has_slots("SpectralNormalization")
def _spectral_normalization(site: Site) -> list[Slot]:
    """It owns the first weight of its layer as well, and a vector that training needs."""
    first, *others = inside("layer", _within(site, "layer", site.x))
    if first.name not in ("kernel", "embeddings"):
        raise NeedsKeras("a normalised layer without a kernel")
    vector = Slot("vector_u", (1, first.shape[-1]), index=1, trainable=False)
    return [replace(first, copies=(("", 0),)), vector, *others]


def _within(site: Site, key: str, shape: Shape) -> list[Slot]:
    entry = _entry(site.config.get(key))
    facts = keras_class(entry["class_name"])
    if facts is None:
        raise NeedsKeras(f"a {entry['class_name']} inside another layer")
    found = slots_of(facts.type, Site(entry["config"], (shape,)))
    if not entry["config"].get("trainable", True) and not all(slot.trainable for slot in found):
        raise NeedsKeras("a layer inside another one that is not trained")
    return found


def _entry(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not isinstance(value.get("config"), Mapping):
        raise NeedsKeras("something inside a layer that is none")
    return value
