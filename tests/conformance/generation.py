"""Cases out of signatures: every option by itself with each of its values, then pairs of them together."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from tests.conformance.cases import Case, Feed, Shared
from tests.conformance.signatures import (
    Option,
    activation_names,
    layer_names,
    options_of_activation,
    options_of_call,
    options_of_layer,
)
from tests.conformance.subjects import ABSENT, NO_LAYERS, SUBJECTS, Subject, spatial
from tests.conformance.values import ALONE, VALUES, conflicts, inert_reason

__all__ = ["Campaign", "campaign"]

_MOST_TOGETHER = 4
_CALLED_IN_TRAINING = "which of two models it is, and it is the one for inference"
_HOSTS: tuple[tuple[str, tuple[Feed, ...], Mapping[str, Any]], ...] = (
    ("Activation", (Feed((4, 6)),), {}),
    ("Dense", (Feed((7,)),), {"units": 6}),
    ("Conv2D", (Feed((5, 6, 3)),), {"filters": 4, "kernel_size": 2}),
    ("LSTM", (Feed((4, 5)),), {"units": 4}),
)


@dataclass
class Campaign:
    """The cases, and what was read off the signatures and is not tried: with the reason, or as a gap."""

    cases: list[Case] = field(default_factory=list)
    inert: dict[tuple[str, str], str] = field(default_factory=dict)
    gaps: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def add(self, case: Case) -> None:
        """One more case, unless it is there already."""
        if all(case.key != other.key for other in self.cases[-200:]):
            self.cases.append(case)


@functools.cache
def campaign() -> Campaign:
    """All cases, in the order of the classes' names. Made once a process; nobody changes it."""
    found = Campaign()
    classes, found.aliases = layer_names()
    for name, layer in classes.items():
        if name in NO_LAYERS or name in ABSENT:
            found.absent[name] = NO_LAYERS.get(name) or ABSENT[name]
            continue
        if name not in SUBJECTS:
            found.unknown.append(name)
        add_layer(found, name, layer, SUBJECTS.get(name, Subject()))
    for name in activation_names():
        _add_activation(found, name)
    return found


def add_layer(found: Campaign, name: str, layer: Any, subject: Subject) -> None:
    """The cases of one class, its inert options and its gaps."""
    given = dict(subject.required)
    values: dict[str, tuple[Any, ...]] = {}
    for option in options_of_layer(layer):
        tried = _tried(found, name, option, subject)
        if tried:
            values[option.name] = tried
    calls = {option.name: subject.calls.get(option.name, ()) for option in options_of_call(layer)}
    for option_name, tried in calls.items():
        reason = _CALLED_IN_TRAINING if option_name == "training" else inert_reason(name, option_name)
        if reason and not tried:
            found.inert[name, f"call {option_name}"] = reason
        elif not tried and option_name not in {key for _, _, call in subject.other for key in call}:
            _note_untried(found, name, option_name)
    always = {key: item[0] for key, item in subject.calls.items() if key == "states"}
    calls.update({key: item for key, item in subject.calls.items() if key not in always})
    given_calls = {key: item for key, item in calls.items() if item}
    rows = chosen(name, {**values, **{f"call {key}": item for key, item in given_calls.items()}})
    for row in rows:
        found.add(_case(name, subject, given, row, always))
    for feeds in subject.also:
        found.add(Case("layer", name, feeds, {}, always, given, subject.joined, len(feeds)))
    for feed, options, call in subject.other:
        found.add(Case("layer", name, (feed,), options, call, given))


def _note_untried(found: Campaign, name: str, argument: str) -> None:
    """An argument of the call that has no values: masks that Keras passes by itself are those of other cases."""
    if argument == "mask":
        found.inert[name, "call mask"] = "what becomes of masks is tried where a layer computes with them"
    else:
        found.gaps.append((name, f"call {argument}"))


def _case(
    name: str, subject: Subject, given: Mapping[str, Any], row: Mapping[str, Any], always: Mapping[str, Any]
) -> Case:
    options = {key: value for key, value in row.items() if not key.startswith("call ")}
    call = {**always, **{key[5:]: value for key, value in row.items() if key.startswith("call ")}}
    feeds, call = _fed(subject, call)
    required = {key: value for key, value in given.items() if key not in options}
    return Case("layer", name, feeds, options, call, required, subject.joined, len(subject.feeds))


