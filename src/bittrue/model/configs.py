"""Configurations in a model file, as the layer that Keras makes of them would write them again.

Keras builds a layer from its configuration and reads it back; here the same comes out without the layer: keys that
an older version did not write are filled in, the order is that of Keras, and what is inside another layer likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bittrue.graph.layers import known_classes, known_operations

from .keras_facts import ClassFacts, NeedsKeras, keras_class, published_name

__all__ = ["LayerConfig", "layer_config", "plain"]

Config = Mapping[str, Any]

_POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
_FLOAT32 = ("float32", None)
_WRAPPED = ("layer", "backward_layer", "cell")
_OPERATIONS = ("keras.src.ops.", "keras.src.activations.")
_APPLICATIONS = "keras.src.applications."
_FORGOTTEN = {
    "Embedding": "input_length",
    "GRU": "implementation",
    "GRUCell": "implementation",
    "InputLayer": "batch_input_shape",
    "LSTM": "implementation",
    "LSTMCell": "implementation",
}
"""Options of Keras 2 that Keras 3 takes and does not write again; how a step is computed is no part of what."""
_CELLS = frozenset({"GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"})


class LayerConfig:
    """A layer's class, its module and its configuration in Keras's terms."""

    def __init__(self, class_name: str, module: str, config: dict[str, Any]) -> None:
        self.class_name = class_name
        self.module = module
        self.config = config

    @property
    def is_operation(self) -> bool:
        """Whether it is an operation of keras.ops, which Keras does not count among a model's layers."""
        return self.module.startswith(_OPERATIONS)


def layer_config(entry: Config) -> LayerConfig:
    """A serialised layer or operation. Raises NeedsKeras for what is not certainly one of Keras's own, fully known."""
    kind, given = entry.get("class_name"), entry.get("config")
    module = entry.get("module", "keras.layers")  # the HDF5 format names none
    if not isinstance(kind, str) or not isinstance(given, Mapping) or not isinstance(module, str):
        raise NeedsKeras("an entry that is no layer")
    if "shared_object_id" in entry:
        raise NeedsKeras(f"a {kind} that is written more than once")
    if entry.get("registered_name") not in (None, kind):
        raise NeedsKeras(f"the registered class {entry['registered_name']}")
    config = {str(key): plain(value) for key, value in given.items()}
    if module.startswith(_OPERATIONS) and kind in known_operations():
        return LayerConfig(kind, module, config)
    if module.startswith(_APPLICATIONS) and kind in known_classes():
        return LayerConfig(kind, module, _with_policy(config))
    if "module" not in entry:
        kind = published_name(kind)
    facts = keras_class(kind) if module == "keras.layers" else None
    if facts is None or facts.keys is None or (facts.type not in known_classes() and kind not in _CELLS):
        raise NeedsKeras(f"the class {module}.{kind}")
    return LayerConfig(facts.type, facts.module, _canonical(kind, facts, config))


