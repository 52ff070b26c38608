"""The rules read backwards: a layer of a TensorFlow.js layers-model as the Keras layer that computes the same.

What counts is what TensorFlow.js makes of a configuration, not what its author meant: a key that it does not
read, at a value at which Keras would compute something else, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bittrue.errors import Unsupported

from .layer_config import is_one_of, policy_name
from .rules import ACTIVATIONS, INERT, INERT_ENDINGS, RULES, Rule

__all__ = ["KerasTerms", "read_layer"]

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"ThresholdedReLU": {"theta": 1.0}}
"""What TensorFlow.js takes where a key is missing, if Keras takes something else."""

_PASSED = frozenset(
    {
        "name",
        "trainable",
        "batch_input_shape",
        "groups",
        "time_major",
        "virtual_batch_size",
        "adjustment",
        "fused",
        "ragged",
    }
)
"""Keys of Keras 2 that whoever reads its configurations deals with."""

_UNREAD = frozenset({"batch_size", "build_config", "input_dtype", "input_length", "input_shape", "quantization_config"})
"""Keys that say nothing which the weights or the first layer do not say as well."""

_BACKWARDS: Mapping[str, str] = {tfjs: keras for keras, tfjs in reversed(list(ACTIVATIONS.items()))}


@dataclass(frozen=True)
class KerasTerms:
    """A layer in Keras's terms. ``optional`` are keys that may be left out for a class that does not know them.

    ``weights`` maps Keras's names of weights to TensorFlow.js's where they differ.
    """

    class_name: str
    config: Mapping[str, Any]
    optional: frozenset[str]
    weights: Mapping[str, str]


def read_layer(name: str, class_name: str, config: Mapping[str, Any]) -> KerasTerms:
    """What TensorFlow.js's layer of ``class_name`` with ``config`` is in Keras. Raises Unsupported, naming it."""
    reason = "Bittrue knows no layer of Keras that computes the same"
    config = {**_DEFAULTS.get(class_name, {}), **config}
    for keras, rule in _candidates(class_name):
        misfit = _misfit(keras, config, rule)
        if misfit is None:
            return _translated(keras, config, rule)
        reason = misfit
    raise Unsupported(f"layer {name!r} ({class_name}) of TensorFlow.js cannot be read: {reason}", layer=name)


def _candidates(tfjs: str) -> Iterable[tuple[str, Rule]]:
    """The ways in which a class of TensorFlow.js may have been written; that of the same name if there is one."""
    found = [(keras, rule) for keras, rules in RULES.items() for rule in rules if rule.tfjs == tfjs]
    return [pair for pair in found if pair[0] == tfjs] or found


def _misfit(keras: str, config: Mapping[str, Any], rule: Rule) -> str | None:
    """Why ``config`` cannot have come of ``rule``; None if it can."""
    for key, value in rule.fixed.items():
        if config.get(key, value) != value:
            return f"its {key} is {config[key]!r}"
    for key, value in config.items():
        reason = _key_misfit(keras, key, value, rule)
        if reason is not None:
            return reason
    return None


def _key_misfit(keras: str, key: str, value: Any, rule: Rule) -> str | None:
    if key in rule.activations:
        return (
            None
            if _activation(value) in _BACKWARDS
            else f"Keras has no {key} that computes as {value!r:.80} does there"
        )
    if key in rule.only and not is_one_of(value, rule.only[key]):
        return f"TensorFlow.js does not do {key}={value!r:.80} as Keras does"
    if key == "dtype" and keras != "InputLayer":
        return None if policy_name(value) in (None, "float32", "int32") else f"its dtype is {value!r:.80}"
    known = (*rule.keep, *rule.only, *rule.ignore, *rule.fixed, *rule.rename.values(), "dtype")
    if value is None or key in known or key in _PASSED or key in _UNREAD or _is_inert(key):
        return None
    return f"TensorFlow.js is not known to read its {key}={value!r:.80}"


def _is_inert(key: str) -> bool:
    return key in INERT or key.endswith(INERT_ENDINGS)


def _translated(keras: str, config: Mapping[str, Any], rule: Rule) -> KerasTerms:
    back = {tfjs: key for key, tfjs in rule.rename.items()}
    found: dict[str, Any] = {}
    optional = set()
    for key, value in config.items():
        if key in rule.activations:
            found[key] = _BACKWARDS[_activation(value)]
        elif key in back:
            found[back[key]] = value
        elif key in rule.keep or key in _PASSED:
            found[key] = value
        elif key in (*rule.only, *rule.ignore, *INERT) and value is not None and not key.endswith(INERT_ENDINGS):
            found[key] = value
            optional.add(key)
    return KerasTerms(keras, found, frozenset(optional), rule.weights)


def _activation(value: Any) -> str:
    """An activation's name as TensorFlow.js looks it up: in camel case, and linear where there is none."""
    if isinstance(value, Mapping):
        value = value.get("class_name")
    name = "linear" if value is None else str(value)
    return re.sub(r"_+(\w)", lambda match: match[1].upper(), name)