def _fed(subject: Subject, call: Mapping[str, Any]) -> tuple[tuple[Feed, ...], dict[str, Any]]:
    """The tensors that a call needs, and the call with their numbers."""
    feeds = list(subject.feeds)
    numbers: dict[int, int] = {}
    renumbered: dict[str, Any] = {}
    for key, value in call.items():
        if not isinstance(value, Shared):
            renumbered[key] = value
            continue
        for at in value.at:
            if at not in numbers:
                numbers[at] = len(feeds)
                feeds.append(subject.more[at - len(subject.feeds)])
        renumbered[key] = Shared(tuple(numbers[at] for at in value.at))
    return tuple(feeds), renumbered


def _tried(found: Campaign, name: str, option: Option, subject: Subject) -> tuple[Any, ...]:
    """The values of ``option`` beside its default; none where it does nothing, or is a gap."""
    reason = inert_reason(name, option.name)
    if option.name in subject.values:
        return subject.values[option.name]
    if reason is not None:
        found.inert[name, option.name] = reason
        return ()
    if option.name in VALUES and option.name not in subject.required:
        return tuple(value for value in _suited(name, option) if value != option.default)
    if option.name not in subject.required:
        found.gaps.append((name, option.name))
    return ()


def _suited(name: str, option: Option) -> Sequence[Any]:
    """The table's values, with flags turned the other way where the default is a flag."""
    if isinstance(option.default, bool):
        return (not option.default,)
    axes = spatial(name)
    if option.name == "output_padding" and axes > 1:
        return (1,)
    return VALUES[option.name]


def chosen(name: str, values: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Option values to try together: nothing, each value by itself, and every pair of values in some row."""
    yield {}
    plain = {key.removeprefix("call "): key for key in values}
    items = [(key, at) for key, tried in values.items() for at in range(len(tried))]

    def row_of(picked: Iterable[tuple[str, int]]) -> dict[str, Any]:
        return {key: values[key][at] for key, at in picked}

    def legal(picked: Sequence[tuple[str, int]]) -> bool:
        row = row_of(picked)
        return len(row) == len(picked) and not conflicts(name, {key.removeprefix("call "): row[key] for key in row})

    for item in items:
        helpers = [item] if legal([item]) else _repaired(item, items, legal)
        if helpers:
            yield row_of(helpers)
    joined = [item for item in items if item[0] not in ALONE and item[0] in plain.values()]
    for row in paired(joined, legal, name):
        yield row_of(row)


def _repaired(item: tuple[str, int], items: Sequence[tuple[str, int]], legal: Any) -> list[tuple[str, int]]:
    """An option that means something beside another one alone, with the first that helps."""
    return next(([item, other] for other in items if other != item and legal([item, other])), [])


def paired(items: Sequence[tuple[str, int]], legal: Any, seed: str) -> Iterator[list[tuple[str, int]]]:
    """Rows in which every pair of values that may stand together does so once: greedily, few at a time."""
    draw = random.Random(seed)
    open_pairs = {pair for pair in combinations(items, 2) if pair[0][0] != pair[1][0] and legal(pair)}
    while open_pairs:
        row = list(min(open_pairs, key=items_order(items)))
        rest = [item for item in items if item not in row]
        draw.shuffle(rest)
        for item in rest:
            gain = sum((a, b) in open_pairs or (b, a) in open_pairs for a in row for b in [item])
            if gain and len(row) < _MOST_TOGETHER and legal([*row, item]):
                row.append(item)
        open_pairs -= {pair for a in row for b in row if (pair := (a, b)) in open_pairs}
        yield sorted(row, key=items.index)


def items_order(items: Sequence[tuple[str, int]]) -> Any:
    """Sorts pairs as the items are sorted, so that the same cases are made every time."""
    place = {item: at for at, item in enumerate(items)}
    return lambda pair: (place[pair[0]], place[pair[1]])


def _add_activation(found: Campaign, name: str) -> None:
    """An activation as a layer, inside layers, and as a function with each of its options."""
    options = options_of_activation(name)
    if not any(option.required for option in options):
        for host, feeds, required in _HOSTS:
            if name == "glu" and host == "LSTM":
                continue  # it halves what the states must keep
            found.add(Case("layer", host, feeds, {"activation": name}, {}, required))
    values: dict[str, tuple[Any, ...]] = {}
    for option in options:
        if option.name not in VALUES:
            found.gaps.append((f"activations.{name}", option.name))
            continue
        tried = tuple(value for value in _suited(name, option) if value != option.default)
        values[option.name] = tried
    required = {option.name: VALUES[option.name][0] for option in options if option.required}
    for row in chosen(name, values):
        found.add(Case("function", name, (Feed((4, 6)),), {**required, **row}))
