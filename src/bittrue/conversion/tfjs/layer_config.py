"""One Keras layer's class and configuration, as TensorFlow.js must be given them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bittrue.errors import Unsupported
from bittrue.graph.model import LayerNode

from .rules import ACTIVATIONS, INERT, INERT_ENDINGS, RULES, Rule
from .versions import Version, known

__all__ = ["COMMON", "Written", "activation_name", "check_policy", "is_one_of", "policy_name", "refused", "write_layer"]

COMMON = ("name", "trainable", "dtype")
"""Keys of every layer, which mean the same on both sides or are looked at by themselves."""


@dataclass(frozen=True)
class Written:
    """A layer as it goes into ``model.json``, and its weights' names in Keras's order."""

    class_name: str
    config: Mapping[str, Any]
    weights: tuple[str, ...]


def write_layer(layer: LayerNode, version: Version) -> Written:
    """``layer`` for TensorFlow.js of ``version``. Raises Unsupported, naming layer and option."""
    rules = RULES.get(layer.class_name) if layer.module == "keras.layers" else None
    if rules is None:
        where = "" if layer.module == "keras.layers" else f" of {layer.module}"
        raise refused(layer, f"TensorFlow.js's layers have no counterpart of this class{where}")
    check_policy(layer)
    reasons = [_misfit(layer, rule, version) for rule in rules]
    if None not in reasons:
        raise refused(layer, next(reason for reason in reasons if reason))
    return _written(layer, rules[reasons.index(None)])


def refused(layer: LayerNode, because: str) -> Unsupported:
    """The error for a layer that cannot be written."""
    message = f"layer {layer.name!r} ({layer.class_name}) cannot be written faithfully for TensorFlow.js: {because}"
    return Unsupported(message, layer=layer.name)


def check_policy(layer: LayerNode) -> None:
    """Raises Unsupported where the layer does not compute in float32."""
    policy = policy_name(layer.config.get("dtype"))
    if layer.class_name != "InputLayer" and policy not in (None, "float32"):
        raise refused(layer, f"its dtype policy is {policy}, and TensorFlow.js computes in float32")


def policy_name(dtype: Any) -> str | None:
    """The name of a dtype or of a serialised dtype policy, None if none is given."""
    if isinstance(dtype, Mapping):
        inside = dtype.get("config")
        return policy_name(inside.get("name")) if isinstance(inside, Mapping) else str(inside)
    return None if dtype is None else str(dtype)


def _misfit(layer: LayerNode, rule: Rule, version: Version) -> str | None:
    """Why ``rule`` does not fit ``layer``; None if it does."""
    if not known(rule.tfjs, version):
        return f"TensorFlow.js {'.'.join(map(str, version))} has no {rule.tfjs}"
    for key, value in layer.config.items():
        reason = _key_misfit(key, value, rule, version)
        if reason is not None:
            return reason
    return None


def _key_misfit(key: str, value: Any, rule: Rule, version: Version) -> str | None:
    if key in rule.only and not is_one_of(value, rule.only[key]):
        return f"TensorFlow.js does not do {key}={value!r}, only {' or '.join(map(repr, rule.only[key]))}"
    if key in rule.activations:
        return _activation_misfit(key, value, version)
    if value is None or key in (*rule.keep, *rule.rename, *rule.only, *rule.ignore, *COMMON):
        return None
    if key in INERT or key.endswith(INERT_ENDINGS):
        return None
    return f"the option {key}={value!r} is not one that Bittrue knows"


def _activation_misfit(key: str, value: Any, version: Version) -> str | None:
    name = activation_name(value)
    if name not in ACTIVATIONS:
        return f"TensorFlow.js has no {key} like {name!r}"
    if not known(ACTIVATIONS[name], version):
        return f"TensorFlow.js {'.'.join(map(str, version))} has no {key} {ACTIVATIONS[name]!r}"
    return None


def activation_name(value: Any) -> str:
    """The name of an activation, however Keras serialised it."""
    if isinstance(value, Mapping):
        config = value.get("config")
        return config if isinstance(config, str) else f"{value.get('class_name')}"
    return "linear" if value is None else str(value)


def is_one_of(value: Any, allowed: tuple[Any, ...]) -> bool:
    """Whether ``value`` is among ``allowed``; a list of equal numbers counts as the number."""
    if isinstance(value, list) and value and all(item == value[0] for item in value):
        value = value[0]
    value = activation_name(value) if isinstance(value, Mapping) else value
    return any(value == item for item in allowed)


def _written(layer: LayerNode, rule: Rule) -> Written:
    config: dict[str, Any] = {"name": layer.name}
    if layer.class_name != "InputLayer":
        config["trainable"] = bool(layer.config.get("trainable", True))
    for key, value in layer.config.items():
        if key in rule.activations:
            config[key] = ACTIVATIONS[activation_name(value)]
        elif key in rule.keep or key in rule.rename:
            config[rule.rename.get(key, key)] = value
        elif key.endswith("_initializer") and value is not None:
            config[key] = {"class_name": "Zeros", "config": {}}  # the weights that follow replace it
    names = tuple(rule.weights.get(weight.name, weight.name) for weight in layer.weights)
    return Written(rule.tfjs, {**config, **rule.fixed}, tuple(f"{layer.name}/{name}" for name in names))