def plain(value: Any) -> Any:
    """A value of a configuration without what only serves saving. Raises NeedsKeras for encoded Python objects."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if str(value.get("class_name", "")).startswith("__"):
        raise NeedsKeras(f"a value of kind {value['class_name']}")
    return {str(key): plain(item) for key, item in value.items() if key != "shared_object_id"}


def _canonical(kind: str, facts: ClassFacts, config: dict[str, Any]) -> dict[str, Any]:
    assert facts.keys is not None
    known = {*facts.keys, *facts.options, _FORGOTTEN.get(kind)}
    strange = next((key for key in config if key not in known), None)
    if strange is not None:
        raise NeedsKeras(f"the option {strange} of {kind}")
    if kind == "InputLayer":
        config = {"dtype": "float32", **config}
    else:
        # Some classes write the policy's name alone, and some not whether they are trained.
        config = {**_with_policy(config), "dtype": facts.defaults.get("dtype", _POLICY)}
        config.setdefault("trainable", True)
    for key in _WRAPPED:
        if key in config and config[key] is not None:
            config[key] = _inner(config[key])
    if isinstance(config.get("cells"), list):
        config["cells"] = [_inner(cell) for cell in config["cells"]]
    if kind in _FORGOTTEN and kind != "InputLayer":
        config.pop(_FORGOTTEN[kind], None)
    if kind in _MADE:
        _MADE[kind](config)
    missing = next((key for key in facts.keys if key not in config and key not in facts.defaults), None)
    if missing is not None:
        raise NeedsKeras(f"the missing option {missing} of {kind}")
    ordered = {key: config.get(key, facts.defaults.get(key)) for key in facts.keys}
    unwritten = (*ordered, "trainable")
    others = {key: value for key, value in config.items() if key not in unwritten and value is not None}
    return {**ordered, **others}


def _with_policy(config: dict[str, Any]) -> dict[str, Any]:
    """With the policy written out. Raises NeedsKeras for another one than float32."""
    name = config.get("dtype")
    if isinstance(name, Mapping):
        inside = name.get("config")
        plainly = name.get("class_name") == "DTypePolicy" and isinstance(inside, Mapping)
        name = inside.get("name", "") if plainly and isinstance(inside, Mapping) else name.get("class_name", "")
    if name not in _FLOAT32:
        raise NeedsKeras(f"the dtype policy {name}")
    return {**config, "dtype": _POLICY}


def _inner(entry: Any) -> dict[str, Any]:
    """A layer inside another one, as it is written there."""
    if not isinstance(entry, Mapping):
        raise NeedsKeras("something inside a layer that is none")
    if entry.get("class_name") not in _CELLS and str(entry.get("class_name")) not in known_classes():
        raise NeedsKeras(f"a {entry.get('class_name')} inside another layer")
    found = layer_config(entry)
    outer = {key: plain(value) for key, value in entry.items()}
    outer.setdefault("module", "keras.layers")
    outer.setdefault("registered_name", None)
    return {**outer, "config": found.config}


def _bidirectional(config: dict[str, Any]) -> None:
    """Keras names both layers after the one that it is given, and makes the second of the first if there is none."""
    given = config["layer"]
    name = str(given["config"].get("name"))
    back = config.get("backward_layer")
    if back is None:
        turned = {**given["config"], "go_backwards": True, "name": f"backward_{name.removeprefix('backward_')}"}
        back = {**given, "config": turned}
    forward = {**given, "config": {**given["config"], "name": f"forward_{name.removeprefix('forward_')}"}}
    for key, layer in (("layer", forward), ("backward_layer", back)):
        inside = layer["config"]
        if "zero_output_for_mask" in inside:
            inside = {**inside, "zero_output_for_mask": inside["return_sequences"]}
        config[key] = {**layer, "config": inside}
    one, other = config["layer"]["config"], config["backward_layer"]["config"]
    alike = all(one.get(key) == other.get(key) for key in ("stateful", "return_sequences", "return_state"))
    if one.get("go_backwards") == other.get("go_backwards") or not alike:
        raise NeedsKeras("a Bidirectional whose layers do not go together")


def _axes(config: dict[str, Any]) -> None:
    """A built layer keeps a list."""
    axis = config.get("axis", -1)
    config["axis"] = sorted(axis) if isinstance(axis, list) else [axis]


def _input(config: dict[str, Any]) -> None:
    """The ways to say what an input is."""
    if "batch_input_shape" in config:
        config["batch_shape"] = config.pop("batch_input_shape")
    if any(config.get(key) for key in ("sparse", "ragged", "optional")):
        raise NeedsKeras("an input that is sparse, ragged or optional")
    for key in ("sparse", "ragged", "optional"):
        config[key] = False
    config.pop("trainable", None)


_MADE: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "Bidirectional": _bidirectional,
    "InputLayer": _input,
    "LayerNormalization": _axes,
    "RMSNormalization": _axes,
}
"""What building a layer makes of its configuration."""
