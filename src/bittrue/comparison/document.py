"""The lines that the published experiment printed, and how many of them a comparison reproduces.

For each layer the experiment printed its weights, one line each, and its outputs, one line an example::

    dense_3_output[0]: different values = 38, average difference = 5.3539276123046876e-05

where different values is ``np.sum(a != b)`` and average difference ``np.sum(np.abs(a - b)) / np.size(a)``, ``a`` being
Python's float32 and ``b`` the browser's numbers, which JSON had made float64.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from bittrue.traces import Key

from .compare import Comparison, Pair
from .measure import measure
from .metrics import Metrics

__all__ = ["Published", "document_lines", "match_published", "printed_lines", "published_lines", "published_table"]


@dataclass(frozen=True)
class Published:
    """How many ``lines`` the published table has, and how many of them were ``matched`` character by character."""

    lines: int
    matched: int


def document_lines(comparison: Comparison) -> Iterator[str]:
    """The experiment's lines: layer by layer in order of execution, weights before outputs.

    Input layers have none. A pair that could not be compared has none either (see ``Comparison.problems``). The
    first call and output of a layer bear its name alone, as in the document; any other is ``<layer>:<call>.<index>``.
    Tensors of batches of several examples are loaded once more, to be measured example by example.
    """
    inputs = {pair.key.layer for pair in comparison.inputs}
    layers = dict.fromkeys(pair.key.layer for pair in (*comparison.outputs, *comparison.weights))
    weights, outputs = _by_layer(comparison.weights), _by_layer(comparison.outputs)
    for layer in layers:
        for pair in sorted(weights.get(layer, []), key=lambda found: found.key):
            yield from _weight_line(pair)
        for pair in outputs.get(layer, []) if layer not in inputs else []:
            yield from _output_lines(pair)


def _by_layer(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.key.layer, []).append(pair)
    return found


def _weight_line(pair: Pair) -> Iterator[str]:
    if pair.metrics is not None:
        key = f"{pair.key.layer}_weights[{pair.key.index}]"
        yield _line(key, pair.metrics)


def _output_lines(pair: Pair) -> Iterator[str]:
    if pair.metrics is None or not pair.reference.shape:
        return
    examples = pair.reference.shape[0]
    if examples == 1:
        measured = [pair.metrics]
    else:
        reference, candidate = pair.reference.load(), pair.candidate.load()
        measured = [measure(reference[example], candidate[example]) for example in range(examples)]
    for example, metrics in enumerate(measured):
        key = f"{_output_name(pair.key)}[{example}]"
        yield _line(key, metrics)


def _line(key: str, metrics: Metrics) -> str:
    different, average = metrics.different_values, metrics.average_difference
    return f"{key}: different values = {different}, average difference = {average}"


def _output_name(key: Key) -> str:
    return f"{key.layer}_output" if key.call == key.index == 0 else f"{key.layer}:{key.call}.{key.index}_output"


def published_table() -> Mapping[str, Any]:
    """The experiment's table: ``lines`` of ``key``, ``different_values``, ``average_difference`` and ``printed``."""
    text = (resources.files("bittrue.comparison") / "published_table.json").read_text(encoding="utf-8")
    table: Mapping[str, Any] = json.loads(text)
    return table


def printed_lines(table: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """The table's lines as they were printed."""
    lines = (published_table() if table is None else table)["lines"]
    return tuple(
        f"{line['key']}: different values = {line['different_values']}, average difference = {line['printed']}"
        for line in lines
    )


def match_published(lines: Iterable[str], table: Mapping[str, Any] | None = None) -> int:
    """How many of the published lines (`printed_lines`) are among ``lines``, character by character."""
    found = set(lines)
    return sum(line in found for line in printed_lines(table))


def published_lines(comparison: Comparison) -> Published:
    """How many of the published lines a comparison of the experiment's own model reproduces."""
    return Published(len(printed_lines()), match_published(document_lines(comparison)))
