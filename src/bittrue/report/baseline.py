"""A golden snapshot of a check: per layer the verdict, the SHA-256 of its bits and its error, for later runs.

What fails is a change of verdict. A layer that goes from identical to rounding or back, on a target whose own verdict
stays, is noise: a backend added in another order. Other bits under the same verdict are reported and do not fail.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import bittrue
from bittrue.diagnosis import Verdict
from bittrue.errors import UsageError
from bittrue.traces import Array, Provenance, Trace

from .data import LayerRow, ReportData, TargetOutcome
from .evidence import number
from .expectations import calls_of

if TYPE_CHECKING:
    from .examples import TargetOverExamples
    from .many import ManyExamples

__all__ = ["SCHEMA", "Change", "Changes", "baseline_of", "bits_hash", "changes", "environment_of", "read_baseline"]

SCHEMA = "bittrue/baseline/1"
"""Name and major version of the schema. Later versions of Bittrue only add to it."""

_LARGEST = 256 * 2**20  # bytes of a baseline that is read
_QUIET = frozenset({Verdict.IDENTICAL, Verdict.ROUNDING})
_ENVIRONMENT = ("runtime", "backend", "version", "adapter", "browser", "browser_version", "keras", "os")
_FIGURES = ("max_abs", "max_abs_to_scale", "max_ulp")


@dataclass(frozen=True)
class Change:
    """One thing that is other than in the baseline. ``layer`` None: the target as a whole."""

    target: str
    layer: str | None
    sentence: str


@dataclass(frozen=True)
class Changes:
    """What fails, and what is only said: other bits under the same verdict, another environment, other targets."""

    failures: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


def baseline_of(data: ReportData | ManyExamples, earlier: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The snapshot as plain JSON values (docs/json.md).

    Of an ``earlier`` one, made with the same inputs and weights, the targets that were not run now are kept.
    """
    made, now = _of_one(data) if isinstance(data, ReportData) else _of_many(data)
    whole = {"schema": SCHEMA, "bittrue": bittrue.__version__, **made}
    same = earlier is not None and all(made[name] == earlier[name] for name in ("input", "weights_sha256", "reference"))
    kept = earlier["targets"] if earlier is not None and same else {}
    return whole | {"targets": {**kept, **now}}


_Parts = tuple[dict[str, Any], dict[str, Any]]


def _of_one(data: ReportData) -> _Parts:
    """What was run, and each target that was compared."""
    made = {
        "model": data.model.name if data.model else None,
        "input": {"description": data.input_description, "sha256": _sha256(data.reference.trace, "input")},
        "weights_sha256": _sha256(data.reference.trace, "weight"),
        "reference": data.reference.provenance.target,
    }
    return made, {one.target: _target(data, one) for one in data.targets if one.comparison is not None}


def _of_many(data: ManyExamples) -> _Parts:
    """The same over many examples; the batches belong to the inputs, because a backend may round by their size."""
    made = {
        "model": data.model,
        "input": {"description": data.description, "sha256": data.input_sha256, "batch_size": data.batch_size},
        "weights_sha256": data.weights_sha256,
        "reference": data.reference,
    }
    return made, {one.target: _target_of_many(one) for one in data.targets if one.batches}


def _target_of_many(found: TargetOverExamples) -> dict[str, Any]:
    layers = []
    for layer in found.layers:
        most = layer.measured[0]
        figures = zip(_FIGURES, (most.absolute, most.relative, most.ulp), strict=True)
        layers.append(
            {
                "name": layer.name,
                "class": layer.class_name,
                "verdict": layer.verdict,
                "sha256": list(layer.sha256),
                **{name: number(value) for name, value in figures},
            }
        )
    facts = {"verdict": found.verdict, "digest": found.digest, "environment": dict(found.environment)}
    return facts | {"layers": layers}


