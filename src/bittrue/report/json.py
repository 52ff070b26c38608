"""A report as data: the published, versioned JSON (docs/json.md, schema in result-1.schema.json)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import IO, Any

import bittrue
from bittrue.comparison import Element, Metrics, Pair
from bittrue.errors import BittrueError
from bittrue.traces import Check, Provenance

from .data import ExactProof, LayerRow, ReportData, TargetOutcome
from .evidence import diagnosis_data, layer_data

__all__ = ["SCHEMA", "JsonReporter", "as_data"]

SCHEMA = "bittrue/result/1"
"""Name and major version of the schema. Later versions of Bittrue only add to it."""


class JsonReporter:
    """Writes the report as one JSON object. Numbers that JSON cannot carry (NaN, infinities) are null."""

    def report(self, data: ReportData, out: IO[str]) -> None:
        json.dump(as_data(data), out, indent=1, allow_nan=False)
        out.write("\n")


def as_data(data: ReportData) -> dict[str, Any]:
    """The report as plain JSON values."""
    return {
        "schema": SCHEMA,
        "bittrue": bittrue.__version__,
        "command": data.command,
        "model": _model(data),
        "input": {
            "description": data.input_description,
            "tensors": [{"name": i.name, "shape": list(i.shape), "dtype": i.dtype} for i in data.inputs],
        },
        "reference": _reference(data),
        "published": _published(data.published),
        "targets": [_target(data, outcome) for outcome in data.targets],
        "notes": list(data.notes),
        "verdict": data.verdict,
        "headline": data.headline,
        "exact": _exact(data.exact),
    }


def _exact(proof: ExactProof | None) -> dict[str, Any] | None:
    if proof is None:
        return None
    facts = {"identical": proof.identical, "values": proof.values}
    return facts | {"hashes": dict(proof.hashes), "failures": dict(proof.failures)}


def _model(data: ReportData) -> dict[str, Any] | None:
    if data.model is None:
        return None
    model = data.model
    facts = {"name": model.name, "kind": model.kind, "source": model.source}
    return facts | {"layers": model.layers, "parameters": model.parameters}


def _reference(data: ReportData) -> dict[str, Any]:
    reference = data.reference
    rows = reference.accuracy.of_kind("output") if reference.accuracy else ()
    return {
        "target": reference.provenance.target,
        "provenance": _provenance(reference.provenance),
        "checks": [_check(check) for check in reference.checks],
        "no_truth": dict(reference.no_truth),
        "digest": reference.digest,
        "layers": [_place(pair) | {"float64": _accuracy(pair.metrics)} for pair in rows],
    }


def _published(outcome: TargetOutcome | None) -> dict[str, Any] | None:
    if outcome is None or outcome.published is None:
        return None
    published = outcome.published
    return {"target": outcome.target, "lines": published.lines, "matched": published.matched}


def _target(data: ReportData, outcome: TargetOutcome) -> dict[str, Any]:
    comparison = outcome.comparison
    published = outcome.published
    return {
        "target": outcome.target,
        "status": outcome.status,
        "error": _error(outcome.failure),
        "provenance": _provenance(outcome.provenance) if outcome.provenance else None,
        "checks": [_check(check) for check in outcome.checks],
        "identical": outcome.identical if comparison else None,
        "digest": outcome.digest,
        "published": {"lines": published.lines, "matched": published.matched} if published else None,
        "layers": [_layer(row) for row in data.rows(outcome)],
        "weights": [_pair(pair) for pair in outcome.weights],
        "others": [_pair(pair) for pair in _others(comparison.pairs if comparison else ())],
        "unmatched": {
            "reference": [str(key) for key in comparison.unmatched_reference] if comparison else [],
            "candidate": [str(key) for key in comparison.unmatched_candidate] if comparison else [],
        },
        "saved": outcome.saved,
        **diagnosis_data(outcome.diagnosis),
    }


def _others(pairs: Iterable[Pair]) -> list[Pair]:
    return [pair for pair in pairs if pair.key.kind not in ("output", "weight")]


def _error(error: BittrueError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    known = {name: getattr(error, name) for name in ("remedy", "asked", "answered", "after") if hasattr(error, name)}
    return {"type": type(error).__name__, "message": str(error)} | known


def _provenance(provenance: Provenance) -> dict[str, Any]:
    return {
        "target": provenance.target,
        "runtime": provenance.runtime,
        "backend": provenance.backend,
        "version": provenance.version,
        "adapter": provenance.adapter,
        "software": provenance.software,
        "details": _plain(provenance.details),
    }


def _check(check: Check) -> dict[str, Any]:
    return {"name": check.name, "passed": check.passed, "detail": check.detail}


def _layer(row: LayerRow) -> dict[str, Any]:
    facts = {"class": row.class_name} | _pair(row.pair)
    facts["float64"] = _accuracy(row.own_accuracy)
    facts["reference_float64"] = _accuracy(row.reference_accuracy)
    return facts | layer_data(row.diagnosis, row.evidence)


def _pair(pair: Pair) -> dict[str, Any]:
    facts = _place(pair) | {
        "kind": pair.key.kind,
        "shape": list(pair.candidate.shape),
        "dtype": str(pair.candidate.dtype),
    }
    facts["problem"] = pair.problem
    if pair.candidate.key != pair.key:
        facts["aligned_with"] = str(pair.candidate.key)
    return facts | (_metrics(pair.metrics) if pair.metrics else {})


def _place(pair: Pair) -> dict[str, Any]:
    return {"name": pair.key.layer, "call": pair.key.call, "index": pair.key.index}


def _accuracy(metrics: Metrics | None) -> dict[str, Any] | None:
    """Distance from the float64 answer; ULP are float32 units at the answer."""
    if metrics is None:
        return None
    names = ("average_difference", "max_abs", "max_abs_to_scale", "max_ulp", "mean_ulp", "median_ulp")
    return {name: _number(getattr(metrics, name)) for name in names}


_FIGURES = (
    "size",
    "different_values",
    "different_bits",
    "identical",
    "average_difference",
    "max_abs",
    "mean_abs",
    "max_rel",
    "mean_rel",
    "scale",
    "max_abs_to_scale",
    "max_ulp",
    "mean_ulp",
    "median_ulp",
    "cosine",
    "snr_db",
    "nan_both",
    "mismatched_nan",
    "mismatched_inf",
    "mismatched_zero_sign",
)


def _metrics(metrics: Metrics) -> dict[str, Any]:
    facts = {name: _number(getattr(metrics, name)) for name in _FIGURES}
    facts["ulp_histogram"] = list(metrics.ulp_histogram) if metrics.ulp_histogram is not None else None
    facts["worst"] = _element(metrics.worst)
    facts["worst_ulp"] = _element(metrics.worst_ulp)
    return facts


def _element(element: Element | None) -> dict[str, Any] | None:
    if element is None:
        return None
    return {
        "index": list(element.index),
        "reference": _number(element.reference),
        "candidate": _number(element.candidate),
        "reference_bits": element.reference_bits,
        "candidate_bits": element.candidate_bits,
    }


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _number(value)
