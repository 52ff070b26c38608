"""A diagnosis as plain JSON values (docs/json.md)."""

from __future__ import annotations

import math
from typing import Any

from bittrue.diagnosis import (
    Amplification,
    Decision,
    Diagnosis,
    Finding,
    FirstOrder,
    LayerDiagnosis,
    OutputEvidence,
    OwnError,
    Part,
    Worst,
)

__all__ = ["diagnosis_data", "layer_data"]


def diagnosis_data(found: Diagnosis | None) -> dict[str, Any]:
    """What a target's entry gains; every property is there, null or empty where nothing was diagnosed."""
    first = found.first_fault if found else None
    return {
        "verdict": found.verdict if found else None,
        "headline": found.headline if found else None,
        "first_fault": first.name if first else None,
        "faults": [_fault(entry) for entry in found.faults] if found else [],
        "decisions": [_decision(decision) for decision in found.decisions] if found else [],
        "assumes": list(found.assumes) if found else [],
    }


def layer_data(entry: LayerDiagnosis | None, evidence: OutputEvidence | None) -> dict[str, Any]:
    """What a layer's entry gains: verdict and reasons of the call, figures of the output."""
    if entry is None:
        return {"verdict": None}
    facts: dict[str, Any] = {
        "verdict": entry.verdict,
        "side": entry.side,
        "sentence": entry.sentence,
        "no_truth": entry.reason,
        "causes": [_finding(finding) for finding in entry.causes],
        "assumes": list(entry.assumes),
    }
    return facts | {"evidence": _evidence(evidence) if evidence else None}


def _fault(entry: LayerDiagnosis) -> dict[str, Any]:
    return {
        "name": entry.key.layer,
        "call": entry.key.call,
        "class": entry.class_name,
        "verdict": entry.verdict,
        "side": entry.side,
        "sentence": entry.sentence,
        "causes": [_finding(finding) for finding in entry.causes],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "cause": finding.cause,
        "sentence": finding.sentence,
        "proven": finding.proven,
        "proof": finding.proof,
        "fix": finding.fix,
    }


def _evidence(found: OutputEvidence) -> dict[str, Any]:
    return {
        "total": _part(found.total),
        "own_error": _own(found.own),
        "inherited": _part(found.inherited),
        "reference_error": _own(found.reference),
        "amplification": _amplification(found.amplification),
        "closure": number(found.closure),
    }


def _part(found: Part) -> dict[str, Any]:
    return {"max_abs": number(found.max_abs), "rms": number(found.rms)}


def _own(found: OwnError) -> dict[str, Any]:
    return {
        "max_abs": number(found.max_abs),
        "rms": number(found.rms),
        "max_ulp": number(found.max_ulp),
        "bound_share": number(found.bound_share),
        "outside": found.outside,
        "non_finite": found.non_finite,
        "promised": found.promised,
        "expectation": number(found.expectation),
        "limit": number(found.limit),
        "allowed": number(found.allowed),
        "worst": _worst(found.worst),
    }


def _worst(found: Worst | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "index": list(found.index),
        "value": number(found.value),
        "bits": found.bits,
        "truth": number(found.truth),
        "bound": number(found.bound),
    }


def _amplification(found: Amplification) -> dict[str, Any]:
    return {"absolute": number(found.absolute), "relative": number(found.relative), "growth": number(found.growth)}


def _decision(found: Decision) -> dict[str, Any]:
    return {
        "name": found.key.layer,
        "call": found.key.call,
        "index": found.key.index,
        "kind": found.kind,
        "rows": found.rows,
        "changed": found.changed,
        "at_risk": found.at_risk,
        "margin": number(found.margin),
        "difference": number(found.difference),
        "composed_bound": number(found.bound),
        "proven_safe": found.safe,
        "first_order": _first_order(found.first_order),
    }


def _first_order(found: FirstOrder | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "row": found.row,
        "margin": number(found.margin),
        "change": number(found.change),
        "bound": number(found.bound),
        "inside": found.inside,
        "reference": number(found.reference),
        "candidate": number(found.candidate),
        "layers": [
            {"name": share.key.layer, "call": share.key.call, "share": number(share.share)} for share in found.layers
        ],
        "obstacle": found.obstacle or None,
        "nearest": [
            {"row": near.row, "margin": number(near.margin), "bound": number(near.bound), "inside": near.inside}
            for near in found.nearest
        ],
    }


def number(value: float | None) -> float | None:
    """``value`` where JSON can carry it, else null."""
    return value if value is not None and math.isfinite(value) else None