def read_baseline(path: Path) -> dict[str, Any]:
    """A baseline from its file. Raises UsageError for anything else."""
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("it is too large")
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError(f"its schema is {data['schema']!r}")
        _check(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        advice = "name another with --baseline, or delete it and let it be recorded anew"
        raise UsageError(f"{path} is no baseline of this version ({_said(error)}); {advice}") from error
    return data  # type: ignore[no-any-return]


def _check(data: Mapping[str, Any]) -> None:
    """Raise KeyError, TypeError or ValueError where a property that is read here is missing or of another kind."""
    _ = data["input"]["sha256"], data["weights_sha256"], data["reference"]
    for target in data["targets"].values():
        Verdict(target["verdict"])
        target["environment"].items()
        for layer in target["layers"]:
            Verdict(layer["verdict"])
            if not isinstance(layer["name"], str) or not all(isinstance(one, str) for one in layer["sha256"]):
                raise ValueError("a layer has no name or no hashes")


def changes(data: ReportData | ManyExamples, baseline: Mapping[str, Any]) -> Changes:
    """What of ``data`` is other than in the baseline. Raises UsageError where it was made with other inputs."""
    now = baseline_of(data)
    if (now["input"]["sha256"], now["reference"]) != (baseline["input"]["sha256"], baseline["reference"]):
        raise UsageError(
            "the baseline was recorded with other inputs or another reference, so that nothing can be said of changes; "
            "give the same --input, --batch-size and --against, or record it anew with --update-baseline"
        )
    notes: list[str] = []
    if now["weights_sha256"] != baseline["weights_sha256"]:
        notes.append("the model's weights are others than the baseline's, so that other bits are to be expected")
    failures: list[Change] = []
    for target, found in now["targets"].items():
        before = baseline["targets"].get(target)
        if before is None:
            notes.append(f"{target} is not in the baseline; --update-baseline adds it")
            continue
        failures += _verdicts(target, before, found)
        notes += _noted(target, before, found)
    unseen = [target for target in baseline["targets"] if target not in now["targets"]]
    notes += [f"{target} is in the baseline and was not compared now" for target in unseen]
    return Changes(tuple(failures), tuple(notes))


def _verdicts(target: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    if before["verdict"] != now["verdict"]:
        yield Change(target, None, f"{target} was {before['verdict']} and is {now['verdict']}")
    old, new = ({layer["name"]: layer for layer in side["layers"]} for side in (before, now))
    for name in (name for name in old if name not in new):
        yield Change(target, name, f"{name} on {target} is in the baseline and was not compared now")
    for name, layer in new.items():
        if name not in old:
            yield Change(target, name, f"{name} on {target} is not in the baseline")
            continue
        was, is_now = Verdict(old[name]["verdict"]), Verdict(layer["verdict"])
        if was != is_now and not {was, is_now} <= _QUIET:
            yield Change(target, name, f"{name} on {target} was {was} and is {is_now}")


def _noted(target: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    old, new = before["environment"], now["environment"]
    other = [
        f"{name} {old.get(name)} → {new.get(name)}"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
    if other:
        yield f"{target}: {', '.join(other)}"
    hashes = {layer["name"]: layer["sha256"] for layer in before["layers"]}
    changed = [
        layer["name"] for layer in now["layers"] if hashes.get(layer["name"], layer["sha256"]) != layer["sha256"]
    ]
    if changed:
        first = f", the first {changed[0]}" if len(changed) > 1 else f": {changed[0]}"
        yield f"{target}: other bits in {len(changed)} of {len(now['layers'])} layers{first}"


def _target(data: ReportData, outcome: TargetOutcome) -> dict[str, Any]:
    assert outcome.provenance is not None
    calls = calls_of(data, outcome)
    verdict = outcome.diagnosis.verdict if outcome.diagnosis else max((call.verdict for call in calls), default=None)
    return {
        "verdict": verdict or Verdict.NO_TRUTH,
        "digest": outcome.digest,
        "environment": environment_of(outcome.provenance),
        "layers": [
            {
                "name": call.name,
                "class": call.class_name,
                "verdict": call.verdict,
                "sha256": [bits_hash(row.pair.candidate.load()) for row in call.rows],
                **_errors(call.rows),
            }
            for call in calls
        ],
    }


def _errors(rows: Iterable[LayerRow]) -> dict[str, float | None]:
    """The largest of each figure over a call's outputs; null where none can be measured."""
    found = [row.pair.metrics for row in rows if row.pair.metrics is not None]
    known = {name: [number(getattr(metrics, name)) for metrics in found] for name in _FIGURES}
    return {name: max((value for value in values if value is not None), default=None) for name, values in known.items()}


def environment_of(found: Provenance) -> dict[str, str]:
    """What a new version of a browser, a runtime or a driver changes, as text."""
    facts = {"runtime": found.runtime, "backend": found.backend, "version": found.version, "adapter": found.adapter}
    known = {**found.details, **facts}
    return {name: str(known[name]) for name in _ENVIRONMENT if known.get(name) is not None}


def bits_hash(array: Array) -> str:
    """SHA-256 (hexadecimal) over dtype, shape and every bit."""
    total = hashlib.sha256(f"{array.dtype.str} {array.shape}\n".encode())
    total.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def _sha256(trace: Trace | None, kind: Any) -> str | None:
    return trace.digest(kind) if trace is not None else None


def _said(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)
