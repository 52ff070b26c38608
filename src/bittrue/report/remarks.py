"""What else is to be said of a result, a sentence each: failures, weights, checks, missing truths, adapters, notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .data import ReportData, TargetOutcome

__all__ = ["failures", "remarks"]

_NAMES = 5  # layers or tensors that one sentence names


def failures(data: ReportData) -> list[str]:
    """A sentence for each target that was not compared."""
    return [outcome.sentence for outcome in data.targets if outcome.failure is not None]


def remarks(data: ReportData) -> list[str]:
    """Everything else: what failed a check before what is as it should be."""
    lines = [f"{outcome.target}: {text}" for outcome in data.targets for text in _unmatched(outcome)]
    return [*lines, *_checks(data), *_weights(data), *_no_truth(data.reference.no_truth), *_software(data), *data.notes]


def _no_truth(reasons: Mapping[str, str]) -> Iterator[str]:
    """The layers without an exact answer; those with the same reason together."""
    found: dict[str, list[str]] = {}
    for layer, reason in reasons.items():
        found.setdefault(reason, []).append(layer)
    for reason, layers in found.items():
        yield f"no float64 answer for {_listed(layers)}: {reason}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _software(data: ReportData) -> Iterable[str]:
    names = [
        outcome.target for outcome in data.targets if outcome.provenance is not None and outcome.provenance.software
    ]
    if names:
        yield f"software adapters, on which a real graphics card may differ: {', '.join(names)}"


def _weights(data: ReportData) -> Iterable[str]:
    compared = [outcome for outcome in data.targets if outcome.weights]
    differing = [
        f"{outcome.target}: weight {pair.key.layer}[{pair.key.index}] differs"
        for outcome in compared
        for pair in outcome.weights
        if pair.metrics is None or not pair.metrics.identical
    ]
    if compared and not differing:
        yield f"weights: identical in every bit on {len(compared)} of {len(compared)} targets"
    yield from differing


def _unmatched(outcome: TargetOutcome) -> Iterable[str]:
    if outcome.comparison is None:
        return
    sides = (("reference", outcome.comparison.unmatched_reference), ("target", outcome.comparison.unmatched_candidate))
    for side, keys in sides:
        if keys:
            yield f"only the {side} has {len(keys)} tensors: {_listed([str(key) for key in keys])}"


def _checks(data: ReportData) -> Iterable[str]:
    """What failed, and what was asked for (repeated runs) however it went; a sentence once for all it holds for."""
    runs = [(data.reference.provenance.target, data.reference.checks)]
    runs += [(outcome.target, outcome.checks) for outcome in data.targets]
    found: dict[str, list[str]] = {}
    for target, checks in runs:
        for check in checks:
            if check.passed is False or check.name in ("runs", "batch", "budget"):
                found.setdefault(f"{check.name}: {check.detail}", []).append(target)
    return (f"{', '.join(targets)}: {text}" for text, targets in found.items())
