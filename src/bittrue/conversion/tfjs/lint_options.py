"""What TensorFlow.js would make of one layer's configuration as Keras wrote it, option by option."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from bittrue.graph.model import LayerNode

from .facts import Facts, LayerFacts, facts, is_default, tfjs_spelling
from .layer_config import COMMON, activation_name, is_one_of, policy_name
from .precision import which_is_coarser
from .rules import ACTIVATIONS, INERT, INERT_ENDINGS, RULES, Rule
from .versions import Version, known
from .wrapping import inner_layers

__all__ = ["ACTIVATION_KEYS", "Issue", "Kind", "issues_of"]

Kind = Literal["rejected", "different", "hazard", "rewritten"]
"""``rejected``: it does not load or run. ``different``: it runs with other numbers, without a word. ``hazard``: it may
do either, depending on the rest of the model, the shapes or the backend. ``rewritten``: nothing is known to be wrong,
but it is written in another way."""

ACTIVATION_KEYS = ("activation", "recurrent_activation")
"""Options that name an activation."""
_OTHER_MEANING = MappingProxyType(
    {
        "hard_sigmoid": "Keras computes relu6(x + 3) / 6 and TensorFlow.js clip(0.2 x + 0.5, 0, 1)",
    }
)
"""Activations that TensorFlow.js has by the same name, for another function."""

_MEASURED: Mapping[tuple[str, str], tuple[Kind, str]] = MappingProxyType(
    {
        ("DepthwiseConv2D", "dilation_rate"): ("different", "it reads the dilation and computes without"),
        ("Conv1D", "padding"): ("rejected", "it takes the option and fails when it runs"),
    }
)
"""What becomes of options that a class reads and does not do, where that has been seen."""


@dataclass(frozen=True)
class Issue:
    """``option`` is the key, None for the layer as such; ``effect`` what TensorFlow.js does, and ``why``."""

    kind: Kind
    option: str | None
    effect: str
    why: str


def issues_of(layer: LayerNode, version: Version) -> Iterator[Issue]:
    """Everything in the configuration that TensorFlow.js rejects or computes differently, as far as it is known."""
    known_facts = facts()
    entry = known_facts.layers.get(layer.class_name)
    if layer.module != "keras.layers":
        yield _foreign(layer, entry)
    elif entry is None or not known(layer.class_name, version):
        yield Issue("rejected", None, f"Unknown layer: {layer.class_name}", "it has no layer of that class")
    else:
        yield from _policy_issues(layer)
        yield from _missing(layer, entry)
        for key, value in layer.config.items():
            if key not in COMMON and value is not None:
                yield from _option_issues(layer, key, value, entry, version, known_facts)
        for key, inner in inner_layers(layer).items():
            if key in entry.reads:  # the other one, TensorFlow.js makes itself
                yield from (_within(key, issue) for issue in issues_of(inner, version))


def _within(key: str, issue: Issue) -> Issue:
    return replace(issue, option=f"{key}.{issue.option}" if issue.option else key)


def _foreign(layer: LayerNode, entry: LayerFacts | None) -> Issue:
    why = f"it looks for {layer.class_name!r} among its layers, and this one is of {layer.module}"
    if entry is None:
        return Issue("rejected", None, f"Unknown layer: {layer.class_name}", why)
    return Issue("different", None, "it is taken for the layer of the same name", why)


def _policy_issues(layer: LayerNode) -> Iterator[Issue]:
    policy = policy_name(layer.config.get("dtype")) or "float32"
    if layer.class_name != "InputLayer" and policy != "float32":
        why = f"it computes in float32, and the policy is {policy}{which_is_coarser(policy)}"
        yield Issue("different", "dtype", "the policy is ignored", why)


def _missing(layer: LayerNode, entry: LayerFacts) -> Iterator[Issue]:
    for key in entry.needs:
        if layer.config.get(key) is None:
            goes_by = [old for rule in _rules(layer) for old, new in rule.rename.items() if new == key]
            why = f"Keras writes {goes_by[0]}" if goes_by else "the configuration lacks it"
            yield Issue("rejected", goes_by[0] if goes_by else None, f"it cannot be built without {key}", why)


def _option_issues(
    layer: LayerNode, key: str, value: Any, entry: LayerFacts, version: Version, release: Facts
) -> Iterator[Issue]:
    if key.endswith(INERT_ENDINGS):
        yield from _object_issues(key, value, entry, release)
    elif key in ACTIVATION_KEYS:
        yield from _activation_issues(key, activation_name(value), version, release)
    elif key not in entry.reads:
        yield from _unread(layer, key, value, entry)
    elif entry.rejects(key, value, release.samples):
        yield Issue("rejected", key, f"the constructor fails with {key}={value!r}", "it takes other values alone")
    else:
        yield from _undone(layer, key, value)


def _object_issues(key: str, value: Any, entry: LayerFacts, release: Facts) -> Iterator[Issue]:
    """An initializer, a regularizer or a constraint, which has to be known even where it does nothing."""
    kind = key.rpartition("_")[2]
    name = value.get("class_name") if isinstance(value, Mapping) else value
    names = {"initializer": release.initializers, "regularizer": release.regularizers}.get(kind, release.constraints)
    if key not in entry.reads or not isinstance(name, str):
        return
    if name not in names and tfjs_spelling(name) not in names:
        why = f"it has no {kind} of that name; Keras's own does nothing at inference"
        yield Issue("rejected", key, f"Unknown {kind}: {name}", why)
    elif kind == "constraint":
        why = "TensorFlow.js applies it to what is assigned, Keras in training alone"
        yield Issue("hazard", key, "it may change the weights while they are loaded", why)


def _activation_issues(key: str, name: str, version: Version, release: Facts) -> Iterator[Issue]:
    spelled = tfjs_spelling(name)
    if spelled not in release.activations or not known(spelled, version):
        yield Issue("rejected", key, f"Unknown activation: {spelled}", "it has no activation of that name")
    elif name not in ACTIVATIONS:
        why = _OTHER_MEANING.get(name, "the two have not been seen to agree")
        yield Issue("different", key, f"its own {spelled} is computed", why)


def _unread(layer: LayerNode, key: str, value: Any, entry: LayerFacts) -> Iterator[Issue]:
    """The general test: an option that somebody chose and that TensorFlow.js's class never asks for."""
    if (
        key in inner_layers(layer)
        or key in INERT
        or is_default(layer.class_name, key, value)
        or _allowed(layer, key, value)
    ):
        return
    if any(rule.rename.get(key) in entry.needs for rule in _rules(layer)):
        return  # said already: it cannot be built without the key's other name
    yield Issue("different", key, f"{key}={value!r} is ignored", f"its {layer.class_name} never reads {key}")


def _undone(layer: LayerNode, key: str, value: Any) -> Iterator[Issue]:
    limits = [rule.only[key] for rule in _rules(layer) if rule.tfjs == layer.class_name and key in rule.only]
    if not limits or any(is_one_of(value, limit) for limit in limits):
        return
    default = "it reads the option, and has not been seen to agree with Keras, or only on some backends"
    kind, why = _MEASURED.get((layer.class_name, key), ("hazard", default))
    yield Issue(kind, key, f"{key}={value!r} is not done as Keras does it", why)


def _allowed(layer: LayerNode, key: str, value: Any) -> bool:
    """Whether the table says that this value makes no difference, or that the option never does."""
    rules = [rule for rule in _rules(layer) if rule.tfjs == layer.class_name]
    return any(key in rule.ignore or (key in rule.only and is_one_of(value, rule.only[key])) for rule in rules)


def _rules(layer: LayerNode) -> tuple[Rule, ...]:
    return RULES.get(layer.class_name, ())
